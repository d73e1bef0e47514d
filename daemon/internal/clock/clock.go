// Package clock knows what can be said against the host's clock, by which codes are judged: that nothing
// keeps it right, and that somebody has just set it. It looks in the background and writes what changes
// to the log; a login asks only for what is known already. It sets no clock and refuses nobody: a clock
// that isn't synchronised may be right all the same, as in a virtual machine whose host sees to it.
//
// Always true: nothing that is asked here makes a login wait; each state is logged once.
package clock

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/bus"
)

// How often is looked: whether the clock was set, which costs nothing, and whether it is synchronised.
const (
	setEvery  = 30 * time.Second
	syncEvery = 5 * time.Minute
)

// setMin is by how much a clock must have jumped between two looks to have been set. What corrects a clock
// slowly stays below: 3 s in setEvery at the most (adjtimex's tick, a tenth).
const setMin = 5 * time.Second

// Property asks a service on the system bus: see bus.Property.
type Property func(ctx context.Context, service, path, name string, start bool) (any, error)

// sources are where the host's clock is looked at.
type sources struct {
	property Property
	kernel   func() (bool, error)   // whether the clock is synchronised
	now      func() (moment, error) // what it shows
}

// moment is a time by two clocks.
type moment struct {
	wall time.Time     // without Go's own monotonic reading, which stands still while the host sleeps
	up   time.Duration // since the host was booted
}

// Host watches the clock of a host.
type Host struct {
	sources
	log   *log.Logger
	doubt atomic.Pointer[string] // nil: none

	told    string // the last state that was logged
	started bool   // the bus was told to start timedate1
	before  moment // at the look before

	end  context.CancelFunc
	done sync.WaitGroup
}

// Watch looks at once, and again until Close.
func Watch(property Property, l *log.Logger) *Host {
	return watch(sources{property, kernel, now}, l, setEvery, syncEvery)
}

func watch(s sources, l *log.Logger, setEvery, syncEvery time.Duration) *Host {
	ctx, end := context.WithCancel(context.Background())
	h := &Host{sources: s, log: l, end: end}
	h.done.Go(func() { h.run(ctx, setEvery, syncEvery) })
	return h
}

// Close ends the watch.
func (h *Host) Close() {
	h.end()
	h.done.Wait()
}

// unsynchronised is what is said against a clock.
const unsynchronised = "the host's clock is not synchronised"

// Doubt returns what is known against the clock, for the log line of a refusal that could come of it, or
// "". It never waits.
func (h *Host) Doubt() string {
	if text := h.doubt.Load(); text != nil {
		return *text
	}
	return ""
}

func (h *Host) run(ctx context.Context, setEvery, syncEvery time.Duration) {
	// The second look comes soon: at the first one, there may have been no bus yet.
	next := time.NewTimer(min(time.Second, setEvery))
	defer next.Stop()
	for since := syncEvery; ; since += setEvery {
		if h.wasSet() || since >= syncEvery || !h.started {
			h.look(ctx)
			since = 0
		}
		select {
		case <-next.C:
			next.Reset(setEvery)
		case <-ctx.Done():
			return
		}
	}
}

// look finds out whether the clock is synchronised, and tells when that has changed.
func (h *Host) look(ctx context.Context) {
	is, err := h.synchronised(ctx)
	if ctx.Err() != nil {
		return
	}
	state, text := "synchronised", "the host's clock is synchronised now"
	var doubt *string
	switch {
	case err != nil:
		state, text = "unknown", fmt.Sprintf("whether the host's clock is synchronised is not known: %v", err)
	case !is:
		state, text = "unsynchronised", unsynchronised+": right codes are refused once it is off by more than half a minute; "+
			"timedatectl set-ntp true (in a container: on the machine that runs it), and totpctl doctor says more"
		doubt = new(string)
		*doubt = unsynchronised
	}
	h.doubt.Store(doubt)
	// A clock that is in order from the start is nothing to tell.
	if state != h.told && (h.told != "" || state != "synchronised") {
		h.log.Print("clock: " + text)
	}
	h.told = state
}

const (
	timedate     = "org.freedesktop.timedate1"
	timedatePath = "/org/freedesktop/timedate1"
)

// synchronised asks timedate1, else the kernel. timedate1 ends when nobody has asked it for a while, and
// systemd logs each start of it; so the bus starts it at the first look only, and later where the
// kernel's answer isn't to be had, as under some container's filter of system calls.
func (h *Host) synchronised(ctx context.Context) (bool, error) {
	start := !h.started
	is, err := h.asked(ctx, start)
	if err == nil {
		return is, nil
	}
	is, kernelErr := h.kernel()
	if kernelErr == nil {
		return is, nil
	}
	if !start {
		is, err = h.asked(ctx, true)
	}
	if err != nil {
		return false, fmt.Errorf("%w; %w", err, kernelErr)
	}
	return is, nil
}

// asked is what timedate1 says.
func (h *Host) asked(ctx context.Context, start bool) (bool, error) {
	value, err := h.property(ctx, timedate, timedatePath, "NTPSynchronized", start)
	if start && !errors.Is(err, bus.ErrNoBus) {
		h.started = true
	}
	if err != nil {
		return false, err
	}
	is, ok := value.(bool)
	if !ok {
		return false, fmt.Errorf("%s says %v", timedate, value)
	}
	return is, nil
}

// wasSet says whether the clock has jumped since the look before, and tells so.
func (h *Host) wasSet() bool {
	now, err := h.now()
	if err != nil {
		return false
	}
	before := h.before
	h.before = now
	if before == (moment{}) {
		return false
	}
	by := now.wall.Sub(before.wall) - (now.up - before.up)
	if by.Abs() < setMin {
		return false
	}
	way := "forward"
	if by < 0 {
		way = "back"
	}
	h.log.Printf("clock: the host's clock was set %s by %v: codes are judged by the new time, and those that were used stay used",
		way, by.Abs().Round(time.Second))
	return true
}

// kernel is what adjtimex(2) says, asked to change nothing. Like systemd, it goes by the greatest error
// that the kernel reckons with, which grows to 16 s when nobody corrects the clock.
func kernel() (bool, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, fmt.Errorf("adjtimex: %w", err)
	}
	return t.Maxerror < 16_000_000, nil
}

func now() (moment, error) {
	var wall, up unix.Timespec
	if err := errors.Join(unix.ClockGettime(unix.CLOCK_REALTIME, &wall), unix.ClockGettime(unix.CLOCK_BOOTTIME, &up)); err != nil {
		return moment{}, err
	}
	return moment{time.Unix(wall.Unix()), time.Duration(up.Nano())}, nil
}
