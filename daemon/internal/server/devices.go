package server

import (
	"context"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/enrol"
)

// consent is an admin's word, or password and code of the owner: the password is judged here, the code with
// what it allows. root is an admin for its own account only where it names itself.
func (c *call) consent(ctx context.Context, password, code control.Secret) (enrol.Consent, error) {
	if c.admin {
		return enrol.Consent{Admin: true}, nil
	}
	return enrol.Consent{Code: string(code)}, c.prove(ctx, password)
}

func (c *call) enrol(ctx context.Context, r control.EnrolRequest) (control.Enrolment, error) {
	want := enrol.Wanted{Name: r.Name, Digits: r.Digits, Period: r.Period, Algorithm: account.Algorithm(r.Algorithm)}
	if r.Unconfirmed {
		if !c.admin {
			return control.Enrolment{}, c.notAllowed("your own device is confirmed with its first code")
		}
		return c.enrolment().Give(ctx, c.user, want)
	}
	consent, err := c.consent(ctx, r.Password, r.Code)
	if err != nil {
		return control.Enrolment{}, err
	}
	return c.enrolment().Start(ctx, c.user, want, consent)
}

func (c *call) confirm(ctx context.Context, r control.ConfirmRequest) (control.Confirmation, error) {
	return c.enrolment().Confirm(ctx, c.user, string(r.Code))
}

func (c *call) set(ctx context.Context, r control.SetRequest) (control.Confirmation, error) {
	return c.enrolment().Set(ctx, c.user, string(r.URI), r.Name, r.RecoveryCodes)
}

func (c *call) rename(ctx context.Context, r control.RenameRequest) (control.Account, error) {
	return c.enrolment().Rename(ctx, c.user, r.From, r.To)
}

func (c *call) remove(ctx context.Context, r control.RemoveRequest) (control.Account, error) {
	consent, err := c.consent(ctx, r.Password, r.Code)
	if err != nil {
		return control.Account{}, err
	}
	return c.enrolment().Remove(ctx, c.user, r.Name, consent)
}

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

// export is root's, with the consent of the user: the user's code.
func (c *call) export(ctx context.Context, r control.ExportRequest) (control.Export, error) {
	return c.enrolment().Export(ctx, c.user, string(r.Code))
}
