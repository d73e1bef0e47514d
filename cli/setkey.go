package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/term"

	"github.com/totpd/totpd/cli/internal/foreign"
	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
)

// setKey is enrol USER --uri: a known key, active at once.
func (c *command) setKey(ctx context.Context, user string, o enrolOptions) (err error) {
	switch {
	case user == "":
		return &misuse{"--uri needs to know whose key it is", "totpctl enrol USER --uri -"}
	case o.qr != "" || o.png != "":
		return &misuse{"--uri takes a key that its owner has already, and shows none", "leave --qr and --qr-png out, or enrol without --uri"}
	case o.digits != 0 || o.period != 0 || o.algorithm != "":
		return &misuse{"--uri takes a key as it is", "leave --digits, --period and --algorithm out: the link has them"}
	case o.noConfirm:
		return &misuse{"--uri waits for no first code", "leave --no-confirm out"}
	}
	uri, err := c.readURI(ctx, user, o.uri)
	if own := new(failure); errors.As(err, &own) {
		return own
	}
	if err != nil {
		return failed("enrol", user, err)
	}
	keep := keeper{shown: c.json || term.IsTerminal(int(c.out.Fd())), path: o.save}
	defer func() {
		if err != nil {
			keep.remove()
		}
	}()
	if err = keep.open(); err != nil {
		return &failure{verb: "enrol", user: user, err: err, hint: newFileHint}
	}
	var set control.Confirmation
	err = c.asAdmin(ctx, toChange, func(ctx context.Context, client *control.Client) (err error) {
		set, err = client.Set(ctx, control.SetRequest{User: user, URI: uri, Name: o.name, RecoveryCodes: keep.shown || keep.path != ""})
		return err
	})
	if err == nil && set.Account == nil {
		err = &control.Error{Code: control.ErrBadAnswer, Message: "a key without an account"}
	}
	if err != nil {
		return failed("enrol", user, err)
	}
	if c.json {
		err = c.printJSON(struct {
			*control.Account
			RecoveryCodes []control.Secret `json:"recovery_codes,omitempty"`
		}{set.Account, set.RecoveryCodes})
	}
	if err == nil {
		err = keep.give(c, set.Account.User, set.RecoveryCodes)
	}
	if err != nil {
		return &failure{verb: "enrol", user: user, err: err, hint: "the key is set; other recovery codes: totpctl recovery-codes new" + argument(user)}
	}
	if !c.json {
		c.say("Done: from the next login on, %s is asked for the password, then for a code of the given key.", printable(set.Account.User))
	}
	return nil
}

// readURI returns the link in a file, or from standard input for "-".
func (c *command) readURI(ctx context.Context, user, from string) (control.Secret, error) {
	var link string
	var err error
	switch {
	case from == "":
		err = &control.Error{Code: control.ErrBadURI, Message: "no otpauth link was given"}
	case from != "-":
		var f keptFile
		// The name is not repeated: somebody may have given the key itself.
		if f, err = readNamed(from, lineMax); err != nil {
			err = fmt.Errorf("the file of --uri can't be read: %w", errors.Unwrap(err))
			return "", &failure{verb: "enrol", user: user, err: err, hint: "--uri FILE names a file with the link in it; --uri - reads from standard input, as from a pipe"}
		}
		link = f.text
	case c.in.terminal:
		link, err = c.in.hidden(ctx, "otpauth link: ")
	default:
		link, err = c.in.whole()
	}
	if err != nil {
		return "", err
	}
	link = strings.TrimSpace(foreign.Text([]byte(link)))
	switch {
	case link == "":
		return "", &control.Error{Code: control.ErrBadURI, Message: "no otpauth link was given"}
	case strings.ContainsAny(link, "\r\n"):
		return "", errors.New("more than one line was given: one otpauth link sets one key")
	}
	return control.Secret(link), nil
}

// noSecrets refuses a command line with a link on it, whatever it is for: everybody can read it in the process
// list, and sudo writes it to the log.
func noSecrets(args []string) error {
	for _, arg := range args {
		if otpauth.Index(arg) >= 0 || strings.Contains(strings.ToLower(arg), "otpauth-migration:") {
			return &misuse{
				"an otpauth link holds a secret, and everybody can see a command line in the process list",
				"totpctl enrol USER --uri FILE, or --uri - to type it or to read it from standard input. If others may have seen this one, have a new key made",
			}
		}
	}
	return nil
}
