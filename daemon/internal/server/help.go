package server

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/audit"
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

func (c *call) reset(ctx context.Context, _ control.ResetRequest) (control.Account, error) {
	return c.enrolment().Reset(ctx, c.user)
}
