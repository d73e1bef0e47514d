package main

import (
	"fmt"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
)

// fail gives so many wrong answers, in logins that allow ten each, and hangs up.
func (w *world) fail(t *testing.T, user string, wrong int) {
	t.Helper()
	for wrong > 0 {
		d := w.begin(t, user)
		for range min(wrong, 10) {
			if ask, outcome, err := d.next(); ask == "" || err != nil {
				t.Errorf("%s: %v, %v", user, outcome, err)
				return
			}
			d.answer("000000")
			wrong--
		}
		if _, _, err := d.next(); err != nil {
			t.Errorf("%s: %v", user, err)
		}
		d.Close()
	}
}

// Logins of some users are counted by a running daemon, while root takes the second factor from others
// beside it: nothing is lost on either side.
func TestOfflineBesideLogins(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	w.configure(t, "[login]\ntries = 10\n[throttle]\nfree = 20\n")
	r := w.start(t)
	logins := []string{"bin", "sys", "sync", "man", "lp", "mail", "news", "uucp", "proxy", "list", "irc", "daemon"}
	helped := []string{"games", "nobody", "backup", "www-data"}
	for _, user := range append(logins, helped...) {
		w.give(t, user)
	}
	const wrong = 19 // the twentieth in a row makes wait
	codes := []string{code(t, 0), code(t, 1)}
	var all sync.WaitGroup
	done := make(chan struct{})
	for _, user := range logins {
		all.Go(func() {
			for _, code := range codes {
				w.fail(t, user, wrong)
				a, err := w.client().Status(t.Context(), control.StatusRequest{User: user})
				if err != nil || a.Failures != wrong {
					t.Errorf("%s has %d failures, %v, want %d", user, a.Failures, err, wrong)
				}
				if got := w.login(t, user, code); got != wire.Accepted {
					t.Errorf("%s: %v", user, got)
				}
			}
		})
	}
	go func() { all.Wait(); close(done) }()
	var help sync.WaitGroup
	var times atomic.Int32
	for _, user := range helped {
		help.Go(func() {
			for busy := true; busy; times.Add(1) {
				if err := w.disableOffline(t, user); err != nil {
					t.Error(err)
				}
				if got := w.login(t, user, ""); got != wire.NotDue {
					t.Errorf("after root's help, the login of %s is %v", user, got)
				}
				w.give(t, user)
				select {
				case <-done:
					busy = false
				default:
				}
			}
		})
	}
	help.Wait()
	t.Logf("%d times root's help beside %d answers", times.Load(), len(logins)*len(codes)*(wrong+1))
	for _, user := range logins {
		if got := w.login(t, user, codes[1]); got == wire.Accepted {
			t.Errorf("%s: a code is accepted twice", user)
		}
	}
	r.end(t, syscall.SIGTERM)
	out, err := exec.Command("sqlite3", w.path("totpd.db"), "PRAGMA integrity_check; SELECT count(*) FROM account").CombinedOutput()
	if want := fmt.Sprintf("ok\n%d\n", len(logins)+len(helped)); err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}
