package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/login"
)

// who may ask for something. The zero value is nobody.
type who int

const (
	anyone    who = iota + 1
	own           // the caller, for the caller's own account; root too
	ownOrRoot     // and root for any account
	rootOnly
)

// verb is one legal request.
type verb struct {
	who   who
	serve func(ctx context.Context, c *call, body []byte) (any, error)
}

// verbs is every legal request. What is not here is denied, and nothing here runs before its body has
// been read strictly, its user is known and who has been judged.
var verbs = map[control.Verb]verb{
	control.VerbVersion: legal(anyone, nil, (*call).version),
	control.VerbStatus:  legal(ownOrRoot, func(r control.StatusRequest) string { return r.User }, (*call).status),
	control.VerbUsers:   legal(rootOnly, nil, (*call).users),
	control.VerbEnrol:   legal(own, func(r control.EnrolRequest) string { return r.User }, (*call).enrol),
	control.VerbConfirm: legal(own, func(r control.ConfirmRequest) string { return r.User }, (*call).confirm),
	control.VerbSet:     legal(rootOnly, func(r control.SetRequest) string { return r.User }, (*call).set),
	control.VerbDisable: legal(ownOrRoot, func(r control.DisableRequest) string { return r.User }, (*call).disable),
}

// legal makes a verb of who may ask, the user that a request names (nil: it is about nobody), and what
// is done then.
func legal[Request, Result any](who who, user func(Request) string, do func(*call, context.Context, Request) (Result, error)) verb {
	return verb{who: who, serve: func(ctx context.Context, c *call, body []byte) (any, error) {
		if who == rootOnly && !c.peer.Root() {
			return nil, c.notAllowed("only root may do this")
		}
		var request Request
		if err := decode(body, &request); err != nil {
			return nil, c.malformed(err.Error())
		}
		if user != nil {
			if err := c.settle(ctx, who, user(request)); err != nil {
				return nil, err
			}
		} else if who != anyone && who != rootOnly {
			return nil, c.notAllowed("not about an account")
		}
		return do(c, ctx, request)
	}}
}

// decode reads one JSON value, whole and without anything that isn't known. Its errors say where, and
// never quote what may be a secret.
func decode(body []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
	case errors.As(err, &kind) && kind.Field != "":
		return fmt.Errorf("byte %d: %q has the wrong type", kind.Offset, kind.Field)
	case errors.As(err, &syntax):
		return fmt.Errorf("byte %d: not JSON", syntax.Offset)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("byte %d: ends too early", len(body))
	case unknownField(err) != "":
		return fmt.Errorf("byte %d: unknown field %.64s", d.InputOffset(), unknownField(err))
	default:
		return fmt.Errorf("byte %d: not a request", d.InputOffset())
	}
	end := d.InputOffset()
	if rest := bytes.TrimLeft(body[end:], " \t\r\n"); len(rest) > 0 {
		return fmt.Errorf("byte %d: something follows the request", len(body)-len(rest)+1)
	}
	return nil
}

// unknownField returns the quoted name of the field of encoding/json's error, which has no type.
func unknownField(err error) string {
	name, ok := bytes.CutPrefix([]byte(err.Error()), []byte("json: unknown field "))
	if !ok {
		return ""
	}
	return string(name)
}

// settle judges who against the user that the request names, and finds the account's key.
func (c *call) settle(ctx context.Context, who who, asked string) error {
	if c.peer.Root() && who != own && asked != "" {
		return c.settleAny(ctx, asked)
	}
	if who == rootOnly {
		return c.malformed("user is missing")
	}
	caller, err := c.control.Names.OfUID(ctx, c.peer.UID)
	switch {
	case errors.Is(err, login.ErrUnknownUser):
		return c.notAllowed("the caller's uid has no name on this host")
	case err != nil:
		return c.unavailable("name_service", err)
	case asked != "" && asked != caller:
		// Another spelling of the same user is the same user; whether others exist is not told.
		if name, err := c.control.Names.Canonical(ctx, asked); err != nil || name != caller {
			c.user = asked
			return c.notAllowed("not your own account")
		}
	}
	c.user, c.self = caller, true
	return nil
}

// settleAny finds the account that root names. An account whose user is gone from the host, or whose
// directory doesn't answer, is found by its exact name, readable or not: root can always help.
func (c *call) settleAny(ctx context.Context, asked string) error {
	name, err := c.control.Names.Canonical(ctx, asked)
	if err == nil {
		c.user = name
		return nil
	}
	c.user = asked
	if c.verb != control.VerbSet {
		if _, stored, broken := c.control.Accounts.Get(ctx, asked); stored || broken != nil {
			return nil
		}
	}
	if errors.Is(err, login.ErrUnknownUser) {
		return c.refuse(control.ErrUnknownUser, fmt.Sprintf("no user %.64q on this host", asked))
	}
	return c.unavailable("name_service", err)
}
