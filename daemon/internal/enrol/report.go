package enrol

import (
	"context"
	"errors"
	"fmt"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// refusal is why something was not done. It becomes one journal line and one *control.Error.
type refusal struct {
	code       control.ErrorCode
	reason     string // for the journal
	message    string // for the person at the command line
	detail     string // for the journal only
	retryAfter int    // seconds
}

func (r *refusal) Error() string { return r.message }

// The refusals that need no more words.
var (
	errAlreadyEnrolled = &refusal{code: control.ErrAlreadyEnrolled, reason: "already_enrolled", message: "already enrolled: adding a device needs a code of one, or a recovery code"}
	errBypassCode      = &refusal{code: control.ErrWrongCode, reason: "bypass_code", message: "a bypass code is for logins: this needs a code of a device, or a recovery code"}
	errNotEnrolled     = &refusal{code: control.ErrNotEnrolled, reason: "not_enrolled", message: "not enrolled"}
	errLastDevice      = &refusal{code: control.ErrLastDevice, reason: "last_device", message: "it is the last device"}
	errTooManyDevices  = &refusal{code: control.ErrTooMany, reason: "too_many", message: fmt.Sprintf("an account has at most %d devices", account.DevicesMax)}
	errTooManyBypasses = &refusal{code: control.ErrTooMany, reason: "too_many", message: fmt.Sprintf("there are at most %d bypass codes at a time", account.BypassMax)}
	errNoBypass        = &refusal{code: control.ErrNoBypass, reason: "no_bypass", message: "there is no such bypass code"}
	errHasAccount      = &refusal{code: control.ErrAlreadyEnrolled, reason: "already_enrolled", message: "the user has an account already: take it away first, with disable"}
	errOtherUID        = &refusal{code: control.ErrForeign, reason: "other_uid", message: "that account belongs to another uid than this user has"}
	errNoPending       = &refusal{code: control.ErrNoPending, reason: "no_pending", message: "no enrolment waits for a code"}
	errPendingOver     = &refusal{code: control.ErrNoPending, reason: "pending_over", message: "the 10 minutes of this enrolment are over"}
)

// errUnchanged makes Update write nothing.
var errUnchanged = errors.New("nothing to write")

func brokenSecret(err error) *refusal {
	return &refusal{
		code: control.ErrBroken, reason: "broken_secret",
		message: "the record is broken: the stored secret can't be opened", detail: fmt.Sprint(err),
	}
}

// badSettings is a device that can't be made as the configuration says.
func badSettings(err error) *refusal {
	return &refusal{
		code: control.ErrUnavailable, reason: "settings",
		message: "no device can be made with this host's settings", detail: err.Error(),
	}
}

// report writes the one journal line of a request.
type report struct {
	service *Service
	event   audit.Event
	verb    string
	silent  bool // it is only asked what would be: no line
}

func (s *Service) report(ctx context.Context, kind audit.Kind, verb, user string) *report {
	event := audit.OriginOf(ctx)
	event.Kind, event.User = kind, user
	if event.Reference == "" {
		event.Reference = audit.NewReference()
	}
	return &report{service: s, verb: verb, event: event}
}

// done records what was done.
func (r *report) done(result audit.Result, device string) {
	r.event.Result, r.event.Device = result, device
	r.service.log.Record(r.event)
}

// retry records a first code that was not right.
func (r *report) retry(reason string) {
	r.event.Result, r.event.Reason = audit.Retry, reason
	r.service.log.Record(r.event)
}

// refuse records why nothing was done and returns the error for the command line. What is no refusal
// is a failure of the store: its text goes to the journal alone.
func (r *report) refuse(err error) *control.Error {
	var why *refusal
	broken := new(account.Broken)
	switch {
	case errors.As(err, &why):
	case errors.As(err, &broken):
		why = &refusal{code: control.ErrBroken, reason: "broken_record", message: "the record is broken", detail: err.Error()}
	default:
		why = &refusal{
			code: control.ErrUnavailable, reason: "store",
			message: "the account can't be read or written", detail: err.Error(),
		}
	}
	r.event.Result, r.event.Reason, r.event.Detail = audit.Refused, why.reason, why.detail
	failed := why.code == control.ErrUnavailable || why.code == control.ErrBroken
	if failed {
		r.event.Result = audit.Unavailable
	}
	told := &control.Error{
		Code:       why.code,
		Message:    fmt.Sprintf("%s %s: %s", r.verb, r.event.User, why.message),
		RetryAfter: why.retryAfter,
		Reference:  r.event.Reference,
	}
	if r.silent && !failed {
		told.Reference = ""
		return told
	}
	r.service.log.Record(r.event)
	return told
}
