package manners

import (
	"net"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

// exempts tells something and asks nothing, unless the login is by the service "asks".
func exempts(c net.Conn) {
	f := frames2(c)
	frame, _ := f.next()
	open, err := wire.DecodeOpen(frame)
	switch {
	case err != nil:
	case open.Service == "asks":
		c.Write(ask())
		f.next()
	default:
		c.Write(append(tell(), notDue()...))
	}
}

// Who is asked nothing gets in everywhere, and leaves nothing behind: no thread, no open file, no address space.
func TestNothingAsked(t *testing.T) {
	for _, c := range []struct {
		scenario string
		count    int
		root     bool
	}{{"unasked", 50, false}, {"unasked-in-64-mb", 1, false}, {"unasked-then-capabilities", 1, true}} {
		t.Run(c.scenario, func(t *testing.T) {
			if c.root && os.Getuid() != 0 {
				t.Skip("needs root")
			}
			t.Log(strings.TrimSpace(newWorld(t, plain, exempts).run(t, c.scenario, c.count)))
		})
	}
	t.Run("asan", func(t *testing.T) { newWorld(t, asan, exempts).run(t, "unasked", 5) })
}

// Also where the daemon is lost before it says so, wherever in the dialogue, and where it is an earlier one.
func TestNothingAskedByDaemonThatComesBack(t *testing.T) {
	for name, lose := range map[string]func(c net.Conn){
		"before the open":    func(net.Conn) {},
		"after the open":     func(c net.Conn) { frames2(c).next() },
		"after a tell":       func(c net.Conn) { frames2(c).next(); c.Write(tell()) },
		"within a tell":      func(c net.Conn) { frames2(c).next(); c.Write(tell()[:4]) },
		"within the verdict": func(c net.Conn) { frames2(c).next(); c.Write(append(tell(), notDue()[:3]...)) },
		"within a question":  func(c net.Conn) { frames2(c).next(); c.Write(ask()[:5]) },
	} {
		for _, times := range []int32{1, 4} {
			var calls atomic.Int32
			w := newWorld(t, plain, func(c net.Conn) {
				if calls.Add(1) <= times {
					lose(c)
				} else {
					exempts(c)
				}
			})
			w.run(t, "unasked", 1)
			if calls.Load() != times+1 {
				t.Errorf("%s: %d connections, want %d", name, calls.Load(), times+1)
			}
		}
	}
	earlier := newWorld(t, plain, func(c net.Conn) {
		f := frames2(c)
		frame, _ := f.next()
		if open, err := wire.DecodeOpen(frame); err == nil && open.Version == 1 {
			c.Write(append(tell(), notDue()...))
		}
	})
	earlier.run(t, "unasked", 1)
}

// A slow daemon's frames come in pieces.
func TestNothingAskedInPieces(t *testing.T) {
	w := newWorld(t, plain, func(c net.Conn) {
		frames2(c).next()
		for _, b := range append(tell(), notDue()...) {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
		}
	})
	w.run(t, "unasked", 20)
}
