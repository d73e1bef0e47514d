package clock

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/bus"
	"github.com/totpd/totpd/packaging/testbus"
)

// host is what a test says of a host.
type host struct {
	mu       sync.Mutex
	timedate any // what it answers, or an error
	kernel   any // likewise
	moment   moment
	asked    []bool // start, of each question to timedate1
	log      strings.Builder
}

func (h *host) sources() sources {
	return sources{
		property: func(_ context.Context, service, path, name string, start bool) (any, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.asked = append(h.asked, start)
			if service != "org.freedesktop.timedate1" || path != "/org/freedesktop/timedate1" || name != "NTPSynchronized" {
				return nil, fmt.Errorf("nobody knows %s of %s at %s", name, service, path)
			}
			if err, ok := h.timedate.(error); ok {
				return nil, err
			}
			return h.timedate, nil
		},
		kernel: func() (bool, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			is, _ := h.kernel.(bool)
			err, _ := h.kernel.(error)
			return is, err
		},
		now: func() (moment, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return h.moment, nil
		},
	}
}

func (h *host) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.log.Write(p)
}

// said are the lines of the log since the last call.
func (h *host) said() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	text := strings.TrimSuffix(h.log.String(), "\n")
	h.log.Reset()
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

var (
	errGone   = errors.New("no such service")
	errFilter = errors.New("adjtimex: operation not permitted")
)

func TestWhoIsAsked(t *testing.T) {
	for name, tt := range map[string]struct {
		timedate, kernel any
		doubt, told      string
		asked            []bool // at three looks
	}{
		"timedate1 says yes":               {true, false, "", "", []bool{true, false, false}},
		"timedate1 says no":                {false, true, unsynchronised, "once it is off by more than half a minute; timedatectl set-ntp true", []bool{true, false, false}},
		"no timedate1, the kernel yes":     {errGone, true, "", "", []bool{true, false, false}},
		"no timedate1, the kernel no":      {errGone, false, unsynchronised, unsynchronised, []bool{true, false, false}},
		"no bus yet: started once there":   {bus.ErrNoBus, true, "", "", []bool{true, true, true}},
		"no kernel: started each time":     {errGone, errFilter, "", "not known: no such service", []bool{true, false, true, false, true}},
		"timedate1 that lies, a kernel":    {"yes", true, "", "", []bool{true, false, false}},
		"timedate1 that lies, no kernel":   {"yes", errFilter, "", "not known: org.freedesktop.timedate1 says yes", []bool{true, false, true, false, true}},
		"timedate1 without it, the kernel": {nil, false, unsynchronised, unsynchronised, []bool{true, false, false}},
	} {
		h := &host{timedate: tt.timedate, kernel: tt.kernel}
		w := &Host{sources: h.sources(), log: log.New(h, "", 0)}
		for range 3 {
			w.look(t.Context())
		}
		if got := w.Doubt(); got != tt.doubt {
			t.Errorf("%s: doubt %q", name, got)
		}
		said := h.said()
		if len(said) > 1 || (tt.told == "") != (len(said) == 0) || !strings.Contains(strings.Join(said, ""), tt.told) {
			t.Errorf("%s: said %q", name, said)
		}
		if !slices.Equal(h.asked, tt.asked) {
			t.Errorf("%s: asked %v, want %v", name, h.asked, tt.asked)
		}
	}
}

// Each change is told, and nothing twice.
func TestChanges(t *testing.T) {
	h := &host{}
	w := &Host{sources: h.sources(), log: log.New(h, "", 0)}
	for i, tt := range []struct {
		kernel any
		told   string
	}{
		{true, ""},
		{false, "clock: the host's clock is not synchronised: "},
		{false, ""},
		{true, "clock: the host's clock is synchronised now"},
		{errFilter, "is not known: "},
		{errFilter, ""},
		{false, "is not synchronised: "},
		{true, "synchronised now"},
		{true, ""},
	} {
		h.timedate, h.kernel = errGone, tt.kernel
		w.look(t.Context())
		said := strings.Join(h.said(), "\n")
		if (said == "") != (tt.told == "") || !strings.Contains(said, tt.told) || strings.Contains(said, "\n") {
			t.Errorf("look %d: said %q, want %q", i+1, said, tt.told)
		}
		if is, _ := tt.kernel.(bool); (w.Doubt() != "") != (tt.kernel == false) {
			t.Errorf("look %d: %v, doubt %q", i+1, is, w.Doubt())
		}
	}
}

func TestWasSet(t *testing.T) {
	noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := &host{moment: moment{noon, time.Hour}}
	w := &Host{sources: h.sources(), log: log.New(h, "", 0)}
	if w.wasSet() {
		t.Error("at the first look")
	}
	for _, tt := range []struct {
		name     string
		wall, up time.Duration
		told     string
	}{
		{"time passes", 30 * time.Second, 30 * time.Second, ""},
		{"the host sleeps", 8 * time.Hour, 8 * time.Hour, ""},
		{"the process stands still", time.Minute, time.Minute, ""},
		{"a clock that is corrected slowly", 33 * time.Second, 30 * time.Second, ""},
		{"a leap second", 29 * time.Second, 30 * time.Second, ""},
		{"forward", time.Hour + 30*time.Second, 30 * time.Second, "clock: the host's clock was set forward by 1h0m0s: "},
		{"back", -time.Hour + 30*time.Second, 30 * time.Second, "clock: the host's clock was set back by 1h0m0s: "},
		{"a little", 24 * time.Second, 30 * time.Second, "set back by 6s: "},
	} {
		h.moment.wall, h.moment.up = h.moment.wall.Add(tt.wall), h.moment.up+tt.up
		was := w.wasSet()
		said := strings.Join(h.said(), "\n")
		if was != (tt.told != "") || (said == "") == was || !strings.Contains(said, tt.told) {
			t.Errorf("%s: %v, said %q", tt.name, was, said)
		}
	}
}

// A timedate1 on a real bus, asked again and again in the background.
func TestOnABus(t *testing.T) {
	dir, err := os.MkdirTemp("", "totpd") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	system, err := testbus.New(dir, "../../../packaging/dbus/org.totpd.conf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(system.Stop)
	service, err := testbus.NewTimedate(system, false)
	if err != nil {
		t.Fatal(err)
	}
	h := &host{kernel: true}
	b := bus.Open(system.Address(), nil, log.New(&host{}, "", 0))
	defer b.Close()
	s := h.sources()
	s.property, s.now = b.Property, now
	w := watch(s, log.New(h, "", 0), time.Millisecond, 10*time.Millisecond)
	defer w.Close()
	says := func(what, doubt string) {
		t.Helper()
		if !testbus.Eventually(func() bool { return w.Doubt() == doubt }) {
			t.Errorf("%s: %q, want %q; said %q", what, w.Doubt(), doubt, h.said())
		}
	}
	says("timedate1 says no", unsynchronised)
	service.Set(true)
	says("timedate1 says yes", "")
	service.Set(false)
	says("timedate1 says no again", unsynchronised)
	service.Close()
	says("timedate1 has ended, the kernel says yes", "")
	system.Freeze()
	begun := time.Now()
	if w.Doubt(); time.Since(begun) > time.Second {
		t.Error("whoever asks waits for a bus that hangs")
	}
	w.Close()
	if took := time.Since(begun); took > time.Second {
		t.Errorf("the end took %v", took)
	}
}

// This machine has both clocks, and is asked in earnest.
func TestThisHost(t *testing.T) {
	before, err := now()
	if err != nil {
		t.Fatal(err)
	}
	after, err := now()
	if off := time.Since(after.wall).Abs(); err != nil || off > time.Minute || after.up < before.up {
		t.Errorf("%v, then %v, %v", before, after, err)
	}
	if _, err := kernel(); err != nil && !strings.Contains(err.Error(), "operation not permitted") {
		t.Error(err)
	}
}
