package enrol

import (
	"context"
	"errors"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// Disable takes the user's second factor away, with a pending enrolment and all failures, of codes
// and of passwords: it is how root helps a user who is locked. A record that can't be read goes too.
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

// DisableWithCode does so when code is right. The code is judged as in a login, with the same
// throttle, in one change with the removal.
func (s *Service) DisableWithCode(ctx context.Context, user, code string) error {
	r := s.report(ctx, audit.Disable, "disable", user)
	var out verify.Outcome
	var retryAfter int
	err := s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		now := s.clock()
		open := func(d account.Device) ([]byte, error) { return s.key.Open(user, d.ID, d.Sealed) }
		acc, out = verify.Answer(acc, code, open, s.cfg.Skew, s.cfg.Limits, verify.Login{}, now)
		retryAfter = 0
		if !out.Until.IsZero() {
			retryAfter = throttle.Seconds(out.Until.Sub(now))
		}
		switch out.Kind {
		case verify.Accepted:
			return account.Account{User: acc.User}, nil
		case verify.Wrong:
			return acc, nil
		}
		return acc, errUnchanged
	})
	switch {
	case err == nil && out.Kind == verify.Accepted:
		r.done(audit.Done, out.Device)
		return nil
	case err != nil && !errors.Is(err, errUnchanged):
		return r.refuse(err)
	}
	return r.refuse(judged(out, retryAfter))
}

// judged is the refusal that an outcome of verify other than Accepted calls for.
func judged(out verify.Outcome, retryAfter int) *refusal {
	switch out.Kind {
	case verify.Wrong:
		reason := "wrong_code"
		if out.Locks {
			reason = "wrong_code_locks"
		}
		return &refusal{code: control.ErrWrongCode, reason: reason, message: "wrong code", retryAfter: retryAfter}
	case verify.Replayed:
		return &refusal{code: control.ErrWrongCode, reason: "used_code", message: "that code was used already, wait for the next one"}
	case verify.Malformed:
		return &refusal{code: control.ErrWrongCode, reason: "malformed", message: "not a code of this user's devices: it has 6 or 8 digits"}
	case verify.Waiting:
		return &refusal{code: control.ErrWait, reason: "wait", message: "too many wrong codes", retryAfter: retryAfter}
	case verify.Locked:
		return &refusal{code: control.ErrLocked, reason: "locked", message: "locked after too many wrong codes"}
	case verify.BrokenSecret:
		return brokenSecret(out.Err)
	case verify.NotEnrolled:
		return errNotEnrolled
	}
	return &refusal{code: control.ErrUnavailable, reason: "outcome", message: "the code could not be judged"}
}

// Status tells what may be told of the user's account. It also drops an enrolment whose time is over.
func (s *Service) Status(ctx context.Context, user string) (control.Account, error) {
	acc, _, err := s.store.Get(ctx, user)
	if err != nil {
		return control.Account{}, s.report(ctx, audit.Enrol, "status", user).refuse(err)
	}
	acc.User = user
	if acc.Pending != nil && !s.clock().Before(acc.Pending.Expires) {
		s.forget(ctx, user)
	}
	return s.Describe(acc), nil
}

// forget drops an enrolment whose time is over. Nothing depends on it: it will not be confirmed
// either way, and what can't be written now is dropped another time.
func (s *Service) forget(ctx context.Context, user string) {
	_ = s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		if acc.Pending == nil || s.clock().Before(acc.Pending.Expires) {
			return acc, errUnchanged
		}
		acc.Pending = nil
		return acc, nil
	})
}

// Describe tells what may be told of an account.
func (s *Service) Describe(acc account.Account) control.Account {
	now := s.clock()
	told := control.Account{
		User: acc.User, Enrolled: acc.Enrolled(), Devices: []control.Device{}, Failures: acc.Codes.Failures,
	}
	for _, d := range acc.Devices {
		told.Devices = append(told.Devices, control.Device{
			Name: d.Name, Digits: d.Digits, Period: d.Period, Algorithm: string(d.Algorithm),
			Added: d.Added, LastUsed: d.LastUsed,
		})
	}
	if acc.Pending != nil && now.Before(acc.Pending.Expires) {
		told.PendingUntil = acc.Pending.Expires
	}
	switch v := throttle.Decide(s.cfg.Limits, acc.Codes, now); v.Kind {
	case throttle.Allowed:
	case throttle.Wait:
		told.WaitUntil = v.Until.Round(0).UTC()
	default:
		told.Locked = true
	}
	return told
}
