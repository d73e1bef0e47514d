package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/password"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// nobody is no uid at all, (uid_t)-1: the peer of a request until it is known.
const nobody = math.MaxUint32

// pageSize is how many accounts one answer to users holds.
const pageSize = 500

// call is one request under way.
type call struct {
	control *Control
	peer    Peer
	verb    control.Verb
	who     who    // may ask for it
	user    string // canonical: whose account it is about
	self    bool   // user is the caller
	admin   bool   // the caller may do this to any account
	unfound error  // why there is no account of user

	action  string              // of polkit, once the caller may only by that
	busName string              // the caller's on the system bus, as the caller says
	waits   func(time.Duration) // nil: the caller doesn't wait; else gives it so much more time
}

func (c *call) version(context.Context, control.Nothing) (control.Version, error) {
	return control.Version{Version: c.control.Version}, nil
}

func (c *call) status(ctx context.Context, _ control.StatusRequest) (control.Account, error) {
	return c.enrolment().Status(ctx, c.user)
}

func (c *call) users(ctx context.Context, r control.UsersRequest) (control.Users, error) {
	list, err := c.control.Accounts.List(ctx, r.After, pageSize+1)
	var broken *store.Broken
	switch {
	case errors.As(err, &broken): // they must not hide the others
		c.control.Log.Print(err)
	case err != nil:
		return control.Users{}, c.unavailable("store", err)
	}
	page := control.Users{Users: []control.Account{}, More: len(list) > pageSize}
	for _, a := range list[:min(len(list), pageSize)] {
		page.Users = append(page.Users, c.enrolment().Describe(a))
	}
	return page, nil
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

func (c *call) enrolment() Enrolment {
	e, _ := c.control.Settings()
	return e
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
		return c.unavailable("store", err)
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
		return before, counted, c.unavailable("store", err)
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

// refuse writes the journal line of a refusal and returns what the caller is told.
func (c *call) refuse(code control.ErrorCode, message string) error {
	return c.refuseDetail(code, message, "")
}

func (c *call) refuseDetail(code control.ErrorCode, message, detail string) error {
	return c.record(audit.Refused, string(code), detail, &control.Error{Code: code, Message: message})
}

func (c *call) notAllowed(message string) error {
	return c.refuse(control.ErrNotAllowed, message)
}

// unavailable is refused for a cause that the journal tells and the caller isn't told.
func (c *call) unavailable(reason string, err error) error {
	return c.record(audit.Unavailable, reason, err.Error(),
		&control.Error{Code: control.ErrUnavailable, Message: "can't be decided now"})
}

func (c *call) record(result audit.Result, reason, detail string, e *control.Error) error {
	e.Reference, e.Action = audit.NewReference(), c.action
	c.control.Audit.Record(audit.Event{
		Kind: kinds[c.verb], User: c.user, Caller: audit.UID(c.peer.UID), Action: e.Action,
		Result: result, Reason: reason, Detail: detail, Reference: e.Reference,
	})
	return e
}

// kinds are the events that the verbs are part of. The others change nothing.
var kinds = map[control.Verb]audit.Kind{
	control.VerbEnrol: audit.Enrol, control.VerbConfirm: audit.Enrol, control.VerbSet: audit.Enrol,
	control.VerbImport:  audit.Enrol,
	control.VerbDisable: audit.Disable,
	control.VerbRename:  audit.Devices, control.VerbRemove: audit.Devices, control.VerbRecoveryCodes: audit.Recovery,
	control.VerbBypass: audit.Bypass, control.VerbRevoke: audit.Bypass, control.VerbExport: audit.Export,
	control.VerbPolicy:     audit.Control,
	control.VerbRemembered: audit.Control, control.VerbForget: audit.Forget,
	control.VerbStatus: audit.Control, control.VerbUsers: audit.Control, control.VerbVersion: audit.Control, "": audit.Control,
	control.VerbShow: audit.Control, control.VerbLog: audit.Control, control.VerbLogAll: audit.Control,
	control.VerbUnlock: audit.Unlock, control.VerbReset: audit.Reset,
}

// malformed refuses a request that no client of ours sends. Anybody could fill the journal with them.
func (c *call) malformed(message string) error {
	c.control.log.Printf("control: malformed request of uid %d: %s: %s", c.peer.UID, c.verb, message)
	return &control.Error{Code: control.ErrBadRequest, Message: strings.TrimPrefix(fmt.Sprintf("%s: %s", c.verb, message), ": ")}
}

// explain makes sure that the caller gets one of our errors.
func (c *call) explain(err error) *control.Error {
	var e *control.Error
	if errors.As(err, &e) {
		return e
	}
	errors.As(c.unavailable("internal", err), &e)
	return e
}
