package server

import (
	"context"
	"time"

	"github.com/totpd/totpd/daemon/control"
)

func (c *call) recoveryCodes(ctx context.Context, r control.RecoveryCodesRequest) (control.RecoveryCodes, error) {
	consent, err := c.consent(ctx, r.Password, r.Code)
	if err != nil {
		return control.RecoveryCodes{}, err
	}
	return c.enrolment().NewRecoveryCodes(ctx, c.user, consent)
}

func (c *call) bypass(ctx context.Context, r control.BypassRequest) (control.BypassCode, error) {
	const most = 365 * 24 * 3600 // beyond all limits, and no overflow
	return c.enrolment().Bypass(ctx, c.user, time.Duration(max(0, min(r.For, most)))*time.Second, r.Uses)
}

func (c *call) revoke(ctx context.Context, r control.RevokeRequest) (control.Revoked, error) {
	return c.enrolment().Revoke(ctx, c.user, r.ID)
}
