package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/user"

	"github.com/totpd/totpd/daemon/control"
)

// isOwn says whether the user is the caller, who needs nobody's leave.
func isOwn(name string) bool {
	if name == "" {
		return true
	}
	own, err := user.Current()
	return err == nil && own.Username == name
}

// forOther says whether it is an admin who asks, for somebody who is named.
func (c *command) forOther(user string) bool {
	return user != "" && (os.Geteuid() == 0 || !isOwn(user))
}

// forUser asks about one user's account: as an admin, unless it is the caller's own.
func (c *command) forUser(ctx context.Context, name string, change bool, ask func(context.Context, *control.Client) error) error {
	if !isOwn(name) {
		return c.asAdmin(ctx, change, ask)
	}
	if change {
		ctx = context.WithoutCancel(ctx)
	}
	return ask(ctx, c.client())
}

// look asks for one account.
func (c *command) look(ctx context.Context, user string) (a control.Account, err error) {
	err = c.forUser(ctx, user, toLook, func(ctx context.Context, client *control.Client) (err error) {
		a, err = client.Status(ctx, control.StatusRequest{User: user})
		return err
	})
	return a, err
}

// ownEnrolled asks for the account of the caller, who is to prove something by a device.
func (c *command) ownEnrolled(ctx context.Context, user string) (control.Account, error) {
	a, err := c.client().Status(ctx, control.StatusRequest{User: user})
	if err == nil && !a.Enrolled {
		err = &control.Error{Code: control.ErrNotEnrolled, Message: "not enrolled"}
	}
	return a, err
}

// proof asks the owner of an account for the password, and for a code where there is a device.
func (c *command) proof(ctx context.Context, own control.Account) (password, code control.Secret, err error) {
	if password, err = c.password(ctx, own.User); err != nil || !own.Enrolled {
		return password, "", err
	}
	code, err = c.code(ctx, codePrompt)
	return password, code, err
}

// codePrompt asks for a code that proves who somebody is.
const codePrompt = "Code shown by the app, or a recovery code: "

// code asks for one.
func (c *command) code(ctx context.Context, prompt string) (control.Secret, error) {
	typed, err := c.in.line(ctx, prompt)
	if errors.Is(err, io.EOF) {
		err = errors.New("no code was given: nothing was changed")
	}
	return control.Secret(typed), err
}

// password asks for a user's login password.
func (c *command) password(ctx context.Context, user string) (control.Secret, error) {
	typed, err := c.in.hidden(ctx, "Password of "+printable(user)+": ")
	if errors.Is(err, io.EOF) {
		err = errors.New("no password was given: nothing was changed")
	}
	return control.Secret(typed), err
}
