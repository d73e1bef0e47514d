package login

import (
	"context"
	"crypto/sha256"
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
	if out, allowed := verify.Allowed(acc, s.cfg.Limits, now); !allowed {
		return d.judged(out, now)
	}
	return decision{} // ask
}

// errUnchanged makes Update write nothing.
var errUnchanged = errors.New("nothing to write")

// answered judges an answer. The account's change is durable before the decision leaves here.
func (d *Dialogue) answered(ctx context.Context, text []byte) decision {
	s := d.service
	answer := string(text) // a copy: the change may outlive this call, and the buffer is the caller's
	login := verify.Login{Mark: d.mark(), Since: s.cfg.Since}
	var out verify.Outcome
	var now time.Time
	err := s.store.Update(ctx, d.user, func(acc account.Account) (account.Account, error) {
		// The time is read when it is this answer's turn, or answers that queued up together could
		// overtake a wait that one of them has begun.
		now = s.clock()
		acc, out = verify.Answer(acc, answer, d.secret, s.cfg.Skew, s.cfg.Limits, login, now)
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
	return d.judged(out, now)
}

// mark is what an account remembers of the login that used a code: a hash, so that nobody learns the id
// from the store, and of the caller's uid too, so that nobody can repeat another's login. Nil: the login
// can't repeat anything.
func (d *Dialogue) mark() []byte {
	if d.open.ID == "" {
		return nil
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "totpd login\x00%d\x00%s", d.caller.UID, string(d.open.ID)))
	return sum[:]
}

// abandoned ends a login that nobody waits for any more.
func (d *Dialogue) abandoned(context.Context, []byte) decision {
	reason := "before_open"
	if d.state == asked {
		reason = "before_answer"
	}
	return decision{result: audit.Abandoned, reason: reason}
}

func (d *Dialogue) secret(dev account.Device) ([]byte, error) {
	return d.service.key.Open(d.user, dev.ID, dev.Sealed)
}

// judged turns an outcome of verify into a decision.
func (d *Dialogue) judged(out verify.Outcome, now time.Time) decision {
	again := d.count[answerMessage] < d.tries()
	switch out.Kind {
	case verify.Accepted:
		return decision{result: audit.Accepted, reason: "code", device: out.Device}
	case verify.Repeated:
		return decision{result: audit.Accepted, reason: "code_repeated", device: out.Device}
	case verify.Wrong:
		switch {
		case out.Locks:
			return decision{result: audit.Refused, reason: "wrong_code_locks", say: sayLocked(d.reference)}
		case !out.Until.IsZero():
			return decision{result: audit.Refused, reason: "wrong_code", detail: until(out.Until), say: sayWait(out.Until.Sub(now), d.reference)}
		case again:
			return decision{result: audit.Retry, reason: "wrong_code", say: sayTryAgain()}
		}
		return d.refused("wrong_code")
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
	case verify.Waiting:
		return decision{result: audit.Refused, reason: "wait", detail: until(out.Until), say: sayWait(out.Until.Sub(now), d.reference)}
	case verify.Locked:
		return decision{result: audit.Refused, reason: "locked", say: sayLocked(d.reference)}
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

func until(t time.Time) string { return "until " + t.UTC().Format(time.RFC3339) }
