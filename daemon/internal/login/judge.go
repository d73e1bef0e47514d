package login

import (
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// judge is what this login's answers are judged by.
func (d *Dialogue) judge() verify.Judge {
	s := d.service
	return verify.By(s.key, d.user, s.cfg.Skew, s.cfg.Limits)
}

// login is this login for verify.
func (d *Dialogue) login(now time.Time) verify.Login {
	mark := d.mark()
	return verify.Login{
		Mark: mark, Since: d.service.cfg.Since, Source: d.source().Key(),
		Failed: d.service.failures.of(d.user, mark, now) + d.failed,
	}
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

// counted keeps what an answer has counted, for the login's success to take back.
func (d *Dialogue) counted(out verify.Outcome, now time.Time) {
	switch mark := d.mark(); {
	case out.Kind == verify.Accepted:
		d.service.failures.forget(d.user, mark)
	case out.Counted == 0:
	case mark == nil:
		d.failed += out.Counted
	default:
		d.service.failures.add(d.user, mark, out.Counted, now)
	}
}

// reasons of an acceptance, by what was accepted.
var reasons = map[verify.Way]string{
	verify.Code: "code", verify.RecoveryCode: "recovery_code", verify.BypassCode: "bypass_code",
}

// letIn is the acceptance of an answer.
func (d *Dialogue) letIn(out verify.Outcome) decision {
	dec := decision{result: audit.Accepted, reason: reasons[out.Way], device: out.Device}
	if out.Way == verify.RecoveryCode {
		dec.detail, dec.say = fmt.Sprintf("%d left", out.Left), sayRecoveryLeft(out.Left)
	}
	if out.Kind == verify.Repeated {
		dec.reason += "_repeated"
	}
	return dec
}

// wrong is the refusal of a wrong answer.
func (d *Dialogue) wrong(out verify.Outcome, again bool, now time.Time) decision {
	dec := decision{result: audit.Refused, reason: "wrong_code"}
	switch out.Way {
	case verify.RecoveryCode:
		dec.reason = "wrong_recovery_code"
	case verify.BypassCode:
		dec.reason = "wrong_bypass_code"
	}
	switch {
	case out.Locks:
		dec.reason += "_locks"
		dec.detail = elsewhere(out)
		dec.say = sayLocked(out, d.reference)
	case !out.Until.IsZero():
		dec.detail = until(out.Until)
		dec.say = sayWait(out, now, d.reference)
	case again:
		dec.result, dec.say = audit.Retry, sayTryAgain(out)
	default:
		dec.say = sayWrong(out, d.reference)
	}
	if out.ClockOff != 0 && dec.detail == "" {
		dec.detail = "the device's clock is " + ahead(out.ClockOff)
	}
	if out.RecoveryOnly && again {
		d.recoveryOnly = true
		dec.result, dec.say = audit.Retry, sayRecoveryOnly(out, now)
	}
	return dec
}

// held is the refusal of an answer that wasn't judged.
func (d *Dialogue) held(out verify.Outcome, again bool, now time.Time) decision {
	dec := decision{result: audit.Refused, reason: "wait", detail: until(out.Until), say: sayWait(out, now, d.reference)}
	if out.Kind == verify.Locked {
		dec = decision{result: audit.Refused, reason: "locked", detail: elsewhere(out), say: sayLocked(out, d.reference)}
	}
	if out.RecoveryOnly && again {
		d.recoveryOnly = true
		dec.result, dec.say = audit.Retry, sayRecoveryOnly(out, now)
	}
	return dec
}

// elsewhere is the detail of a lock that doesn't hold everywhere.
func elsewhere(out verify.Outcome) string {
	if out.Elsewhere {
		return "not for sources of earlier logins"
	}
	return ""
}

func until(t time.Time) string { return "until " + t.UTC().Format(time.RFC3339) }

// Of so many logins the failures are remembered, for so long. A program that asks again in the same PAM
// handle, as sudo does, is one login in several dialogues.
const (
	failuresMax  = 1024
	failuresTime = 10 * time.Minute
)

// failures are those of the logins that may go on. Those that are forgotten count.
type failures struct {
	mu  sync.Mutex
	all map[string]failed
}

type failed struct {
	count int
	last  time.Time
}

func newFailures() *failures { return &failures{all: map[string]failed{}} }

// of returns how many the login has had.
func (f *failures) of(user string, mark []byte, now time.Time) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	e := f.all[string(mark)+user]
	if ago := now.Sub(e.last); ago < 0 || ago > failuresTime {
		return 0
	}
	return e.count
}

// add counts n more of the login. The login that has waited longest makes place.
func (f *failures) add(user string, mark []byte, n int, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	key, oldest := string(mark)+user, ""
	if _, there := f.all[key]; !there && len(f.all) >= failuresMax {
		for k, e := range f.all {
			if oldest == "" || e.last.Before(f.all[oldest].last) {
				oldest = k
			}
		}
		delete(f.all, oldest)
	}
	f.all[key] = failed{count: f.all[key].count + n, last: now}
}

func (f *failures) forget(user string, mark []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.all, string(mark)+user)
}
