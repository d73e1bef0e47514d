package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
)

// Nobody guesses for nothing: a login program that hangs up, in whatever way and at whatever moment, either has its
// wrong code counted or has it not judged at all, and then it can't learn the verdict. A code whose verdict was read
// counts always.
func TestHangingUpHidesNoGuess(t *testing.T) {
	const guesses = 6
	wrong := func(d *dialogue) { d.answer(wrongCode(t)) }
	for name, c := range map[string]struct {
		guess func(*dialogue) // sends a wrong code
		heard bool            // the verdict can be read, so the code must count
	}{
		"waits":                       {wrong, true},
		"sends no more":               {func(d *dialogue) { wrong(d); d.Conn.(*net.UnixConn).CloseWrite() }, true},
		"looks before it hangs up":    {func(d *dialogue) { wrong(d); peek(d) }, true},
		"reads no more":               {func(d *dialogue) { d.Conn.(*net.UnixConn).CloseRead(); wrong(d); time.Sleep(50 * time.Millisecond) }, false},
		"hangs up with the answer":    {func(d *dialogue) { wrong(d); d.Close() }, false},
		"hangs up a moment later":     {func(d *dialogue) { wrong(d); time.Sleep(300 * time.Microsecond); d.Close() }, false},
		"shuts both ways, then reads": {func(d *dialogue) { wrong(d); d.Conn.(*net.UnixConn).CloseRead(); d.Conn.(*net.UnixConn).CloseWrite() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.configure(t, "[throttle]\nfree = 20\n[login]\ntries = 1\n")
			w.start(t)
			user := me(t)
			w.give(t, user)
			read := 0
			for range guesses {
				d := w.begin(t, user)
				if ask, _, err := d.next(); err != nil || ask == "" {
					t.Fatalf("%q %v", ask, err)
				}
				c.guess(d)
				switch ask, outcome, err := d.next(); {
				case err == nil && ask == "" && outcome == wire.Refused:
					read++
				case err == nil:
					t.Fatalf("%q %v", ask, outcome)
				case c.heard:
					t.Fatal(err)
				case !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && !errors.Is(err, syscall.ECONNRESET):
					t.Fatal(err)
				}
				d.Close()
			}
			counted, judged := w.guesses(t, user, guesses)
			if counted != judged || counted < read || c.heard && counted != guesses {
				t.Errorf("of %d guesses %d were judged, %d counted, and of %d the verdict was read", guesses, judged, counted, read)
			}
		})
	}
}

// wrongCode is right at no time near this one.
func wrongCode(t *testing.T) string {
	t.Helper()
	right := []string{code(t, -2), code(t, -1), code(t, 0), code(t, 1), code(t, 2)}
	for n := 0; ; n++ {
		if wrong := fmt.Sprintf("%06d", n); !slices.Contains(right, wrong) {
			return wrong
		}
	}
}

// peek looks at what has come and leaves it unread.
func peek(d *dialogue) {
	raw, err := d.Conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		panic(err)
	}
	raw.Read(func(fd uintptr) bool {
		n, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
		return n > 0 || !errors.Is(err, syscall.EAGAIN)
	})
}

// guesses waits until the history has told what became of n guesses, and returns how many the account has counted, and
// how many the history calls wrong.
func (w *world) guesses(t *testing.T, user string, n int) (counted, judged int) {
	t.Helper()
	for range 200 {
		known := map[string]bool{}
		judged = 0
		told, err := w.client().Log(t.Context(), control.LogRequest{User: user})
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range told.Entries {
			if e.Kind != "login" {
				continue
			}
			known[e.Reference] = true
			if strings.HasPrefix(e.Reason, "wrong_code") {
				judged++
			}
		}
		if len(known) >= n {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	acc, err := w.client().Status(t.Context(), control.StatusRequest{User: user})
	if err != nil {
		t.Fatal(err)
	}
	return acc.Failures, judged
}
