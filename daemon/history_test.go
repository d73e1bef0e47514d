package main

import (
	"bytes"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
)

// history returns what root is told of everybody: kind, user, result and reason of each event.
func (w *world) history(t *testing.T) string {
	t.Helper()
	told, err := w.client().LogAll(t.Context(), control.LogRequest{})
	if err != nil {
		t.Fatal(err)
	}
	all := ""
	for _, e := range told.Entries {
		all += strings.TrimSpace(fmt.Sprint(e.Kind, " ", e.User, " ", e.Result, " ", e.Reason)) + "\n"
	}
	return all
}

// TestHistory needs root, who gives nobody a second factor. What happened is there after a restart, with what
// root did meanwhile without a daemon; a login is there before its verdict is.
func TestHistory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	r := w.start(t)
	w.give(t, "nobody")
	w.login(t, "nobody", "000000")
	if got := w.login(t, "nobody", code(t, 0)); got != wire.Accepted {
		t.Fatalf("%v\n%s", got, r.log)
	}
	if got := w.history(t); !strings.Contains(got, "login nobody accepted code\n") {
		t.Errorf("the history is:\n%s", got)
	}
	r.end(t, syscall.SIGTERM)
	for _, ask := range []func(*control.Client) error{
		func(c *control.Client) error {
			_, err := c.Unlock(t.Context(), control.UnlockRequest{User: "nobody"})
			return err
		},
		func(c *control.Client) error {
			_, err := c.Reset(t.Context(), control.ResetRequest{User: "nobody"})
			return err
		},
	} {
		if said, err := w.offline(t, ask); err != nil || said != "" {
			t.Error(said, err)
		}
	}
	w.start(t)
	got := w.history(t)
	for _, want := range []string{"enrol nobody done\n", "login nobody retry wrong_code\n", "login nobody accepted code\n", "unlock nobody done\nreset nobody done\n"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}

// TestUnlockOffline needs root. Whoever is locked gets in with the next code, after one command, while the
// daemon is down.
func TestUnlockOffline(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	w.configure(t, "[throttle]\nfree = 0\nlock = 2\n")
	r := w.start(t)
	w.give(t, "nobody")
	for range 2 {
		w.login(t, "nobody", "000000")
	}
	if got := w.login(t, "nobody", code(t, 0)); got == wire.Accepted {
		t.Fatal("not locked")
	}
	r.end(t, syscall.SIGTERM)
	said, err := w.offline(t, func(c *control.Client) error {
		u, err := c.Unlock(t.Context(), control.UnlockRequest{User: "nobody"})
		if u.Failures == 0 {
			t.Errorf("%+v", u)
		}
		return err
	})
	if err != nil || said != "" {
		t.Error(said, err)
	}
	w.start(t)
	if got := w.login(t, "nobody", code(t, 0)); got != wire.Accepted {
		t.Errorf("%v", got)
	}
}

// The history is kept within the limits of the settings.
func TestHistoryIsPruned(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	w.configure(t, "[log]\nmax = 100\n")
	r := w.start(t)
	for range 130 {
		if _, err := w.client().Status(t.Context(), control.StatusRequest{User: "no-such-user"}); err == nil {
			t.Fatal("a user that there isn't")
		}
	}
	for deadline := time.Now().Add(5 * time.Second); strings.Count(w.history(t), "\n") < 130 && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	r.end(t, syscall.SIGTERM)
	w.start(t) // which prunes at once
	for deadline := time.Now().Add(5 * time.Second); strings.Count(w.history(t), "\n") > 100; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d events", strings.Count(w.history(t), "\n"))
		}
	}
}

// What the history lacks is said, in few lines.
func TestMissingEvents(t *testing.T) {
	var text bytes.Buffer
	now := time.Unix(2e9, 0)
	m := missing{log: log.New(&text, "", 0), now: func() time.Time { return now }}
	for range 1000 {
		m.left()
	}
	m.lost(3, nil)
	now = now.Add(tellEvery)
	m.lost(4, errors.New("no space left"))
	want := "history: 1 refusals are in the journal only: somebody causes a great many\n" +
		"history: 7 events are in the journal only: no space left\n" +
		"history: 999 refusals are in the journal only: somebody causes a great many\n"
	if text.String() != want {
		t.Errorf("%s\nwant\n%s", text.String(), want)
	}
}
