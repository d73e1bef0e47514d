package login

import (
	"context"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// hangsUp is a caller that is there for so many looks, and then has hung up.
func hangsUp(c Caller, looks int) Caller {
	c.Gone = func() bool {
		looks--
		return looks < 0
	}
	return c
}

// notDelivered holds that the last of n events, and the step, are of a login that nobody heard of.
func (w *world) notDelivered(t *testing.T, name string, s Step, n int) {
	t.Helper()
	if !s.Done || len(s.Frames) != 0 {
		t.Errorf("%s: %d bytes for nobody, done %v", name, len(s.Frames), s.Done)
	}
	if e := w.last(t, n); e.Result != audit.Abandoned || e.Reason != "not_delivered" {
		t.Errorf("%s: %s %s", name, e.Result, e.Reason)
	}
}

// Whatever would have been said to an Open: where nobody is there to hear it, there was no login.
func TestOpenThatNobodyWaitsFor(t *testing.T) {
	soon := policy.Rules{{Require: policy.Required, EnrolBy: noon.Add(days)}}
	for name, c := range map[string]struct {
		user  string
		rules policy.Rules

		combined bool
		once     bool // nothing is decided but who it is
	}{
		"not enrolled":      {user: "bob"},
		"exempt":            {user: "alice", rules: policy.Rules{{Require: policy.Exempt}}},
		"days until a code": {user: "bob", rules: soon},
		"must enrol":        {user: "bob", rules: policy.Rules{{Require: policy.Required}}},
		"a question":        {user: "alice"},
		"password and code": {user: "alice", combined: true},
		"unknown":           {user: "mallory", once: true},
		"directory down":    {user: "down", once: true},
	} {
		for looks := range 2 {
			if c.once && looks > 0 {
				continue
			}
			w := newWorld()
			w.cfg.Rules = c.rules
			before := w.store.accounts["alice"]
			d := w.Begin(hangsUp(root, looks), wire.Open{Version: wire.Version, User: c.user, Service: "sshd", RHost: "192.0.2.7", Combined: c.combined})
			w.notDelivered(t, name, d.Open(context.Background()), 1)
			d.Abandon() // as the server does then
			w.last(t, 1)
			if w.store.writes != 0 || !reflect.DeepEqual(before, w.store.accounts["alice"]) {
				t.Errorf("%s: the account was changed", name)
			}
		}
	}
}

// An answer that nobody waits for any more isn't judged: the right code is still good, a wrong one doesn't count. So it
// is when the module hangs up while the change waits for its turn.
func TestAnswerThatNobodyWaitsFor(t *testing.T) {
	for name, answer := range map[string]func(*world) string{
		"right": func(w *world) string { return w.code(t) },
		"wrong": func(w *world) string { return w.wrong(t) },
		"empty": func(*world) string { return "" },
	} {
		for _, looks := range []int{2, 3} { // the Open has two
			w := newWorld()
			before := w.store.accounts["alice"]
			d, got := w.open(t, hangsUp(root, looks), fromAfar)
			if got.done {
				t.Fatalf("%+v", got)
			}
			w.notDelivered(t, name, d.Answer(context.Background(), []byte(answer(w))), 1)
			if w.store.writes != 0 || !reflect.DeepEqual(before, w.store.accounts["alice"]) {
				t.Errorf("%s: the account was changed", name)
			}
			if got := w.login(t, "alice", w.code(t)); got.verdict != wire.Accepted {
				t.Errorf("%s: then the code: %+v", name, got)
			}
		}
	}
}

// Nobody enrols, and no computer is remembered, in a login that has been given up.
func TestChangeThatNobodyWaitsFor(t *testing.T) {
	w := rememberingWorld()
	gone := false
	caller := root
	caller.Gone = func() bool { return gone }
	d, _ := w.open(t, caller, fromAfar)
	if got := d.answer(t, w.code(t)); got.done {
		t.Fatalf("%+v", got)
	}
	gone = true
	w.notDelivered(t, "remembering", d.Answer(context.Background(), []byte("y")), 1)
	if n := len(w.store.accounts["alice"].Remembered); n != 0 {
		t.Errorf("%d computers are remembered", n)
	}

	w, gone = newWorld(), false
	w.cfg.Rules = policy.Rules{{Require: policy.Required}}
	d = w.Begin(caller, wire.Open{Version: wire.Version, User: "bob", Service: "sshd"})
	d.proven(t)
	if got := d.answer(t, strconv.Itoa(d.enrolment.choices.key)); got.asks[0] != askFirstCode {
		t.Fatalf("%+v", got)
	}
	gone = true
	n := len(w.events.all)
	w.notDelivered(t, "enrolling", d.Answer(context.Background(), []byte(w.firstCode(t, d))), n+1)
	if w.store.accounts["bob"].Enrolled() {
		t.Error("enrolled")
	}
}

// A verdict that got lost on its way is told of after its line, and spares no later login a code.
func TestUndelivered(t *testing.T) {
	last := func(w *world, n int) {
		t.Helper()
		if e := w.last(t, n); e.Result != audit.Abandoned || e.Reason != "not_delivered" || e.Reference != w.events.all[n-2].Reference {
			t.Errorf("%+v", e)
		}
	}
	w := graceWorld()
	d, _ := w.open(t, inSession, sudo)
	if got := d.answer(t, w.code(t)); got.verdict != wire.Accepted {
		t.Fatalf("%+v", got)
	}
	d.Undelivered(context.Background())
	d.Abandon()
	last(w, 2)
	w.pass(30 * time.Second)
	if _, got := w.open(t, inSession, sudo); got.done {
		t.Errorf("the session was given its grace: %+v", got)
	}

	w = rememberingWorld()
	d, _ = w.open(t, root, fromAfar)
	d.answer(t, w.code(t))
	if got := d.answer(t, "y"); got.verdict != wire.Accepted {
		t.Fatalf("%+v", got)
	}
	d.Undelivered(context.Background())
	last(w, 2)
	w.pass(30 * time.Second)
	if _, got := w.open(t, root, fromAfar); got.done {
		t.Errorf("the computer was remembered: %+v", got)
	}

	w = newWorld()
	d, _ = w.open(t, root, wire.Open{User: "bob", Service: "sshd"})
	writes := w.store.writes
	d.Undelivered(context.Background())
	last(w, 2)
	if w.store.writes != writes {
		t.Error("something was written for a login without a code")
	}
}

// Where what was granted can't be taken back, the journal says so.
func TestUndeliveredAndDiskFull(t *testing.T) {
	w := graceWorld()
	d, _ := w.open(t, inSession, sudo)
	d.answer(t, w.code(t))
	w.store.full = errors.New("no space left on device")
	d.Undelivered(context.Background())
	if e := w.last(t, 2); !strings.HasPrefix(e.Detail, "not taken back: ") {
		t.Errorf("%+v", e)
	}
}
