package main

import (
	"context"
	"errors"
	"strings"

	"github.com/totpd/totpd/daemon/control"
)

// setKey is enrol USER --uri: a known key, active at once.
func (c *command) setKey(ctx context.Context, user string, o enrolOptions) error {
	switch {
	case user == "":
		return &misuse{"--uri needs to know whose key it is", "totpctl enrol USER --uri -"}
	case o.qr != "" || o.png != "":
		return &misuse{"--uri takes a key that its owner has already, and shows none", "leave --qr and --qr-png out, or enrol without --uri"}
	}
	uri, err := c.readURI(ctx, o.uri)
	if err != nil {
		return failed("enrol", user, err)
	}
	var account control.Account
	err = c.asAdmin(ctx, toChange, func(ctx context.Context, client *control.Client) (err error) {
		account, err = client.Set(ctx, control.SetRequest{User: user, URI: uri, Name: o.name})
		return err
	})
	if err != nil {
		return failed("enrol", user, err)
	}
	if c.json {
		return failed("enrol", user, c.printJSON(account))
	}
	c.say("Done: from the next login on, %s is asked for the password, then for a code of the given key.", printable(account.User))
	return nil
}

// readURI returns the link as given, or from standard input for "-".
func (c *command) readURI(ctx context.Context, given string) (control.Secret, error) {
	if given == "-" {
		var err error
		if c.in.terminal {
			given, err = c.in.hidden(ctx, "otpauth link: ")
		} else {
			given, err = c.in.whole()
		}
		if err != nil {
			return "", err
		}
	}
	given = strings.TrimSpace(given)
	switch {
	case given == "":
		return "", &control.Error{Code: control.ErrBadURI, Message: "no otpauth link was given"}
	case strings.ContainsAny(given, "\r\n"):
		return "", errors.New("more than one line was given: one otpauth link sets one key")
	}
	return control.Secret(given), nil
}
