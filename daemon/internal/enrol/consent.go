package enrol

import (
	"context"
	"errors"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/recovery"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// Consent is what allows a change of an account: an admin's word, or a code of the owner's, whose password
// was asked for. The zero value allows nothing.
type Consent struct {
	Admin bool
	Code  string

	first bool // is only needed of whoever has a device: what is asked for may be the first one
}

// change makes a change of an account that its owner or an admin consents to. A code is judged as in a
// login, with the same throttle, in one change with what it allows: where then fails, it isn't used up. An
// error of change is recorded, and is for the command line.
func (s *Service) change(ctx context.Context, r *report, user string, consent Consent, then func(account.Account, time.Time) (account.Account, error)) error {
	var out verify.Outcome
	var retryAfter int
	err := s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		now := s.clock()
		out, retryAfter = verify.Outcome{Kind: verify.Accepted}, 0
		if !consent.Admin && !(consent.first && !acc.Enrolled()) {
			if err := consent.presentable(); err != nil {
				return acc, err
			}
			acc, out = s.judge(user).Answer(acc, consent.Code, verify.Login{}, now)
		}
		if !out.Until.IsZero() {
			retryAfter = throttle.Seconds(out.Until.Sub(now))
		}
		switch out.Kind {
		case verify.Accepted:
			return then(acc, now)
		case verify.Wrong:
			return acc, nil
		}
		return acc, errUnchanged
	})
	switch {
	case err != nil && !errors.Is(err, errUnchanged):
		return r.refuse(err)
	case out.Kind != verify.Accepted:
		return r.refuse(judged(out, retryAfter))
	}
	r.event.Device = out.Device
	return nil
}

// presentable refuses what is no proof of the owner's, whether it is right or not.
func (c Consent) presentable() error {
	if c.first && c.Code == "" {
		return errAlreadyEnrolled
	}
	if _, kind := recovery.Normal(c.Code); kind == recovery.Bypass {
		// Whoever has read it out would else be able to change the account.
		return errBypassCode
	}
	return nil
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
		return &refusal{code: control.ErrWrongCode, reason: "malformed", message: "not a code: one of a device has 6 or 8 digits, a recovery code 12 letters"}
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
