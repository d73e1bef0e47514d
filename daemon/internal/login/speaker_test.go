package login

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// radius runs as a user of its own, and may speak for others in one service.
var radius = Caller{UID: 107, User: "freerad"}

func speaking() *world {
	w := newWorld()
	w.cfg.Speakers = Speakers{"freerad": {"radiusd", "vpn"}}
	return w
}

// A speaker speaks in its own services, and nobody else does.
func TestSpeakers(t *testing.T) {
	for name, c := range map[string]struct {
		caller  Caller
		user    string
		service string
		verdict wire.Outcome // 0: asked
		reason  string
	}{
		"its service":            {radius, "alice", "radiusd", 0, ""},
		"the other one":          {radius, "alice", "vpn", 0, ""},
		"somebody not enrolled":  {radius, "bob", "radiusd", wire.NotDue, "not_enrolled"},
		"root's login":           {radius, "root", "radiusd", wire.NotDue, "not_enrolled"},
		"nobody's login":         {radius, "mallory", "radiusd", wire.Refused, "unknown_user"},
		"another service":        {radius, "alice", "sshd", wire.Refused, "not_own_login"},
		"no service":             {radius, "alice", "", wire.Refused, "not_own_login"},
		"another user's service": {Caller{UID: 1000, User: "bob"}, "alice", "radiusd", wire.Refused, "not_own_login"},
		"a uid without a name":   {Caller{UID: 107}, "alice", "radiusd", wire.Refused, "not_own_login"},
	} {
		w := speaking()
		got := read(t, w.Begin(c.caller, wire.Open{User: c.user, Service: c.service}).Open(context.Background()))
		if got.verdict != c.verdict || (c.verdict == 0) != (len(got.asks) == 1) {
			t.Errorf("%s: %+v", name, got)
		}
		if c.verdict == 0 {
			w.last(t, 0)
		} else if e := w.last(t, 1); e.Reason != c.reason {
			t.Errorf("%s: event %+v", name, e)
		}
	}
}

// What a speaker says of a remote host is told as its word, and counts for nothing: no rule that lets this host or a
// network off, no computer that is remembered, no place that the user is known in.
func TestTheWordOfASpeaker(t *testing.T) {
	for _, rhost := range []string{"", "192.0.2.7", ":0"} {
		for _, place := range []string{"local", "192.0.2.0/24"} {
			w := speaking()
			w.cfg.Rules = policy.Rules{
				{From: from(t, place), Require: policy.Exempt},
				{Require: policy.Optional, Remember: 30 * 24 * time.Hour},
			}
			d := w.Begin(radius, wire.Open{Version: wire.Version, User: "alice", Service: "radiusd", RHost: rhost})
			if got := read(t, d.Open(context.Background())); len(got.asks) != 1 {
				t.Fatalf("%q, %s: %+v", rhost, place, got)
			}
			got := read(t, d.Answer(context.Background(), []byte(w.code(t))))
			if got.verdict != wire.Accepted { // not a question whether to remember the computer
				t.Errorf("%q, %s: %+v", rhost, place, got)
			}
			if known := w.store.accounts["alice"].Sources; len(known) != 0 {
				t.Errorf("%q: known in %+v", rhost, known)
			}
			if e := w.last(t, 1); !strings.HasSuffix(e.Source, "says freerad") || !strings.HasPrefix(e.Source, rhost) {
				t.Errorf("%q: source %q", rhost, e.Source)
			}
		}
	}
}

// Guesses by way of a speaker lock nobody out where the owner has logged in before.
func TestGuessesThroughASpeaker(t *testing.T) {
	w := speaking()
	home := wire.Open{User: "alice", Service: "sshd", RHost: "192.0.2.7"}
	enter := func(caller Caller, open wire.Open, code string) shown {
		d := w.Begin(caller, open)
		got := read(t, d.Open(context.Background()))
		if len(got.asks) == 1 {
			got = read(t, d.Answer(context.Background(), []byte(code)))
		}
		return got
	}
	if got := enter(root, home, w.code(t)); got.verdict != wire.Accepted {
		t.Fatalf("at home: %+v", got)
	}
	for range 60 {
		w.pass(time.Hour)
		enter(radius, wire.Open{User: "alice", Service: "radiusd", RHost: "192.0.2.7"}, "000000")
	}
	if got := enter(radius, wire.Open{User: "alice", Service: "radiusd"}, w.code(t)); got.verdict == wire.Accepted {
		t.Errorf("after 60 wrong codes: %+v", got)
	}
	if got := enter(root, home, w.code(t)); got.verdict != wire.Accepted {
		t.Errorf("at home: %+v", got)
	}
}

// Nobody enrols by way of a speaker: it says itself that the password was right.
func TestNoEnrolmentThroughASpeaker(t *testing.T) {
	w := speaking()
	w.cfg.Rules = policy.Rules{{Require: policy.Required}}
	got := read(t, w.Begin(radius, wire.Open{Version: wire.Version, User: "bob", Service: "radiusd"}).Open(context.Background()))
	if e := w.last(t, 1); got.verdict != wire.Refused || e.Reason != "not_enrolled" {
		t.Errorf("%+v, %+v", got, e)
	}
}

// A refusal that is the caller's fault comes at once, with its cause, in a combined login too.
func TestNotASpeakerIsToldAtOnce(t *testing.T) {
	w := newWorld()
	got := read(t, w.Begin(radius, wire.Open{Version: wire.Version, User: "bob", Service: "radiusd", Combined: true}).Open(context.Background()))
	e := w.last(t, 1)
	if got.verdict != wire.Refused || e.Reason != "not_own_login" || !strings.Contains(e.Detail, "freerad isn't root, and no [[speaker]]") {
		t.Errorf("%+v, %+v", got, e)
	}
}

// Nor can anybody else who isn't root put the blame on another host.
func TestTheWordOfOthers(t *testing.T) {
	for _, c := range []struct {
		caller       Caller
		user, source string
	}{
		{Caller{UID: 1000, User: "bob"}, "alice", "192.0.2.7, says bob"},
		{Caller{UID: 1000, User: "bob"}, "mallory", "192.0.2.7, says bob"},
		{Caller{UID: 1234}, "alice", "192.0.2.7, says uid 1234"},
		{radius, "alice", "192.0.2.7, says freerad"},
		{Caller{Root: true}, "mallory", "192.0.2.7"},
	} {
		w := speaking()
		w.Begin(c.caller, wire.Open{User: c.user, Service: "sshd", RHost: "192.0.2.7"}).Open(context.Background())
		if e := w.last(t, 1); e.Source != c.source {
			t.Errorf("uid %d: from %q, want %q", c.caller.UID, e.Source, c.source)
		}
	}
}
