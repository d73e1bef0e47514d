package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newStatus(c *command) *cobra.Command {
	return c.withPolkit(c.withJSON(&cobra.Command{
		Use:   "status [USER] [OPTIONS]",
		Short: "Show the state of the second factor",
		Long: `Show whether the second factor is set up, with which devices, when they were
added and last used, how many recovery codes are left, which bypass codes are
good now, how many wrong codes are counted, and whether that makes logins wait.

Without USER it is your own; that of somebody else is for root to see, and for
whom polkit allows org.totpd.manage.status.

--json prints one object: user, uid (of the user who enrolled, where it is
known), enrolled, devices (each with name, digits, period (seconds), algorithm,
added, last_used and, of an event-based one, kind), recovery_left, failures,
locked and, where there are such, locked_elsewhere, wait_until, pending_until,
must_enrol, remembered, broken (why no code of the account can be judged), and
bypass (each with id, by, made, expires and uses).`,
		Example:           "  totpctl status --json",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.status(cmd.Context(), userOf(args))
		},
	}))
}

func (c *command) status(ctx context.Context, user string) error {
	a, err := c.look(ctx, user)
	if err != nil {
		return failed("status", user, err)
	}
	if c.json {
		return failed("status", user, c.printJSON(a))
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	c.account(table, a)
	table.Flush()
	if _, err := fmt.Fprint(c.out, text.String()); err != nil {
		return failed("status", user, err)
	}
	if hint := c.next(a, user); hint != "" {
		c.say("hint: %s", hint)
	}
	return nil
}

// account writes a row for each thing that is known of an account.
func (c *command) account(table io.Writer, a control.Account) {
	now, colour := c.now(), c.colours()
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s:\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	row("user", "%s", a.User)
	row("second factor", "%s", onOff(a.Enrolled))
	if a.MustEnrol {
		row("reset", "the next login enrols")
	}
	if a.Broken != "" {
		fmt.Fprintf(table, "broken:\t%s\n", colour.bad(printable(a.Broken)))
	}
	for _, d := range a.Devices {
		row("device", "%s (%s)", d.Name, shows(d))
		row("added", "%s", date(d.Added))
		row("last used", "%s", date(d.LastUsed))
	}
	if a.Enrolled {
		fmt.Fprintf(table, "recovery:\t%s\n", colour.left(a.RecoveryLeft))
	}
	for _, r := range forATime(a) {
		row(r.name, "%s", r.value)
	}
	if a.Enrolled || a.Failures > 0 {
		row("wrong codes", "%s", wrongCodes(a.Failures))
	}
	if wait := a.WaitUntil.Sub(now); wait > 0 && !a.Locked {
		fmt.Fprintf(table, "wait:\t%s\n", colour.warn("no code is looked at for "+inWords(wait)+", until "+date(a.WaitUntil)+", where there was no login before"))
	}
	switch {
	case a.Locked:
		fmt.Fprintf(table, "locked:\t%s\n", colour.bad("no code is looked at any more"))
	case a.LockedElsewhere:
		fmt.Fprintf(table, "locked:\t%s\n", colour.warn(lockedElsewhere))
	}
}

// wrongCodes says how many count: those that no login from the same place has made good.
func wrongCodes(n int) string {
	if n == 0 {
		return "none"
	}
	return fmt.Sprintf("%d counted", n)
}

// lockedElsewhere says what control.Account.LockedElsewhere means.
const lockedElsewhere = "codes are looked at only from where you have logged in before"

// next says what the state asks for. The user is as named on the command line.
func (c *command) next(a control.Account, user string) string {
	switch {
	case a.Broken != "":
		return "as root: " + c.self() + " reset " + quote(a.User) + " takes away what is broken, and the next login enrols"
	case a.Locked, a.LockedElsewhere:
		return "somebody may have the password: change it first; then, as root: " + c.self() + " unlock " + quote(a.User)
	case !a.Enrolled && user == "":
		return "totpctl enrol"
	case a.Enrolled && a.RecoveryLeft < fewCodes && user == "":
		return "of the recovery codes, " + codesLeft(a.RecoveryLeft) + "; to have ten others: totpctl recovery-codes new"
	}
	return ""
}

// forATime are the rows about what an account has for a time only.
func forATime(a control.Account) (rows []struct{ name, value string }) {
	row := func(name, value string) { rows = append(rows, struct{ name, value string }{name, value}) }
	for _, b := range a.Bypass {
		row("bypass code", fmt.Sprintf("%s lets in %s until %s", b.ID, times(b.Uses), date(b.Expires)))
	}
	if a.Remembered > 0 {
		row("remembered", counted(a.Remembered, "computer")+", from which no code is asked")
	}
	if !a.PendingUntil.IsZero() {
		row("enrolment", "begun; waits for its first code until "+date(a.PendingUntil))
	}
	return rows
}
