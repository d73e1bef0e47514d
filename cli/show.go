package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// sourcesShown is how many known sources a person is shown, the latest.
const sourcesShown = 5

func newShow(c *command) *cobra.Command {
	return c.withPolkit(c.withJSON(&cobra.Command{
		Use:   "show USER [OPTIONS]",
		Short: "Show everything about somebody",
		Long: `Show on one screen what whoever helps USER needs to know: devices, recovery and
bypass codes, remembered computers, what was wrong and whether that makes logins
wait, from where USER has logged in before, what the rules ask for, and the
latest logins.

For root, and whom polkit allows org.totpd.manage.status.

--json prints what status --json prints, and passwords, computers (as remembered
--json), sources (each with from, used and failures), policy (as policy explain
--json) and logins (as log --json).`,
		Example:           "  totpctl show alice",
		Args:              oneUser("name the user"),
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.showUser(cmd.Context(), args[0])
		},
	}))
}

func (c *command) showUser(ctx context.Context, user string) error {
	var s control.Shown
	err := c.asAdmin(ctx, toLook, func(ctx context.Context, client *control.Client) (err error) {
		s, err = client.Show(ctx, control.ShowRequest{User: user})
		return err
	})
	switch {
	case err != nil:
		return failed("show", user, err)
	case c.json:
		return failed("show", user, c.printJSON(s))
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s:\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	a := s.Account
	a.Remembered = 0 // each has a row of its own
	c.account(table, a)
	for _, r := range s.Computers {
		row("remembered", "%s, %s, until %s", r.From, r.Name, date(r.Expires))
	}
	if s.Passwords > 0 {
		row("wrong passwords", "%d in a row, given to totpctl", s.Passwords)
	}
	for _, f := range s.Sources[max(0, len(s.Sources)-sourcesShown):] {
		row("known source", "%s, last on %s", f.From, date(f.Used))
	}
	if s.Policy != nil {
		row("rules", "%s; more: totpctl policy explain %s", demand(*s.Policy), quote(s.User))
	}
	table.Flush()
	if len(s.Logins) > 0 {
		text.WriteString("\nThe latest logins; more: totpctl log " + quote(s.User) + "\n")
	}
	for _, e := range s.Logins {
		text.WriteString(inPlainWords(e, c.colours()) + "\n")
	}
	if _, err := c.out.WriteString(text.String()); err != nil {
		return failed("show", user, err)
	}
	if hint := c.next(s.Account, user); hint != "" {
		c.say("hint: %s", hint)
	}
	return nil
}
