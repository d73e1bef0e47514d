package login

import (
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// A trial says what is due, asks nothing, changes nothing, and is no event of a login. Only root tries logins:
// what others send as a trial is turned away as a login, and recorded as one.
func TestTrial(t *testing.T) {
	alice := Caller{UID: 1000, User: "alice"}
	for _, c := range []struct {
		name    string
		caller  Caller
		user    string
		require policy.Kind
		verdict wire.Outcome
		kind    audit.Kind
		reason  string
	}{
		{"not enrolled", root, "bob", policy.Optional, wire.NotDue, audit.Trial, "trial"},
		{"enrolled", root, "alice", policy.Optional, wire.Refused, audit.Trial, "trial"},
		{"exempt", root, "alice", policy.Exempt, wire.NotDue, audit.Trial, "trial"},
		{"must enrol", root, "bob", policy.Required, wire.Refused, audit.Trial, "trial"},
		{"unknown", root, "mallory", policy.Optional, wire.Refused, audit.Trial, "unknown_user"},
		{"directory down", root, "down", policy.Optional, wire.Unavailable, audit.Trial, "user_lookup"},
		{"not root", alice, "alice", policy.Optional, wire.Refused, audit.Login, "not_own_login"},
		{"not root, exempt", alice, "alice", policy.Exempt, wire.Refused, audit.Login, "not_own_login"},
		{"not root, somebody else", alice, "bob", policy.Optional, wire.Refused, audit.Login, "not_own_login"},
	} {
		for _, together := range []bool{false, true} {
			w := newWorld()
			w.cfg.Rules = policy.Rules{{Require: c.require, EnrolBy: noon.Add(-time.Hour)}}
			d := w.Begin(c.caller, wire.Open{Version: wire.Version, User: c.user, Service: "sshd", Combined: together, Trial: true})
			got := read(t, d.Open(t.Context()))
			if len(got.asks) != 0 || !got.done || got.verdict != c.verdict {
				t.Errorf("%s: %+v", c.name, got)
			}
			d.Abandon()
			if e := w.last(t, 1); e.Kind != c.kind || e.Reason != c.reason {
				t.Errorf("%s: %+v", c.name, e)
			}
			if w.store.writes != 0 {
				t.Errorf("%s: %d writes", c.name, w.store.writes)
			}
			if c.verdict == wire.Refused && c.reason == "trial" && !strings.Contains(got.tells[0], "only a trial") {
				t.Errorf("%s: %q", c.name, got.tells)
			}
		}
	}
}
