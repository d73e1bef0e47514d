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
)

// nobody is no uid at all, (uid_t)-1: the peer of a request until it is known.
const nobody = math.MaxUint32

// call is one request under way.
type call struct {
	control *Control
	peer    Peer
	place   *place
	verb    control.Verb
	who     who // may ask for it
	kind    audit.Kind
	user    string // canonical: whose account it is about
	self    bool   // user is the caller
	admin   bool   // the caller may do this to any account
	unfound error  // why there is no account of user

	action  string              // of polkit, once the caller may only by that
	busName string              // the caller's on the system bus, as the caller says
	waits   func(time.Duration) // nil: the caller doesn't wait; else gives it so much more time

	question *place // while a person is asked for a password
}

func (c *call) enrolment() Enrolment {
	e, _ := c.control.Settings()
	return e
}

func (c *call) version(context.Context, control.Nothing) (control.Version, error) {
	issuer, host := c.enrolment().Labels()
	return control.Version{Version: c.control.Version, Host: host, Issuer: issuer}, nil
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

// unreadable is for an account that can't be read: because of its own record, or of the store.
func (c *call) unreadable(err error) error {
	if broken := new(account.Broken); errors.As(err, &broken) {
		return c.record(audit.Unavailable, "broken_record", err.Error(),
			&control.Error{Code: control.ErrBroken, Message: "the record is broken"})
	}
	return c.unavailable("store", err)
}

func (c *call) record(result audit.Result, reason, detail string, e *control.Error) error {
	e.Reference, e.Action = audit.NewReference(), c.action
	c.control.Audit.Record(audit.Event{
		Kind: c.kind, User: c.user, Caller: audit.UID(c.peer.UID), Action: e.Action,
		Result: result, Reason: reason, Detail: detail, Reference: e.Reference,
	})
	return e
}

// malformed refuses a request that no client of ours sends. Anybody could fill the journal with them.
func (c *call) malformed(message string) error {
	c.control.log.Printf(userOf(c.peer).person, "control: malformed request of uid %d: %s: %s", c.peer.UID, c.verb, message)
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
