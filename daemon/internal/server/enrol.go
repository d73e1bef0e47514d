package server

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/enrol"
)

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

// disable is an admin's without a proof, and the owner's with password and code. root is an admin for
// its own account too.
func (c *call) disable(ctx context.Context, r control.DisableRequest) (control.Nothing, error) {
	if c.admin || c.peer.Root() {
		return control.Nothing{}, c.enrolment().Disable(ctx, c.user)
	}
	if !c.self {
		return control.Nothing{}, c.notAllowed("not your own account")
	}
	if err := c.prove(ctx, r.Password); err != nil {
		return control.Nothing{}, err
	}
	return control.Nothing{}, c.enrolment().DisableWithCode(ctx, c.user, string(r.Code))
}
