package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// opened decides whether a code is due. A wait or a lock ends the login here: whoever can't be
// answered isn't asked.
func (d *Dialogue) opened(ctx context.Context, _ []byte) decision {
	s := d.service
	acc, _, err := s.store.Get(ctx, d.user)
	if err != nil {
		return d.unavailable("store", err)
	}
	now := s.clock()
	due, err := d.due(ctx, acc, now)
	switch {
	case err != nil:
		return d.unavailable("user_lookup", err)
	case due.Kind == policy.Exempt:
		return decision{result: audit.NotDue, reason: "exempt", detail: due.Reason}
	case due.Kind == policy.Optional && !acc.Enrolled():
		return decision{result: audit.NotDue, reason: "not_enrolled", detail: due.Reason}
	case due.Kind == policy.Required && !acc.Enrolled() && !due.EnrolBy.IsZero():
		return decision{result: audit.NotDue, reason: "not_enrolled", detail: due.Reason, say: sayEnrolBy(due, now)}
	case due.Kind == policy.Required && !acc.CanAnswer(now):
		return decision{result: audit.Refused, reason: "not_enrolled", detail: due.Reason, say: sayNotEnrolled(d.reference)}
	case due.Kind != policy.Optional && due.Kind != policy.Required:
		return d.unavailable("policy", fmt.Errorf("unknown kind of decision %d", due.Kind))
	}
	out, allowed := d.judge().Allowed(acc, d.login(now), now)
	switch {
	case allowed:
		return decision{} // ask
	case out.RecoveryOnly:
		d.recoveryOnly = true
		return decision{say: sayRecoveryOnly(out, now)} // ask
	}
	return d.judged(out, now)
}

// errUnchanged makes Update write nothing.
var errUnchanged = errors.New("nothing to write")

// answered judges an answer. The account's change is durable before the decision leaves here.
func (d *Dialogue) answered(ctx context.Context, text []byte) decision {
	s := d.service
	answer := string(text) // a copy: the change may outlive this call, and the buffer is the caller's
	judge, login := d.judge(), d.login(s.clock())
	var out verify.Outcome
	var now time.Time
	err := s.store.Update(ctx, d.user, func(acc account.Account) (account.Account, error) {
		// The time is read when it is this answer's turn, or answers that queued up together could
		// overtake a wait that one of them has begun.
		now = s.clock()
		acc, out = judge.Answer(acc, answer, login, now)
		if out.Kind != verify.Accepted && out.Kind != verify.Wrong {
			return acc, errUnchanged
		}
		return acc, nil
	})
	// After any other error the change may still be running: out is not to be read.
	if err != nil && !errors.Is(err, errUnchanged) {
		return d.unavailable("store", err)
	}
	if out.Kind == verify.Accepted && err != nil {
		return d.unavailable("not_stored", err)
	}
	d.counted(out, now)
	return d.judged(out, now)
}

// abandoned ends a login that nobody waits for any more.
func (d *Dialogue) abandoned(context.Context, []byte) decision {
	reason := "before_open"
	if d.state == asked {
		reason = "before_answer"
	}
	return decision{result: audit.Abandoned, reason: reason}
}

// judged turns an outcome of verify into a decision.
func (d *Dialogue) judged(out verify.Outcome, now time.Time) decision {
	again := d.count[answerMessage] < d.tries()
	switch out.Kind {
	case verify.Accepted, verify.Repeated:
		return d.letIn(out)
	case verify.Wrong:
		return d.wrong(out, again, now)
	case verify.Replayed:
		if again {
			return decision{result: audit.Retry, reason: "used_code", device: out.Device, say: sayUsedTryAgain()}
		}
		return decision{result: audit.Refused, reason: "used_code", device: out.Device, say: sayUsed(d.reference)}
	case verify.Malformed:
		if again {
			return decision{result: audit.Retry, reason: "malformed", say: sayNoCode()}
		}
		return d.refused("malformed")
	case verify.Waiting, verify.Locked:
		return d.held(out, again, now)
	case verify.BrokenSecret:
		dec := d.unavailable("broken_secret", out.Err)
		dec.device = out.Device
		return dec
	case verify.NotEnrolled:
		// Disabled while the person was typing.
		return d.refused("not_enrolled")
	}
	return d.unavailable("outcome", fmt.Errorf("unknown kind of outcome %d", out.Kind))
}
