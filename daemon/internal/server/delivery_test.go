package server

import (
	"context"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/wire"
)

// held is a dialogue whose Open ends with a verdict, once it may.
type held struct {
	counting
	opened, may chan struct{}
}

func (d held) Open(context.Context) login.Step {
	d.opened <- struct{}{}
	<-d.may
	return login.Step{Frames: wire.AppendVerdict(nil, wire.NotDue), Done: true}
}

// newHeld is a server of one such dialogue, which is being judged; and how its caller is known.
func newHeld(t *testing.T) (f *fixture, c *net.UnixConn, caller login.Caller, may chan struct{}) {
	t.Helper()
	opened, may, callers := make(chan struct{}), make(chan struct{}), make(chan login.Caller, 1)
	f = serveLogins(t, func(s *Logins) {
		s.begin = func(c login.Caller, _ wire.Open) Dialogue {
			callers <- c
			return held{counting{c, &f.abandoned, &f.lost, &f.judge}, opened, may}
		}
	})
	c = dialAs(t, os.Geteuid(), f.path).(*net.UnixConn)
	c.Write(openFrame(t, "alice"))
	<-opened
	return f, c, <-callers, may
}

// unread is how many bytes wait for the client.
func unread(t *testing.T, c *net.UnixConn) int {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) })
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// A peer that has hung up is gone; one that sends no more can still read.
func TestGone(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(*net.UnixConn) error
		gone bool
	}{
		"waits":            {func(*net.UnixConn) error { return nil }, false},
		"sends no more":    {(*net.UnixConn).CloseWrite, false},
		"reads no more":    {(*net.UnixConn).CloseRead, false}, // but might send; Undelivered is for it
		"hung up":          {(*net.UnixConn).Close, true},
		"shuts both":       {func(c *net.UnixConn) error { c.CloseRead(); return c.CloseWrite() }, true},
		"hangs up, unread": {func(c *net.UnixConn) error { c.Write([]byte("x")); return c.Close() }, true},
	} {
		_, conn, caller, may := newHeld(t)
		if caller.Gone() {
			t.Errorf("%s: gone before", name)
		}
		if err := c.do(conn); err != nil {
			t.Fatal(err)
		}
		if caller.Gone() != c.gone {
			t.Errorf("%s: gone is %v", name, !c.gone)
		}
		close(may)
	}
}

// The server tells the dialogue when the verdict was not read.
func TestUndeliveredVerdict(t *testing.T) {
	for name, c := range map[string]struct {
		before, after func(*net.UnixConn) // the verdict
		lost          int32
	}{
		"read":          {nil, func(c *net.UnixConn) { io.ReadFull(c, make([]byte, 4)); c.Close() }, 0},
		"read, no more": {nil, func(c *net.UnixConn) { io.ReadFull(c, make([]byte, 4)); c.CloseWrite() }, 0},
		"read in part":  {nil, func(c *net.UnixConn) { io.ReadFull(c, make([]byte, 3)); c.Close() }, 1},
		"not read":      {nil, func(c *net.UnixConn) { c.Close() }, 1},
		"hung up":       {func(c *net.UnixConn) { c.Close() }, nil, 1},
		"reads no more": {func(c *net.UnixConn) { c.CloseRead() }, func(c *net.UnixConn) { c.Close() }, 1},
		"stays":         {nil, func(c *net.UnixConn) { io.ReadAll(c) }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, conn, _, may := newHeld(t)
			if c.before != nil {
				c.before(conn)
			}
			close(may)
			if c.before == nil {
				eventually(t, func() bool { return unread(t, conn) > 0 })
			}
			if c.after != nil {
				c.after(conn)
			}
			f.ended.Wait()
			if n := f.lost.Load(); n != c.lost {
				t.Errorf("undelivered %d times, want %d", n, c.lost)
			}
			if f.log.String() != "" {
				t.Errorf("log %q", f.log)
			}
		})
	}
}

// A client that doesn't hang up after its verdict has its place for a moment, and a daemon that stops doesn't wait.
func TestClientThatStays(t *testing.T) {
	f, conn, _, may := newHeld(t)
	close(may)
	eventually(t, func() bool { return unread(t, conn) > 0 })
	begun := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	if err := f.Stop(ctx); err != nil || time.Since(begun) > byeTime/2 {
		t.Errorf("stopped after %v: %v", time.Since(begun), err)
	}
	if f.lost.Load() != 0 {
		t.Error("what may still be read is called undelivered")
	}
}
