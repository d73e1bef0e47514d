package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/totpd/totpd/daemon/wire"
	"github.com/totpd/totpd/packaging/testbus"
)

// newBus is a system bus of the test's own.
func (w *world) newBus(t *testing.T) *testbus.Bus {
	t.Helper()
	b, err := testbus.New(w.dir, "../packaging/dbus/org.totpd.conf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

// onBus has a daemon take the bus for the system's.
func onBus(b *testbus.Bus) func(*exec.Cmd) {
	return func(c *exec.Cmd) { c.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+b.Address()) }
}

// TestSystemBus needs root, who gives nobody a second factor. The daemon has no bus, then has one, then
// one that hangs, then none again, and logins are the same all the time.
func TestSystemBus(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	b := w.newBus(t)
	b.Stop()
	r := w.start(t, onBus(b))
	r.logLine(t, "while there is no system bus")
	w.give(t, "nobody")
	refused := func(when string) {
		t.Helper()
		for range 5 {
			begun := time.Now()
			if got := w.login(t, "nobody", "000000"); got == wire.Accepted {
				t.Errorf("%s: %v", when, got)
			}
			if took := time.Since(begun); took > time.Second {
				t.Errorf("%s: a login took %v", when, took)
			}
		}
	}
	refused("without a bus")
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	r.logLine(t, "bus: connected")
	owner, signals := listen(t, b, 65534)
	root, all := listen(t, b, 0)
	refused("with a bus")
	for who, c := range map[string]chan *dbus.Signal{"the owner": signals, "root": all} {
		if got := hear(t, c); !strings.HasPrefix(got, "org.totpd.Events.Refused [nobody test ") {
			t.Errorf("%s heard %q", who, got)
		}
	}
	b.Freeze()
	refused("while the bus hangs")
	b.Thaw()
	b.Stop()
	refused("without the bus again")
	owner.Close()
	root.Close()
}

// listen subscribes as the user uid.
func listen(t *testing.T, b *testbus.Bus, uid int) (*dbus.Conn, chan *dbus.Signal) {
	t.Helper()
	c, err := b.Join(uid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	signals := make(chan *dbus.Signal, 1000)
	c.Signal(signals)
	if !testbus.Eventually(func() bool {
		err = c.Object("org.totpd", "/org/totpd").Call("org.totpd.Events.Subscribe", 0).Err
		return err == nil
	}) {
		t.Fatal(err)
	}
	return c, signals
}

// hear returns the next signal of the daemon.
func hear(t *testing.T, signals chan *dbus.Signal) string {
	t.Helper()
	for {
		select {
		case s := <-signals:
			if s == nil {
				t.Fatal("the bus is gone")
			}
			if strings.HasPrefix(s.Name, "org.totpd.") {
				return fmt.Sprint(s.Name, " ", s.Body)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing is heard")
		}
	}
}
