package login

import (
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// Whoever must have a second factor and has none is asked for a code as long as the helpdesk has given one.
func TestABypassCodeIsAskedFor(t *testing.T) {
	w := newWorld()
	w.decide = func(policy.Rules, policy.Question) policy.Decision { return policy.Decision{Kind: policy.Required} }
	w.store.accounts["bob"] = account.Account{User: "bob", Bypass: []account.Bypass{{
		ID: "1", Hash: make([]byte, account.HashSize), Expires: w.clock().Add(time.Hour), Uses: 1,
	}}}
	if got := w.login(t, "bob"); got.verdict != 0 || len(got.asks) != 1 {
		t.Errorf("%+v", got)
	}
	w.pass(time.Hour)
	if got := w.login(t, "bob"); got.verdict != wire.Refused || len(got.asks) != 0 {
		t.Errorf("when its time is over: %+v", got)
	}
}
