package login

import (
	"fmt"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// sudo is alice's in one terminal session.
var (
	inSession = Caller{UID: 0, Root: true, User: "root", Session: named("one")}
	sudo      = wire.Open{User: "alice", Service: "sudo", TTY: "/dev/pts/3", RUser: "alice"}
)

func named(session string) func() string { return func() string { return session } }

func graceWorld() *world {
	w := newWorld()
	w.cfg.Rules = policy.Rules{{Require: policy.Optional, Grace: 5 * time.Minute}}
	return w
}

func TestGrace(t *testing.T) {
	w := graceWorld()
	d, _ := w.open(t, inSession, sudo)
	if got := d.answer(t, w.code(t)); got.verdict != wire.Accepted {
		t.Fatalf("%+v", got)
	}
	if w.store.writes != 1 {
		t.Errorf("%d writes: the code and the grace are one change", w.store.writes)
	}
	w.pass(5*time.Minute - time.Second)
	if _, got := w.open(t, inSession, sudo); got.verdict != wire.NotDue {
		t.Errorf("%+v", got)
	}
	if e := w.last(t, 2); e.Result != audit.NotDue || e.Reason != "grace" || e.Service != "sudo" {
		t.Errorf("%+v", e)
	}
	w.pass(time.Second)
	if _, got := w.open(t, inSession, sudo); got.done {
		t.Errorf("after five minutes: %+v", got)
	}
}

func TestGraceIsOfOneSession(t *testing.T) {
	with := func(change func(*Caller, *wire.Open)) (Caller, wire.Open) {
		c, o := inSession, sudo
		change(&c, &o)
		return c, o
	}
	for name, change := range map[string]func(*Caller, *wire.Open){
		"another session":  func(c *Caller, _ *wire.Open) { c.Session = named("two") },
		"no session":       func(c *Caller, _ *wire.Open) { c.Session = named("") },
		"never a session":  func(c *Caller, _ *wire.Open) { c.Session = nil },
		"another terminal": func(_ *Caller, o *wire.Open) { o.TTY = "/dev/pts/4" },
		"no terminal":      func(_ *Caller, o *wire.Open) { o.TTY = "" },
		"a display":        func(_ *Caller, o *wire.Open) { o.TTY = ":0" },
		"cron":             func(_ *Caller, o *wire.Open) { o.TTY = "cron" },
		"another service":  func(_ *Caller, o *wire.Open) { o.Service = "su" },
		"another person":   func(_ *Caller, o *wire.Open) { o.RUser = "bob" },
		"from afar":        func(_ *Caller, o *wire.Open) { o.RHost = "192.0.2.7" },
		"not root":         func(c *Caller, _ *wire.Open) { *c = Caller{UID: 1000, User: "alice", Session: named("one")} },
	} {
		w := graceWorld()
		d, _ := w.open(t, inSession, sudo)
		d.answer(t, w.code(t))
		w.pass(time.Second)
		caller, open := with(change)
		if _, got := w.open(t, caller, open); got.verdict != 0 {
			t.Errorf("%s: %+v", name, got)
		}
		// Nor is it granted there, or to anybody else.
		w = graceWorld()
		d, _ = w.open(t, caller, open)
		d.answer(t, w.code(t))
		if _, got := w.open(t, inSession, sudo); got.done {
			t.Errorf("%s before: %+v", name, got)
		}
	}
}

func TestNoGrace(t *testing.T) {
	for name, spoil := range map[string]func(*world){
		"no rule any more": func(w *world) { w.cfg.Rules[0].Grace = 0 },
		"a shorter rule":   func(w *world) { w.cfg.Rules[0].Grace = time.Minute },
		"a clock set back": func(w *world) { w.pass(-10 * time.Minute) },
		"forgotten": func(w *world) {
			acc := w.store.accounts["alice"]
			acc.Grace = nil
			w.store.accounts["alice"] = acc
		},
	} {
		w := graceWorld()
		d, _ := w.open(t, inSession, sudo)
		d.answer(t, w.code(t))
		w.pass(2 * time.Minute)
		spoil(w)
		if _, got := w.open(t, inSession, sudo); got.done {
			t.Errorf("%s: %+v", name, got)
		}
	}
	w := graceWorld()
	w.cfg.Tries = 1
	d, _ := w.open(t, inSession, sudo)
	d.answer(t, w.wrong(t))
	if _, got := w.open(t, inSession, sudo); got.done {
		t.Errorf("after a wrong code: %+v", got)
	}
}

func TestGraceList(t *testing.T) {
	w := graceWorld()
	for i := range account.GraceMax + 3 {
		w.pass(30 * time.Second)
		w.cfg.Rules[0].Grace = time.Hour
		c := inSession
		c.Session = named(fmt.Sprint(i))
		d, _ := w.open(t, c, sudo)
		if got := d.answer(t, w.code(t)); got.verdict != wire.Accepted {
			t.Fatalf("%+v", got)
		}
	}
	if n := len(w.store.accounts["alice"].Grace); n != account.GraceMax {
		t.Errorf("%d", n)
	}
	w.pass(2 * time.Hour)
	d, _ := w.open(t, inSession, sudo)
	d.answer(t, w.code(t))
	if n := len(w.store.accounts["alice"].Grace); n != 1 {
		t.Errorf("%d after the others' end", n)
	}
}
