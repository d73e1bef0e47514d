package bus

import (
	"errors"
	"log"
	"testing"

	"github.com/totpd/totpd/packaging/testbus"
)

func TestProperty(t *testing.T) {
	w := newWorld(t)
	const service, path = "org.freedesktop.timedate1", "/org/freedesktop/timedate1"
	for _, start := range []bool{false, true} {
		if v, err := w.daemon.Property(soon(t), service, path, "Timezone", start); err == nil {
			t.Errorf("without the service: %v", v)
		}
	}
	s, err := testbus.NewTimedate(w.Bus, true)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name, want := range map[string]any{"NTPSynchronized": true, "Timezone": "Etc/UTC"} {
		if v, err := w.daemon.Property(soon(t), service, path, name, false); v != want || err != nil {
			t.Errorf("%s: %v, %v", name, v, err)
		}
	}
	for _, name := range []string{"Nothing", "", "a b"} {
		if v, err := w.daemon.Property(soon(t), service, path, name, false); err == nil {
			t.Errorf("%q: %v", name, v)
		}
	}
	if v, err := w.daemon.Property(soon(t), service, "no path", "Timezone", false); err == nil {
		t.Errorf("no path: %v", v)
	}
}

func TestPropertyWithoutABus(t *testing.T) {
	b := Open("unix:path=/nowhere", nameOf, log.New(&lines{}, "", 0))
	defer b.Close()
	if v, err := b.Property(soon(t), "org.freedesktop.timedate1", "/", "Timezone", true); !errors.Is(err, ErrNoBus) {
		t.Errorf("%v, %v", v, err)
	}
}
