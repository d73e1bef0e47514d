package enrol

import (
	"context"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// Disable takes the user's second factor away, with everything that is kept of the user: a pending
// enrolment, all other ways in, failures, that the next login must enrol. A record that can't be read goes
// too.
func (s *Service) Disable(ctx context.Context, user string) error {
	r := s.report(ctx, audit.Disable, "disable", user)
	acc, _, err := s.store.Get(ctx, user)
	if err == nil && acc.Empty() {
		return r.refuse(errNotEnrolled)
	}
	if err != nil {
		r.event.Detail = err.Error()
	}
	if err := s.store.Delete(ctx, user); err != nil {
		return r.refuse(err)
	}
	r.done(audit.Done, "")
	return nil
}

// DisableWithCode does so when code is right, in one change with its use.
func (s *Service) DisableWithCode(ctx context.Context, user, code string) error {
	r := s.report(ctx, audit.Disable, "disable", user)
	err := s.change(ctx, r, user, Consent{Code: code}, func(acc account.Account, _ time.Time) (account.Account, error) {
		return account.Account{User: acc.User}, nil
	})
	if err != nil {
		return err
	}
	r.done(audit.Done, r.event.Device)
	return nil
}
