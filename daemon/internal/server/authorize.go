package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/bus"
)

// introduce takes the headers by which a caller that isn't root says who polkit is to be asked about.
func (c *call) introduce(w http.ResponseWriter, h http.Header) error {
	names, interactive := h.Values(control.HeaderBusName), h.Values(control.HeaderInteractive)
	switch {
	case len(names) > 1 || len(names) == 1 && names[0] == "":
		return c.malformed(control.HeaderBusName + " is one name")
	case len(interactive) > 1 || len(interactive) == 1 && interactive[0] != "yes":
		return c.malformed(control.HeaderInteractive + " is yes or missing")
	}
	c.busName = strings.Join(names, "")
	if len(interactive) == 1 {
		c.waits = func(d time.Duration) {
			connection, end := http.NewResponseController(w), time.Now().Add(d)
			connection.SetReadDeadline(end) // of the watch for a caller that hangs up
			connection.SetWriteDeadline(end)
		}
	}
	return nil
}

// authorize returns nil when polkit says that the caller is an admin for this action. A caller that
// waits is given the time that a person takes to type a password, beyond ctx, until it hangs up.
func (c *call) authorize(ctx, caller context.Context, action string) error {
	c.action = action
	switch {
	case action == "" || c.control.Authorize == nil || c.busName == "":
		return c.notAdmin("", "")
	case c.user != "" && !presentable(c.user):
		return c.notAdmin("", "polkit isn't asked about such a name")
	}
	if c.waits != nil {
		c.waits(control.InteractiveTime + 2*requestTime)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(caller, control.InteractiveTime)
		defer cancel()
		if c.question = c.control.questions.enter(userOf(c.peer), cancel); c.question == nil {
			return c.tooMany()
		}
		defer c.question.giveBack()
		c.place.is(waiting) // for a person, so that it keeps nobody out
		defer context.AfterFunc(c.control.stopping, cancel)()
	}
	details := map[string]string{"verb": strings.TrimPrefix(action, "org.totpd.manage.")}
	if c.user != "" {
		details["user"] = c.user
	}
	answer, err := c.control.Authorize(ctx, bus.Question{
		UID: c.peer.UID, PID: c.peer.PID, BusName: c.busName, Action: action, Details: details, Interactive: c.waits != nil,
	})
	if !c.place.is(working) { // the connection had to make room, and nobody hears what would be done
		return c.tooMany()
	}
	return c.judge(answer, err)
}

// judge turns polkit's answer into the journal line of it, and into what the caller is told.
func (c *call) judge(answer bus.Answer, err error) error {
	switch {
	case err != nil && c.control.stopping.Err() != nil:
		return c.unavailable("stopping", err)
	case err != nil && c.question != nil && c.question.taken():
		return c.tooMany()
	case errors.Is(err, context.DeadlineExceeded) && c.waits != nil:
		return c.refuse(control.ErrNotAllowed, "nobody gave the password in time")
	case err != nil: // as if there were no polkit
		return c.notAdmin("", err.Error())
	case answer == bus.Authorized:
		c.control.Audit.Record(audit.Event{
			Kind: audit.Authorize, User: c.user, Caller: audit.UID(c.peer.UID), Action: c.action,
			Result: audit.Accepted, Reason: "polkit", Reference: audit.NewReference(),
		})
		return nil
	case answer == bus.Challenge:
		return c.refuse(control.ErrAuthenticate, "a password is needed, and nobody could be asked for it")
	case answer == bus.Dismissed:
		return c.refuse(control.ErrNotAllowed, "no password was given")
	}
	return c.notAdmin(", and polkit says no", "")
}

// tooMany refuses a question that had to make room for others.
func (c *call) tooMany() error {
	return c.refuse(control.ErrUnavailable, "too many questions wait for a password; try again")
}

// notAdmin refuses what is for admins.
func (c *call) notAdmin(andPolkit, detail string) error {
	message := "only root may do this"
	if c.who.mine() {
		message = "not your own account"
	}
	return c.refuseDetail(control.ErrNotAllowed, message+andPolkit, detail)
}

// presentable says whether a name can be shown to whoever is asked for a password, and is what it looks
// like.
func presentable(name string) bool {
	return account.CanBeLogin(name) && !strings.ContainsFunc(name, func(r rune) bool {
		return !unicode.IsPrint(r) || r == unicode.ReplacementChar
	})
}
