package server

import (
	"context"
	"testing"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
)

// A user whose account is another one's, or is kept under a former name, can do nothing with it: not take it away, and
// not set up another one beside it. Root can.
func TestForeignAccount(t *testing.T) {
	owner := func(_ context.Context, is account.Identity, acc account.Account) error {
		if is.UID != stranger || is.Name != "nobody" || acc.User != "nobody" {
			t.Errorf("asked about %+v, %+v", is, acc)
		}
		return &account.Foreign{Account: "former", UID: is.UID, User: is}
	}
	a := serveControl(t, func(p *Parts) { p.Owner = owner })
	for verb, request := range map[control.Verb]any{
		control.VerbStatus:        control.StatusRequest{},
		control.VerbEnrol:         control.EnrolRequest{Password: "right"},
		control.VerbDisable:       control.DisableRequest{User: "nobody", Password: "right", Code: "123456"},
		control.VerbRecoveryCodes: control.RecoveryCodesRequest{Password: "right", Code: "123456"},
		control.VerbForget:        control.ForgetRequest{},
	} {
		_, e := a.post(t, stranger, verb, request, nil)
		a.expect(t, string(verb), control.ErrForeign, e)
		if verb == control.VerbStatus {
			if _, e := a.post(t, 0, verb, control.StatusRequest{User: "nobody"}, nil); e != nil {
				t.Errorf("root: %v", e)
			}
		}
	}
}
