package server

import (
	"context"
	"errors"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/password"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// consent is an admin's word, or password and code of the owner: the password is judged here, the code with
// what it allows. root is an admin for its own account only where it names itself.
func (c *call) consent(ctx context.Context, password, code control.Secret) (enrol.Consent, error) {
	if c.admin {
		return enrol.Consent{Admin: true}, nil
	}
	return enrol.Consent{Code: string(code)}, c.prove(ctx, password)
}

// prove returns nil when secret is the password of the call's user. The failure is counted before
// totpd-password is asked, and taken back when the password is right or was never judged: guesses made
// at the same time, or cut off in between, gain nothing.
func (c *call) prove(ctx context.Context, secret control.Secret) error {
	question := password.Question{User: c.user, Password: []byte(secret)}
	defer clear(question.Password)
	if err := question.Valid(); err != nil {
		return c.malformed("password: " + err.Error())
	}
	before, counted, err := c.countFailure(ctx)
	if err != nil {
		return err
	}
	answer, err := c.control.Password(ctx, c.user, question.Password)
	switch {
	case err != nil && !errors.Is(err, password.ErrNotAsked):
		// Counted: a PAM stack that fails on wrong passwords only would else answer any number of guesses.
		return c.unavailable("password_check", err)
	case err != nil:
		// The request's time may be over.
		restore, cancel := context.WithTimeout(context.WithoutCancel(ctx), stepTime)
		defer cancel()
		if undo := c.setAttempts(restore, counted, before); undo != nil {
			err = errors.Join(err, undo)
		}
		return c.unavailable("password_check", err)
	case answer.Verdict != password.Right:
		return c.refuseDetail(control.ErrWrongPassword, "wrong password", answer.Reason)
	}
	if err := c.setAttempts(ctx, counted, account.Attempts{}); err != nil {
		return c.unreadable(err)
	}
	return nil
}

// countFailure judges the throttle and counts one wrong password. It returns the attempts before and
// after.
func (c *call) countFailure(ctx context.Context) (before, counted account.Attempts, err error) {
	_, limits := c.control.Settings()
	now := c.control.Clock()
	var verdict throttle.Verdict
	err = c.control.Accounts.Update(ctx, c.user, func(a account.Account) (account.Account, error) {
		before = a.Password
		if verdict = throttle.Decide(limits, a.Password, now); verdict.Kind != throttle.Allowed {
			return a, errThrottled
		}
		a.Password = throttle.Failed(limits, a.Password, now)
		counted = a.Password
		return a, nil
	})
	switch {
	case err == nil:
		return before, counted, nil
	case !errors.Is(err, errThrottled):
		return before, counted, c.unreadable(err)
	case verdict.Kind == throttle.Wait:
		wait := c.refuse(control.ErrWait, "too many wrong passwords; wait").(*control.Error)
		wait.RetryAfter = throttle.Seconds(verdict.Until.Sub(now))
		return before, counted, wait
	}
	return before, counted, c.refuse(control.ErrLocked, "too many wrong passwords; root must help")
}

var errThrottled = errors.New("throttled")

// setAttempts puts the attempts to what they should be, unless somebody else has failed since counted:
// then only the one failure that counted added is taken back.
func (c *call) setAttempts(ctx context.Context, counted, to account.Attempts) error {
	return c.control.Accounts.Update(ctx, c.user, func(a account.Account) (account.Account, error) {
		switch {
		case a.Password.Failures == counted.Failures:
			a.Password = to
		case a.Password.Failures > counted.Failures:
			a.Password.Failures--
		}
		return a, nil
	})
}
