package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/login"
)

// who may ask for something. The zero value is nobody.
type who int

const (
	anyone     who = iota + 1
	ownOrAdmin     // the caller, for the caller's own account, and an admin for any
	adminOnly
	ownOrRoot // as ownOrAdmin, where root is the only admin
	rootOnly
)

// mine says whether everybody may for themselves.
func (w who) mine() bool { return w == ownOrAdmin || w == ownOrRoot }

// verb is one legal request. An admin is root, or whom polkit authorizes for the action.
type verb struct {
	who    who
	action string
	kind   audit.Kind // of its journal lines; Control: it changes nothing
	read   func(body []byte) (request, error)
}

// request is what a body asks for.
type request struct {
	aboutUser bool   // it names a user, or means the caller
	user      string // as named
	do        func(context.Context, *call) (any, error)
}

// verbs is every legal request. What is not here is denied, and nothing here runs before its body has
// been read strictly, its user is known and who has been judged.
var verbs = map[control.Verb]verb{
	control.VerbVersion: legal(anyone, "", audit.Control, nil, (*call).version),
	control.VerbStatus:  legal(ownOrAdmin, "org.totpd.manage.status", audit.Control, func(r control.StatusRequest) string { return r.User }, (*call).status),
	control.VerbUsers:   legal(adminOnly, "org.totpd.manage.users", audit.Control, nil, (*call).users),
	control.VerbEnrol:   legal(ownOrAdmin, "org.totpd.manage.enrol", audit.Enrol, func(r control.EnrolRequest) string { return r.User }, (*call).enrol),
	control.VerbConfirm: legal(ownOrAdmin, "org.totpd.manage.enrol", audit.Enrol, func(r control.ConfirmRequest) string { return r.User }, (*call).confirm),
	control.VerbSet:     legal(adminOnly, "org.totpd.manage.enrol", audit.Enrol, func(r control.SetRequest) string { return r.User }, (*call).set),
	control.VerbDisable: legal(ownOrAdmin, "org.totpd.manage.disable", audit.Disable, func(r control.DisableRequest) string { return r.User }, (*call).disable),

	control.VerbRename:        legal(ownOrAdmin, "org.totpd.manage.devices", audit.Devices, func(r control.RenameRequest) string { return r.User }, (*call).rename),
	control.VerbRemove:        legal(ownOrAdmin, "org.totpd.manage.devices", audit.Devices, func(r control.RemoveRequest) string { return r.User }, (*call).remove),
	control.VerbRecoveryCodes: legal(ownOrRoot, "", audit.Recovery, func(r control.RecoveryCodesRequest) string { return r.User }, (*call).recoveryCodes),
	control.VerbBypass:        legal(adminOnly, "org.totpd.manage.bypass", audit.Bypass, func(r control.BypassRequest) string { return r.User }, (*call).bypass),
	control.VerbRevoke:        legal(adminOnly, "org.totpd.manage.bypass", audit.Bypass, func(r control.RevokeRequest) string { return r.User }, (*call).revoke),
	control.VerbExport:        legal(rootOnly, "", audit.Export, func(r control.ExportRequest) string { return r.User }, (*call).export),
	control.VerbPolicy:        legal(ownOrAdmin, "org.totpd.manage.status", audit.Control, func(r control.PolicyRequest) string { return r.User }, (*call).policy),

	control.VerbRemembered: legal(ownOrAdmin, "org.totpd.manage.status", audit.Control, func(r control.RememberedRequest) string { return r.User }, (*call).remembered),
	control.VerbForget:     legal(ownOrAdmin, "org.totpd.manage.forget", audit.Forget, func(r control.ForgetRequest) string { return r.User }, (*call).forget),

	control.VerbShow:   legal(adminOnly, "org.totpd.manage.status", audit.Control, func(r control.ShowRequest) string { return r.User }, (*call).show),
	control.VerbUnlock: legal(adminOnly, "org.totpd.manage.unlock", audit.Unlock, func(r control.UnlockRequest) string { return r.User }, (*call).unlock),
	control.VerbAdopt:  legal(rootOnly, "", audit.Enrol, func(r control.AdoptRequest) string { return r.User }, (*call).adopt),
	control.VerbReset:  legal(adminOnly, "org.totpd.manage.reset", audit.Reset, func(r control.ResetRequest) string { return r.User }, (*call).reset),
	control.VerbLog:    legal(ownOrAdmin, "org.totpd.manage.log", audit.Control, func(r control.LogRequest) string { return r.User }, (*call).logOf),
	control.VerbLogAll: legal(adminOnly, "org.totpd.manage.log", audit.Control, nil, (*call).logAll),
	control.VerbSetup:  legal(rootOnly, "", audit.Setup, nil, (*call).setup),
	control.VerbHealth: legal(rootOnly, "", audit.Control, nil, (*call).health),
	control.VerbImport: legal(rootOnly, "", audit.Enrol, nil, (*call).takeOver),
}

// legal makes a verb of who may ask, polkit's action (empty: root is the only admin), the kind of its journal
// lines, the user that a request names (nil: it is about nobody), and what is done then.
func legal[Request, Result any](who who, action string, kind audit.Kind, user func(Request) string, do func(*call, context.Context, Request) (Result, error)) verb {
	return verb{who: who, action: action, kind: kind, read: func(body []byte) (request, error) {
		var r Request
		if err := decode(body, &r); err != nil {
			return request{}, err
		}
		read := request{do: func(ctx context.Context, c *call) (any, error) { return do(c, ctx, r) }}
		if user != nil {
			read.aboutUser, read.user = true, user(r)
		}
		return read, nil
	}}
}

// serve reads the body, judges who, and does it, within requestTime. The time in which somebody types a
// password for polkit doesn't count.
func (c *call) serve(caller context.Context, v verb, body []byte) (any, error) {
	r, err := v.read(body)
	if err != nil {
		return nil, c.malformed(err.Error())
	}
	ctx, cancel := context.WithTimeout(caller, requestTime)
	defer cancel()
	c.who = v.who
	asAdmin, err := c.settle(ctx, v.who, r)
	if err != nil {
		return nil, err
	}
	if asAdmin && !c.peer.Root() {
		if err := c.authorize(ctx, caller, v.action); err != nil {
			return nil, err
		}
		ctx, cancel = context.WithTimeout(caller, requestTime)
		defer cancel()
	}
	if asAdmin && c.unfound != nil {
		return nil, c.notFound()
	}
	if err := c.ownsAccount(ctx); err != nil {
		return nil, err
	}
	c.admin = asAdmin
	return r.do(ctx, c)
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

// settle finds the account that a request is about and judges who. With asAdmin, the caller may only
// where it is an admin: that is for serve to see to.
func (c *call) settle(ctx context.Context, who who, r request) (asAdmin bool, err error) {
	switch {
	case who == anyone && !r.aboutUser:
		return false, nil
	case (who == adminOnly || who == rootOnly) && !r.aboutUser:
		return true, nil
	case (who == adminOnly || who == rootOnly) && r.user == "":
		return false, c.malformed("user is missing")
	case who == adminOnly, who == rootOnly, who.mine() && r.user != "" && c.peer.Root():
		c.find(ctx, r.user)
		return true, nil
	case who.mine():
		mine, err := c.settleOwn(ctx, r.user)
		if err != nil || mine {
			return false, err
		}
		c.find(ctx, r.user)
		return true, nil
	}
	return false, c.notAllowed("nobody may")
}

// settleOwn says whether the account is the caller's own: none is named, or this one.
func (c *call) settleOwn(ctx context.Context, asked string) (mine bool, err error) {
	caller, err := c.control.Names.OfUID(ctx, c.peer.UID)
	switch {
	case errors.Is(err, login.ErrUnknownUser):
		return false, c.notAllowed("the caller's uid has no name on this host")
	case err != nil:
		return false, c.unavailable("name_service", err)
	case asked != "" && asked != caller:
		// Another spelling of the same user is the same user; whether others exist is not told.
		if name, err := c.control.Names.Canonical(ctx, asked); err != nil || name != caller {
			return false, nil
		}
	}
	c.user, c.self = caller, true
	return true, nil
}

// ownsAccount refuses users who ask about their own account when it is another user's, or under another name. Whoever
// helps others may go on.
func (c *call) ownsAccount(ctx context.Context) error {
	if !c.self || c.peer.Root() || c.control.Owner == nil {
		return nil
	}
	acc, _, unreadable := c.control.Accounts.Get(ctx, c.user)
	if unreadable != nil { // the verb says so, in its own words
		return nil
	}
	err := c.control.Owner(ctx, account.Identity{Name: c.user, UID: c.peer.UID}, acc)
	foreign := new(account.Foreign)
	switch {
	case errors.As(err, &foreign):
		return c.refuseDetail(control.ErrForeign, "the account is another user's, or under your former name", foreign.Error())
	case err != nil:
		return c.unavailable("name_service", err)
	}
	return nil
}

// gives are the verbs by which an account comes to be: for a user that the host knows.
var gives = map[control.Verb]bool{
	control.VerbAdopt: true, control.VerbEnrol: true, control.VerbConfirm: true, control.VerbSet: true, control.VerbBypass: true,
}

// find finds the account that an admin names. An account whose user is gone from the host, or whose
// directory doesn't answer, is found by its exact name, readable or not: root can always help. What is
// wrong is kept for those who may know.
func (c *call) find(ctx context.Context, asked string) {
	name, err := c.control.Names.Canonical(ctx, asked)
	if err == nil {
		c.user = name
		return
	}
	c.user = asked
	if c.verb == control.VerbLog { // also of who is nobody any more, or never was
		return
	}
	if !gives[c.verb] {
		if _, stored, broken := c.control.Accounts.Get(ctx, asked); stored || broken != nil {
			return
		}
	}
	c.unfound = err
}

// notFound tells an admin why there is no account.
func (c *call) notFound() error {
	if errors.Is(c.unfound, login.ErrUnknownUser) {
		return c.refuse(control.ErrUnknownUser, noSuchUser(c.user))
	}
	return c.unavailable("name_service", c.unfound)
}

func noSuchUser(name string) string { return fmt.Sprintf("no user %.64q on this host", name) }
