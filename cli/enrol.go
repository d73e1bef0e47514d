package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
)

// passwordTries is how often a person at a terminal may mistype the password.
const passwordTries = 3

// enrolOptions are the options of enrol as typed.
type enrolOptions struct {
	name      string
	digits    int
	period    int
	algorithm string
	qr        string
	png       string
	save      string
	uri       string
	noConfirm bool
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
expires after 10 minutes. If you have a device already, this adds one more: you
are also asked for a code of it, or for a recovery code.

With the first device come ten recovery codes. Each lets you in once when the
device is not at hand. They are shown once, or written to the file of --save
(mode 0600, never overwritten); totpctl recovery-codes new makes others.

The key is written to a terminal only, or to the file of --qr-png (mode 0600,
never overwritten). When standard output is something else, --qr utf8, --qr
ascii or --json say that you want it there, and the recovery codes too. When
standard input isn't a terminal, its first line is the password, the next one
the code of a device if you have one, and each line after that a first code.
--json prints a line with user, host, name, uri, secret, digits, period,
algorithm and expires, then one for each first code with outcome and, where
there are such, clock_off (seconds), account (as status --json) and
recovery_codes; with --uri it prints what status --json prints, and those.

root does this for USER without being asked for anything but the first code,
which USER reads out; with --no-confirm there is none, and the key counts at
once. root also gives USER a key that exists already, of a hardware token
say, with --uri; for an event-based token (HOTP) the link has its counter.
Others may do both whom polkit allows org.totpd.manage.enrol. The link is in a
FILE, or read from standard input by --uri -; on a command line, where everybody
can see it in the process list, it is refused.`,
		Example:           `  totpctl enrol --name "work phone"`,
		Args:              atMostUser,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if name, err := otpauth.Algorithm(o.algorithm); err == nil { // else it is refused as it was typed
				o.algorithm = name
			}
			if cmd.Flags().Changed("uri") {
				return c.setKey(cmd.Context(), userOf(args), o)
			}
			return c.enrol(cmd.Context(), userOf(args), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.name, "name", "", "name of the `DEVICE` (default \"phone\";\nwith --uri \"token\")")
	f.IntVar(&o.digits, "digits", 0, "the device shows `N` digits: 6 or 8")
	f.IntVar(&o.period, "period", 0, "for `SECONDS`: 30 or 60")
	f.StringVar(&o.algorithm, "algorithm", "", "by `HASH`: SHA1, SHA256 or SHA512; many apps support\nonly 6 digits, 30 seconds and SHA1")
	f.StringVar(&o.qr, "qr", "", "draw the code: `HOW` is utf8, ascii or none")
	f.StringVar(&o.png, "qr-png", "", "write the QR code to a new `FILE` as a picture")
	f.StringVar(&o.save, "save", "", "write the recovery codes to a new `FILE`")
	f.StringVar(&o.uri, "uri", "", "as root: set the key of the otpauth link in `FILE`;\n- reads it from standard input")
	f.BoolVar(&o.noConfirm, "no-confirm", false, "as root: wait for no first code")
	cmd.MarkFlagFilename("qr-png", "png")
	cmd.RegisterFlagCompletionFunc("qr", cobra.FixedCompletions([]string{"utf8", "ascii", "none"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("digits", cobra.FixedCompletions([]string{"6", "8"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("period", cobra.FixedCompletions([]string{"30", "60"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("algorithm", cobra.FixedCompletions([]string{"SHA1", "SHA256", "SHA512"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("name", cobra.NoFileCompletions)
	return c.withPolkit(c.withJSON(cmd))
}

// check says which options don't fit together, or don't fit where the output goes.
func (o enrolOptions) check(json, terminal bool) error {
	switch style(o.qr) {
	case "", qrUTF8, qrASCII, qrNone:
	default:
		return &misuse{"--qr is utf8, ascii or none, not " + quote(o.qr), "totpctl help enrol"}
	}
	switch {
	case o.digits != 0 && !otpauth.Digits(o.digits):
		return &misuse{fmt.Sprintf("--digits is %s, not %d", otpauth.DigitsText, o.digits), "totpctl help enrol"}
	case o.period != 0 && !otpauth.Period(o.period):
		return &misuse{fmt.Sprintf("--period is %s seconds, not %d", otpauth.PeriodText, o.period), "totpctl help enrol"}
	case o.algorithm != "" && !slices.Contains([]string{"SHA1", "SHA256", "SHA512"}, o.algorithm):
		return &misuse{"--algorithm is SHA1, SHA256 or SHA512, not " + quote(o.algorithm), "totpctl help enrol"}
	case json && o.qr != "":
		return &misuse{"--qr draws for people, --json prints for scripts", "leave --qr out: the field uri of the JSON is what a QR code holds"}
	case !terminal && !o.printed(json) && o.png == "":
		return &misuse{"the key is shown on a terminal only, and standard output is none", "--qr-png FILE writes a picture; --qr ascii or --json print it all the same"}
	}
	return nil
}

// printed says whether secrets are wanted on standard output, whatever it is.
func (o enrolOptions) printed(json bool) bool {
	return json || o.qr == string(qrUTF8) || o.qr == string(qrASCII)
}

// enrol sets up a device whose first code confirms it. Until then the daemon holds nothing but an
// offer, so whatever goes wrong here leaves the account as it was.
func (c *command) enrol(ctx context.Context, user string, o enrolOptions) (err error) {
	terminal := term.IsTerminal(int(c.out.Fd()))
	if err := o.check(c.json, terminal); err != nil {
		return err
	}
	now, err := c.toEnrol(ctx, user)
	if err != nil {
		return failed("enrol", cmp.Or(user, now.User), err)
	}
	keep := keeper{shown: terminal || o.printed(c.json), path: o.save}
	switch {
	case o.noConfirm && !c.forOther(user):
		return &misuse{"--no-confirm is for root, who sets up USER", "your own device: totpctl enrol, and type its first code"}
	case !now.Enrolled && !keep.shown && keep.path == "":
		return &misuse{"the recovery codes are shown on a terminal only, and standard output is none", "--save FILE writes them to a file"}
	}
	defer func() {
		if err != nil {
			keep.remove()
		}
	}()
	if err := keep.open(); err != nil {
		return &failure{verb: "enrol", user: now.User, err: err, hint: newFileHint}
	}
	var png *newFile
	if o.png != "" {
		if png, err = createFile(o.png); err != nil {
			return &failure{verb: "enrol", user: now.User, err: err, hint: newFileHint}
		}
		defer func() { png.doneWith(err) }()
	}
	offer, err := c.offer(ctx, now, user, control.EnrolRequest{
		User: user, Name: o.name, Digits: o.digits, Period: o.period, Algorithm: o.algorithm, Unconfirmed: o.noConfirm,
	})
	if err != nil {
		return failed("enrol", now.User, err)
	}
	if png != nil {
		err := writePNG(png, offer.reveal())
		if err == nil {
			err = png.keep()
		}
		if err != nil {
			return failed("enrol", offer.User, err)
		}
	}
	if err := c.show(offer, o, terminal); err != nil {
		return failed("enrol", offer.User, err)
	}
	codes, left := offer.RecoveryCodes, 0
	if !o.noConfirm {
		confirmed, err := c.confirm(ctx, user, offer)
		if err != nil {
			return failed("enrol", offer.User, err)
		}
		codes, left = confirmed.RecoveryCodes, confirmed.Account.RecoveryLeft
	}
	// From here on the device counts, and the codes are there: what fails doesn't take them back.
	if err := keep.give(c, offer.User, codes); err != nil {
		return &failure{verb: "enrol", user: offer.User, err: err, hint: "the device is set up; other recovery codes: totpctl recovery-codes new" + argument(user)}
	}
	c.done(offer, user, len(codes), left)
	if o.png != "" {
		c.say("%s still holds the key: delete it once it is scanned.", printable(o.png))
	}
	return nil
}

// toEnrol is the account that is to have a device. An admin who isn't root would be asked for a password to
// look at it, and for another one to change it: what isn't known counts as not enrolled.
func (c *command) toEnrol(ctx context.Context, user string) (control.Account, error) {
	if c.forOther(user) && os.Geteuid() != 0 {
		return control.Account{User: user}, nil
	}
	return c.client().Status(ctx, control.StatusRequest{User: user})
}

// offer is an enrolment that waits for its first code.
type offer struct{ control.Enrolment }

// reveal returns what a QR code holds.
func (o offer) reveal() string { return string(o.URI) }

// offer has the daemon make a key. An owner is asked for the password, and for a code if there is a device.
func (c *command) offer(ctx context.Context, now control.Account, user string, r control.EnrolRequest) (made offer, err error) {
	if c.forOther(user) {
		err = c.asAdmin(ctx, r.Unconfirmed, func(ctx context.Context, client *control.Client) error {
			made.Enrolment, err = client.Enrol(ctx, r)
			return err
		})
		return made, err
	}
	for try := 1; ; try++ {
		if r.Password, r.Code, err = c.proof(ctx, now); err != nil {
			return offer{}, err
		}
		e, err := c.client().Enrol(ctx, r)
		if err == nil || !c.in.terminal || try == passwordTries || codeOf(err) != control.ErrWrongPassword {
			return offer{e}, err
		}
		c.say("That is not the password of %s.", printable(now.User))
	}
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
		Message: "no right code came in time: the key shown has expired, nothing was changed",
	}
}
