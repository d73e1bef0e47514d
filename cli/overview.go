package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// overview is what totpctl shows alone: how things stand with the caller, and what to do next.
type overview struct {
	account control.Account
	answers bool // the daemon does; otherwise nothing is known of the account
	root    bool
	rules   string // what they demand, of whoever has no second factor
}

func (o overview) enrolled() bool { return o.answers && o.account.Enrolled }
func (o overview) notYet() bool   { return o.answers && !o.account.Enrolled }
func (o overview) pending() bool  { return !o.account.PendingUntil.IsZero() }
func (o overview) few() bool      { return o.enrolled() && o.account.RecoveryLeft < fewCodes }

// steps are what one can do next, those first that the state asks for. Each command is one that there is.
var steps = []struct {
	fits          func(overview) bool
	command, does string
}{
	{func(o overview) bool { return o.notYet() && !o.pending() }, "enrol", "set up your second factor, with a phone"},
	{func(o overview) bool { return o.notYet() && o.pending() }, "enrol", "begin the enrolment again, which waits for its first code"},
	{overview.notYet, "help enrol", "how that goes"},
	{overview.few, "recovery-codes new", "make ten new recovery codes, which help when the phone is lost"},
	{overview.enrolled, "status", "see all of it: devices, dates, wrong codes"},
	{overview.enrolled, "devices", "list your devices; rename or remove one"},
	{func(o overview) bool { return o.enrolled() && !o.few() }, "recovery-codes", "see how many are left, or make new ones"},
	{func(o overview) bool { return o.enrolled() && !o.root && !o.account.Locked }, "enrol", "add another device"},
	{func(o overview) bool { return o.enrolled() && !o.root && o.account.Remembered > 0 }, "remembered", "list the computers that are asked for no code"},
	{func(o overview) bool { return o.enrolled() && !o.root && o.account.Remembered == 0 }, "log", "see your logins, and those that were refused"},
	{func(o overview) bool { return o.answers && o.root }, "users", "list everybody who has a second factor"},
	{func(o overview) bool { return o.root || !o.answers }, "doctor", "look for what is wrong with this host's logins"},
	{func(o overview) bool { return !o.answers && o.root }, "--offline users", "list everybody who has one, without the daemon"},
	{func(o overview) bool { return !o.answers && !o.root }, "status", "see your own, once the daemon answers"},
	{func(overview) bool { return true }, "help", "all commands"},
}

func (c *command) overview(cmd *cobra.Command) error {
	o := overview{root: os.Geteuid() == 0}
	var err error
	o.account, err = c.client().Status(cmd.Context(), control.StatusRequest{})
	var text strings.Builder
	if err == nil {
		o.answers = true
		if !o.account.Enrolled {
			if p, err := c.client().Policy(cmd.Context(), control.PolicyRequest{Service: "sshd", From: "local"}); err == nil && p.Require == "required" {
				o.rules = demand(p)
			}
		}
		c.standing(&text, o.account, o.rules)
		text.WriteString("\n")
	} else if cmd.Context().Err() != nil {
		return failed("status", "", err)
	} else {
		// Told before what can be done about it.
		(&failure{verb: "status", err: err}).explain(c.err)
	}
	text.WriteString("What you can do:\n")
	table := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	for _, s := range steps {
		if s.fits(o) {
			fmt.Fprintf(table, "  totpctl %s\t%s\n", s.command, s.does)
		}
	}
	table.Flush()
	if _, err := c.out.WriteString(text.String()); err != nil {
		return failed("status", "", err)
	}
	if !o.answers {
		return errTold
	}
	return nil
}

// errTold is a failure that the person has been told already.
var errTold = errors.New("told already")

// standing is how things stand with one's own second factor, in short.
func (c *command) standing(to *strings.Builder, a control.Account, rules string) {
	colour := c.colours()
	table := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	row := func(name, value string) { fmt.Fprintf(table, "%s:\t%s\n", name, value) }
	row("user", printable(a.User))
	if a.Enrolled {
		row("second factor", "on, with "+printable(strings.Join(names(a), ", ")))
		row("recovery", colour.left(a.RecoveryLeft))
	} else {
		row("second factor", colour.strong("off"))
	}
	if rules != "" {
		row("rules", colour.warn(rules))
	}
	if a.MustEnrol {
		row("reset", "the next login enrols")
	}
	for _, r := range forATime(a) {
		row(r.name, printable(r.value))
	}
	if wait := a.WaitUntil.Sub(c.now()); wait > 0 && !a.Locked {
		row("wait", colour.warn("no code is looked at for "+inWords(wait)))
	}
	if a.LockedElsewhere && !a.Locked {
		row("locked", colour.warn(lockedElsewhere))
	}
	if a.Locked {
		row("locked", colour.bad("no code is looked at any more")+"; root helps: totpctl unlock "+quote(a.User))
	}
	table.Flush()
}
