package login

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// A user who isn't the one who enrolled, or who enrolled under another name, is refused before anything is asked, and
// the line says what helps. A rule that asks for nothing asks for no owner either.
func TestForeignAccounts(t *testing.T) {
	for what, c := range map[string]struct {
		user    string
		err     error
		kind    policy.Kind
		verdict wire.Outcome
		reason  string
		detail  string
	}{
		"another uid":   {"alice", &account.Foreign{Account: "alice", UID: 1, User: account.Identity{Name: "alice", UID: 2}}, policy.Optional, wire.Refused, "other_uid", "totpctl adopt alice if it is the same person, else totpctl reset alice"},
		"renamed":       {"bob", &account.Foreign{Account: "bobby", UID: 2, User: account.Identity{Name: "bob", UID: 2}}, policy.Optional, wire.Refused, "renamed", "totpctl adopt bob bobby"},
		"must enrol":    {"bob", &account.Foreign{Account: "bobby", UID: 2, User: account.Identity{Name: "bob", UID: 2}}, policy.Required, wire.Refused, "renamed", "bobby"},
		"nobody knows":  {"bob", errors.New("no directory"), policy.Optional, wire.Unavailable, "user_lookup", "no directory"},
		"exempt":        {"bob", errors.New("no directory"), policy.Exempt, wire.NotDue, "exempt", ""},
		"all is well":   {"bob", nil, policy.Optional, wire.NotDue, "not_enrolled", ""},
		"well enrolled": {"alice", nil, policy.Optional, 0, "", ""},
	} {
		for _, together := range []bool{false, true} {
			w := newWorld()
			w.cfg.Rules = policy.Rules{{Require: c.kind}}
			w.uids = map[string]uint32{"alice": 7, "bob": 8}
			asked := 0
			w.cfg.Owner = func(_ context.Context, is account.Identity, acc account.Account) error {
				if asked++; is.Name != c.user || is.UID != w.uids[c.user] || acc.User != c.user {
					t.Errorf("%s: asked about %+v, %+v", what, is, acc)
				}
				return c.err
			}
			d := w.Begin(root, wire.Open{User: c.user, Service: "sshd", Combined: together})
			got := read(t, d.Open(t.Context()))
			if together && c.verdict == wire.Refused { // it is told to whoever knows the password
				if len(got.asks) != 1 {
					t.Errorf("%s: %+v", what, got)
				}
				got = read(t, d.Answer(t.Context(), []byte("123456")))
			}
			if got.verdict != c.verdict || (c.verdict == 0) != (len(got.asks) == 1) {
				t.Errorf("%s: %+v", what, got)
			}
			if c.reason == "" {
				continue
			}
			if e := w.last(t, 1); e.Reason != c.reason || !strings.Contains(e.Detail, c.detail) {
				t.Errorf("%s: %+v", what, e)
			}
			if w.store.writes != 0 {
				t.Errorf("%s: %d writes", what, w.store.writes)
			}
			if c.kind == policy.Exempt && asked != 0 {
				t.Errorf("%s: asked", what)
			}
		}
	}
}
