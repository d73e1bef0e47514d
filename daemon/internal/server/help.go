package server

import (
	"context"
	"errors"
	"fmt"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/login"
)

// loginsShown is how many events of logins show tells.
const loginsShown = 10

func (c *call) show(ctx context.Context, _ control.ShowRequest) (control.Shown, error) {
	shown, err := c.enrolment().Show(ctx, c.user)
	if err != nil {
		return control.Shown{}, err
	}
	if rules, err := c.policy(ctx, control.PolicyRequest{}); err == nil { // else the journal says why
		shown.Policy = &rules
	}
	shown.Logins, err = c.history(ctx, audit.Query{User: c.user, Kind: audit.Login, Limit: loginsShown})
	return shown, err
}

func (c *call) unlock(ctx context.Context, _ control.UnlockRequest) (control.Unlocked, error) {
	return c.enrolment().Unlock(ctx, c.user)
}

// adopt gives a user the account of before a change of name or uid. The account of a name whose user is there, and has
// the uid that the account knows, is that user's.
func (c *call) adopt(ctx context.Context, r control.AdoptRequest) (control.Account, error) {
	is, err := c.control.Names.Find(ctx, c.user)
	if err != nil {
		return control.Account{}, c.unavailable("name_service", err)
	}
	if r.From == "" || r.From == is.Name {
		return c.enrolment().Adopt(ctx, is, is.Name)
	}
	if !account.CanBeLogin(r.From) {
		return control.Account{}, c.malformed("from can't be the name of a user")
	}
	other, err := c.control.Names.Find(ctx, r.From)
	switch {
	case errors.Is(err, login.ErrUnknownUser):
	case err != nil:
		return control.Account{}, c.unavailable("name_service", err)
	case other.Name == r.From && other.UID == is.UID:
		return control.Account{}, c.refuse(control.ErrForeign, fmt.Sprintf("%.64q is a user of this host with the same uid, and keeps the account", r.From))
	}
	return c.enrolment().Adopt(ctx, is, r.From)
}

func (c *call) reset(ctx context.Context, _ control.ResetRequest) (control.Account, error) {
	return c.enrolment().Reset(ctx, c.user)
}
