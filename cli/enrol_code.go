package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/totpd/totpd/daemon/control"
)

// show writes the key of an offer in all the ways that were asked for.
func (c *command) show(o offer, options enrolOptions, terminal bool) error {
	if c.json {
		return c.printJSON(o.Enrolment)
	}
	if !terminal && (options.qr == "" || options.qr == string(qrNone)) {
		c.say("The QR code is in %s.", printable(options.png))
		return nil
	}
	c.say("Scan the QR code with the authenticator app on your phone, or type the setup key there.")
	if options.noConfirm {
		c.say("The key counts already: see to it that nobody but %s gets it.\n", printable(o.User))
	} else {
		c.say("Then type the code that the app shows. Until then nothing changes; Ctrl-C gives up.\n")
	}
	if _, err := fmt.Fprintf(c.out, "Account:    %s (%s)\nSetup key:  %s\nLink:       %s\n\n",
		printable(o.Host), printable(o.User), printable(inFours(string(o.Secret))), printable(o.reveal())); err != nil {
		return err
	}
	if options.png != "" {
		c.say("The QR code is in %s, too.", printable(options.png))
	}
	as := style(options.qr)
	if as == "" {
		as = styleOf(c.env)
	}
	if as == qrNone {
		return nil
	}
	code, err := draw(o.reveal(), as, c.screen(terminal))
	if err != nil {
		c.say("%v:", err)
		c.say("type the setup key, or enlarge the window and begin again.")
		if as == qrASCII && options.qr == "" {
			c.say("hint: totpctl enrol --qr utf8 draws it smaller")
		}
		return nil
	}
	_, err = io.WriteString(c.out, code)
	return err
}

// screen is where standard output goes.
func (c *command) screen(terminal bool) screen {
	if !terminal {
		return screen{}
	}
	s := screen{colours: c.wantsColours()}
	s.columns, s.rows, _ = term.GetSize(int(c.out.Fd()))
	if s.columns == 0 || s.rows == 0 { // a serial line
		s.columns, s.rows = 80, 24
	}
	return s
}

// confirm asks for codes until one is right or the offer's time is over.
func (c *command) confirm(ctx context.Context, user string, o offer) (control.Confirmation, error) {
	none := control.Confirmation{}
	inTime, cancel := context.WithTimeout(ctx, o.Expires.Sub(c.now()))
	defer cancel()
	for {
		typed, err := c.in.line(inTime, "Code shown by the app: ")
		switch {
		case errors.Is(err, context.DeadlineExceeded):
			return none, errVoid()
		case errors.Is(err, io.EOF):
			return none, errors.New("no right code was given: nothing was changed")
		case err != nil:
			return none, err
		}
		if strings.TrimSpace(typed) == "" {
			c.say("Type the %d digits that the app shows; Ctrl-C gives up.", o.Digits)
			continue
		}
		verdict := none
		err = c.forUser(ctx, user, toChange, func(ctx context.Context, client *control.Client) (err error) {
			verdict, err = client.Confirm(ctx, control.ConfirmRequest{User: user, Code: control.Secret(typed)})
			return err
		})
		if codeOf(err) == control.ErrNoPending {
			return none, errVoid()
		}
		if err != nil {
			return none, err
		}
		if c.json {
			if err := c.printJSON(verdict); err != nil {
				return none, err
			}
		}
		if verdict.Outcome == control.Confirmed {
			if verdict.Account == nil {
				return none, &control.Error{Code: control.ErrBadAnswer, Message: "an enrolment without an account"}
			}
			return verdict, nil
		}
		if !c.json {
			c.say("%s", advice(verdict, o))
		}
	}
}

// done tells what the next login is like. With a device more, it tells how many recovery codes are left.
func (c *command) done(o offer, user string, given, left int) {
	if c.json {
		return
	}
	if given == 0 {
		c.say("Done: %q is one more device of %s; a code of any of them lets in.", printable(o.Name), printable(o.User))
		if c.forOther(user) {
			return
		}
		c.say("The recovery codes stay as they were: %s.", codesLeft(left))
		if left < fewCodes {
			c.say("hint: totpctl recovery-codes new")
		}
		return
	}
	c.say("Done: %q is now the second factor of %s.", printable(o.Name), printable(o.User))
	if c.forOther(user) {
		c.say("From the next login on, %s is asked for the password, then for a code.", printable(o.User))
		return
	}
	c.say("The next login asks for the password, then for a code of the app.")
	c.say("Try it in a second window before you leave this one; totpctl status shows what is set up.")
}

// advice says what was wrong with a first code and what to do.
func advice(v control.Confirmation, o offer) string {
	switch v.Outcome {
	case control.CodeWrong:
		return fmt.Sprintf("Wrong code: type the one that the app shows for %s (%s).", printable(o.Host), printable(o.User))
	case control.CodeExpired:
		return "That code was right, but its time is over: type the one that the app shows now."
	case control.CodeFormat:
		return fmt.Sprintf("A code has %d digits: type the one that the app shows.", o.Digits)
	case control.CodeClock:
		off := time.Duration(v.ClockOff) * time.Second
		side := "ahead"
		if off < 0 {
			off, side = -off, "behind"
		}
		return fmt.Sprintf("Your phone's clock is about %s %s: set it to automatic, then type the next code.\n"+
			"If the phone shows the right time, the clock of this host is wrong: timedatectl tells.", inWords(off), side)
	}
	return "The daemon says " + printable(string(v.Outcome)) + ": type the next code that the app shows."
}

// inFours groups a key as people type it.
func inFours(key string) string {
	var groups []string
	for len(key) > 4 {
		groups, key = append(groups, key[:4]), key[4:]
	}
	return strings.Join(append(groups, key), " ")
}
