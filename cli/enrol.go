package main

import (
	"cmp"
	"context"
	"errors"
	"io"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/totpd/totpd/daemon/control"
)

// passwordTries is how often a person at a terminal may mistype the password.
const passwordTries = 3

// enrolOptions are the options of enrol as typed.
type enrolOptions struct {
	name string
	qr   string
	png  string
	uri  string
}

func newEnrol(c *command) *cobra.Command {
	var o enrolOptions
	cmd := &cobra.Command{
		Use:     "enrol [USER] [OPTIONS]",
		Aliases: []string{"enroll"},
		Short:   "Set up the second factor",
		Long: `Set up your second factor: an authenticator app on your phone, or anything
else that makes time-based one-time codes (TOTP). You are asked for your
password, shown a QR code and the same key as text, and asked for the first
code. Only that code activates the key; without it nothing changes, and the key
is void after 10 minutes.

The key is written to a terminal only, or to the file of --qr-png (mode 0600,
never overwritten). When standard output is something else, --qr utf8, --qr
ascii or --json say that you want it there. When standard input isn't a
terminal, its first line is the password and each line after it a code. --json
prints the enrolment as one line, then one line for each code.

root gives USER a key that exists already, as that of a hardware token, with
--uri and without a code. Others may do so whom polkit allows
org.totpd.manage.enrol; the password that it may want is asked for at a
terminal, unless --no-ask is given. A link on a command line can be seen in the
process list by everybody: prefer --uri -, which reads it from standard input.`,
		Example:           `  totpctl enrol --name "work phone"`,
		Args:              atMostUser,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("uri") {
				return c.setKey(cmd.Context(), userOf(args), o)
			}
			return c.enrol(cmd.Context(), userOf(args), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "call the `DEVICE` so (default \"phone\"; with --uri \"token\")")
	f.StringVar(&o.qr, "qr", "", "draw the code: `HOW` is utf8, ascii or none")
	f.StringVar(&o.png, "qr-png", "", "write the QR code to a new `FILE` as a picture")
	f.StringVar(&o.uri, "uri", "", "as root: set the key of this otpauth `LINK`; - reads it")
	cmd.MarkFlagFilename("qr-png", "png")
	cmd.RegisterFlagCompletionFunc("qr", cobra.FixedCompletions([]string{"utf8", "ascii", "none"}, cobra.ShellCompDirectiveNoFileComp))
	for _, flag := range []string{"name", "uri"} {
		cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return c.withPolkit(c.withJSON(cmd))
}

// check says which options don't fit together, or don't fit where the output goes.
func (o enrolOptions) check(json, terminal bool) error {
	switch style(o.qr) {
	case "", qrUTF8, qrASCII, qrNone:
	default:
		return &misuse{"--qr is utf8, ascii or none, not " + quote(o.qr), "totpctl help enrol"}
	}
	if json && o.qr != "" {
		return &misuse{"--qr draws for people, --json prints for scripts", "leave --qr out: the field uri of the JSON is what a QR code holds"}
	}
	asked := json || o.qr == string(qrUTF8) || o.qr == string(qrASCII)
	if !terminal && !asked && o.png == "" {
		return &misuse{"the key is shown on a terminal only, and standard output is none", "--qr-png FILE writes a picture; --qr ascii or --json print it all the same"}
	}
	return nil
}

// enrol sets up a device whose first code confirms it. Until then the daemon holds nothing but an
// offer, so whatever goes wrong here leaves the account as it was.
func (c *command) enrol(ctx context.Context, user string, o enrolOptions) (err error) {
	terminal := term.IsTerminal(int(c.out.Fd()))
	if err := o.check(c.json, terminal); err != nil {
		return err
	}
	client := c.client()
	now, err := client.Status(ctx, control.StatusRequest{User: user})
	if err == nil && now.Enrolled {
		err = &control.Error{Code: control.ErrAlreadyEnrolled, Message: "already enrolled"}
	}
	if err != nil {
		return failed("enrol", cmp.Or(user, now.User), err)
	}
	var png *picture
	if o.png != "" {
		if png, err = newPicture(o.png); err != nil {
			return &failure{verb: "enrol", user: now.User, err: err, hint: "name a file that doesn't exist yet, in a directory of yours"}
		}
		defer func() {
			if err != nil {
				png.remove()
			}
		}()
	}
	offer, err := c.offer(ctx, client, now.User, control.EnrolRequest{User: user, Name: o.name})
	if err != nil {
		return failed("enrol", now.User, err)
	}
	if png != nil {
		if err := png.write(offer.reveal()); err != nil {
			return failed("enrol", offer.User, err)
		}
	}
	if err := c.show(offer, o, terminal); err != nil {
		return failed("enrol", offer.User, err)
	}
	if err := c.confirm(ctx, client, user, offer); err != nil {
		return failed("enrol", offer.User, err)
	}
	if o.png != "" {
		c.say("%s still holds the key: delete it once it is scanned.", printable(o.png))
	}
	return nil
}

// offer is an enrolment that waits for its first code.
type offer struct{ control.Enrolment }

// reveal returns what a QR code holds.
func (o offer) reveal() string { return string(o.URI) }

// offer asks for the password and has the daemon make a key.
func (c *command) offer(ctx context.Context, client *control.Client, user string, r control.EnrolRequest) (offer, error) {
	for try := 1; ; try++ {
		password, err := c.password(ctx, user)
		if err != nil {
			return offer{}, err
		}
		r.Password = password
		e, err := client.Enrol(ctx, r)
		if err == nil || !c.in.terminal || try == passwordTries || codeOf(err) != control.ErrWrongPassword {
			return offer{e}, err
		}
		c.say("That is not the password of %s.", printable(user))
	}
}

// password asks for a user's login password.
func (c *command) password(ctx context.Context, user string) (control.Secret, error) {
	typed, err := c.in.hidden(ctx, "Password of "+printable(user)+": ")
	if errors.Is(err, io.EOF) {
		err = errors.New("no password was given: nothing was changed")
	}
	return control.Secret(typed), err
}

// codeOf returns the code of an error, empty for one that has none.
func codeOf(err error) control.ErrorCode {
	if e := new(control.Error); errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// errVoid is how an enrolment ends by itself.
func errVoid() error {
	return &control.Error{
		Code:    control.ErrNoPending,
		Message: "no right code came in time: the key shown is void, nothing was changed",
	}
}
