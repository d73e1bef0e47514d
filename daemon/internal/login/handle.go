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
	if broken := new(account.Broken); errors.As(err, &broken) {
		return d.unavailable("broken_record", err)
	}
	if err != nil {
		return d.unavailable("store", err)
	}
	now := s.clock()
	if d.rule, err = d.due(ctx, acc, now); err != nil {
		return d.unavailable("user_lookup", err)
	}
	if dec, ok := d.foreign(ctx, acc); ok {
		return dec
	}
	due := d.rule.Due(acc.Enrolled(), acc.CanAnswer(now))
	if d.open.Trial {
		return d.tried(due)
	}
	switch due {
	case policy.Nothing:
		return d.notDue(now)
	case policy.Enrolment:
		return d.mustEnrol()
	case policy.Code:
	default:
		return d.unavailable("policy", fmt.Errorf("unknown kind of decision %d", d.rule.Kind))
	}
	if dec, ok := d.needless(ctx, acc, now); ok {
		return dec
	}
	if d.open.Combined {
		d.tails = tails(acc)
		return decision{next: asked} // a wait is told to whoever knows the password
	}
	out, allowed := d.judge().Allowed(acc, d.login(now), now)
	switch {
	case allowed:
		return decision{next: asked}
	case out.RecoveryOnly:
		d.recoveryOnly = true
		return decision{next: asked, say: sayRecoveryOnly(out, now)}
	}
	return d.judged(out, now)
}

// tried ends a trial with what is due. Nothing was asked or changed, so there is nothing to take back.
func (d *Dialogue) tried(due policy.Due) decision {
	if due == policy.Nothing {
		return decision{result: audit.NotDue, reason: "trial"}
	}
	return decision{result: audit.Refused, reason: "trial", say: sayTried(d.reference)}
}

// foreign refuses a user who is not the one who enrolled under this name, or who enrolled under another one. Who is
// asked for nothing anyway needs no account.
func (d *Dialogue) foreign(ctx context.Context, acc account.Account) (decision, bool) {
	if d.service.cfg.Owner == nil || d.rule.Kind == policy.Exempt {
		return decision{}, false
	}
	err := d.service.cfg.Owner(ctx, account.Identity{Name: d.user, UID: d.uid}, acc)
	foreign := new(account.Foreign)
	switch {
	case err == nil:
		return decision{}, false
	case !errors.As(err, &foreign):
		return d.unavailable("user_lookup", err), true
	}
	dec := d.refused("other_uid")
	if foreign.Renamed() {
		dec = d.refused("renamed")
	}
	dec.detail = foreign.Error()
	return dec, true
}

// errUnchanged makes Update write nothing.
var errUnchanged = errors.New("nothing to write")

// answered judges an answer. The account's change is durable before the decision leaves here.
func (d *Dialogue) answered(ctx context.Context, text []byte) decision {
	s := d.service
	answer := string(text) // a copy: the change may outlive this call, and the buffer is the caller's
	judge, login, session := d.judge(), d.login(s.clock()), d.session()
	var out verify.Outcome
	var now time.Time
	var grounds string
	var gone bool
	as := *d // this dialogue may be over by the time the event is asked for
	ctx = audit.Keep(ctx, func() audit.Event { return as.event(as.judged(out, now)) })
	err := s.store.Update(ctx, d.user, func(acc account.Account) (account.Account, error) {
		// The time is read when it is this answer's turn, or answers that queued up together could
		// overtake a wait that one of them has begun.
		if now, gone = s.clock(), d.gone(); gone {
			return acc, errUnchanged
		}
		acc, out = judge.Answer(acc, answer, login, now)
		grounds = groundsOf(acc)
		switch {
		case out.Kind == verify.Accepted && out.Way == verify.Code:
			return graced(acc, session, d.rule.Grace, now), nil
		case out.Kind == verify.Accepted, out.Kind == verify.Wrong:
			return acc, nil
		}
		return acc, errUnchanged
	})
	// After any other error the change may still be running: out is not to be read.
	if err != nil && !errors.Is(err, errUnchanged) {
		return d.unavailable("store", err)
	}
	if gone {
		return d.undelivered()
	}
	if out.Kind == verify.Accepted && err != nil {
		return d.unavailable("not_stored", err)
	}
	if out.Kind == verify.Accepted && session != nil {
		d.granted = append(d.granted, session)
	}
	d.counted(out, now)
	dec := d.judged(out, now)
	dec.kept = err == nil
	if dec.result == audit.Accepted && out.Way == verify.Code && d.mayRemember() {
		d.passed, d.grounds = dec, grounds
		return decision{next: remembering}
	}
	return dec
}

// abandonedWhen are the words for when a login was abandoned.
var abandonedWhen = map[state]string{
	begun: "before_open", asked: "before_answer", proving: "before_proof", choosing: "before_choice", confirming: "before_first_code",
	noting: "after_enrolment", remembering: "after_code",
}

// abandoned ends a login that nobody waits for any more.
func (d *Dialogue) abandoned(context.Context, []byte) decision {
	reason := abandonedWhen[d.state]
	if d.state == asked && d.open.Combined {
		reason = "before_code" // the password was wrong, or no code was typed behind it
	}
	return decision{result: audit.Abandoned, reason: reason, device: d.passed.device}
}

// judged turns an outcome of verify into a decision.
func (d *Dialogue) judged(out verify.Outcome, now time.Time) decision {
	switch out.Kind {
	case verify.Accepted, verify.Repeated:
		return d.letIn(out)
	case verify.Wrong:
		return d.wrong(out, d.again, now)
	case verify.Replayed:
		if d.again {
			return decision{result: audit.Retry, reason: "used_code", device: out.Device, say: sayUsedTryAgain()}
		}
		return decision{result: audit.Refused, reason: "used_code", device: out.Device, say: sayUsed(d.reference)}
	case verify.Malformed:
		if d.again {
			return decision{result: audit.Retry, reason: "malformed", say: sayNoCode()}
		}
		return d.refused("malformed")
	case verify.Waiting, verify.Locked:
		return d.held(out, d.again, now)
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
