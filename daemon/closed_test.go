package main

import (
	"errors"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
)

// TestCannotStart needs root, who gives nobody a second factor first. Whoever logs in while the daemon
// can't start is refused at once, in time, with a line that says why.
func TestCannotStart(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	held := w.hold(t)
	r := w.start(t, held)
	w.give(t, "nobody")
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	right := code(t, 0)
	moved, key := w.path("moved"), w.path("totpd.key")
	if err := os.Rename(key, moved); err != nil {
		t.Fatal(err)
	}
	waiting := w.begin(t, "nobody") // before it is started
	begun := time.Now()
	r = w.launch(t, held)
	if _, got, err := waiting.next(); got != wire.Unavailable || time.Since(begun) > 3*time.Second {
		t.Errorf("%v, %v after %v", got, err, time.Since(begun))
	}
	r.logLine(t, "its key "+key+" is missing")
	r.logLine(t, "kind=login user=nobody result=unavailable reason=store")
	for _, user := range []string{"nobody", "root"} { // enrolled or not
		if got := w.login(t, user, right); got != wire.Unavailable {
			t.Errorf("%s: %v", user, got)
		}
	}
	for name, err := range map[string]error{
		"disable": w.client().Disable(t.Context(), control.DisableRequest{User: "nobody"}),
		"unlock":  second(w.client().Unlock(t.Context(), control.UnlockRequest{User: "nobody"})),
		"reset":   second(w.client().Reset(t.Context(), control.ResetRequest{User: "nobody"})),
		"show":    second(w.client().Show(t.Context(), control.ShowRequest{User: "nobody"})),
		"log":     second(w.client().LogAll(t.Context(), control.LogRequest{})),
		"set": func() error {
			_, err := w.client().Set(t.Context(), control.SetRequest{User: "root", URI: "otpauth://totp/x:root?secret=" + secret})
			return err
		}(),
		"status": func() error {
			_, err := w.client().Status(t.Context(), control.StatusRequest{User: "nobody"})
			return err
		}(),
	} {
		if e := (*control.Error)(nil); !errors.As(err, &e) || e.Code != control.ErrUnavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
	if said := r.log.String(); strings.Contains(said, "ready: ") || strings.Contains(said, "panic") || strings.Contains(said, secret) {
		t.Errorf("%s", said)
	}
	select {
	case err := <-r.ended:
		if err == nil || time.Since(begun) < closedFor {
			t.Errorf("ended with %v after %v", err, time.Since(begun))
		}
	case <-time.After(closedFor + 3*time.Second):
		t.Error("it goes on")
	}
	if err := os.Rename(moved, key); err != nil {
		t.Fatal(err)
	}
	w.start(t, held)
	if got := w.login(t, "nobody", right); got != wire.Accepted {
		t.Errorf("once mended: %v", got)
	}
}

// Settings that can't be read, or that don't agree with the sockets, keep nobody waiting either.
func TestBrokenSettings(t *testing.T) {
	w := newWorld(t)
	held := w.hold(t)
	w.configure(t, "[login]\ntires = 3\n")
	r := w.launch(t, held)
	if got := w.login(t, me(t), ""); got != wire.Unavailable {
		t.Errorf("%v", got)
	}
	r.logLine(t, "login.tires is unknown")
	r.logLine(t, "result=unavailable reason=store")
	r.end(t, syscall.SIGTERM)
}

// A stop is not kept waiting by a daemon that can't start; without systemd's sockets it ends by itself.
func TestCannotStartAndIsStopped(t *testing.T) {
	w := newWorld(t)
	held := w.hold(t)
	if err := errors.Join(os.Remove(w.path("totpd.db")), os.Mkdir(w.path("totpd.db"), 0o700)); err != nil {
		t.Fatal(err)
	}
	r := w.launch(t, held)
	r.logLine(t, "totpd.db")
	begun := time.Now()
	if err := r.end(t, syscall.SIGTERM); err == nil || time.Since(begun) > 2*time.Second {
		t.Errorf("ended with %v after %v", err, time.Since(begun))
	}
	if n := strings.Count(r.log.String(), "totpd.db"); n != 1 {
		t.Errorf("said %d times: %s", n, r.log)
	}
	os.RemoveAll(w.path("run"))
	begun = time.Now()
	if said := w.fails(t); !strings.Contains(said, "totpd.db") || time.Since(begun) > 2*time.Second {
		t.Errorf("%s after %v", said, time.Since(begun))
	}
}

func second[T any](_ T, err error) error { return err }
