package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newUsers(c *command) *cobra.Command {
	var o usersOptions
	cmd := &cobra.Command{
		Use:   "users [PATTERN] [OPTIONS]",
		Short: "List everybody of whom totpd knows anything",
		Long: `List everybody of whom totpd knows anything, with devices, dates and state, in
order of user name. PATTERN is for names, such as 'a*'. Of several options, all
have to fit; those of whom totpd knows nothing are never listed. totpctl doctor
names those of this host who must enrol and have not.

An account whose record is broken is listed with the reason. What isn't known of
it fits no option but --broken; the last line names all of them, and the exit
status is 1.

For root, and whom polkit allows org.totpd.manage.users. --json prints an array
of what status --json prints.`,
		Example:           "  totpctl users --unused-since 90d",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			fits, err := o.filter(userOf(args), c.now())
			if err != nil {
				return err
			}
			var broken []string
			err = c.asAdmin(cmd.Context(), toLook, func(ctx context.Context, client *control.Client) error {
				broken = nil
				users := only(noting(client.Users(ctx), userOf(args), &broken), fits)
				if c.json {
					return c.usersJSON(users)
				}
				return c.users(users)
			})
			if err != nil || len(broken) == 0 {
				return failed("users", "", err)
			}
			return &failure{
				verb: "users", err: fmt.Errorf("broken record of %s", strings.Join(broken, ", ")),
				hint: c.self() + " reset " + quote(broken[0]) + " takes away what is broken, and the next login enrols; or restore the accounts, or their key, from a backup",
			}
		},
	}
	o.flags(cmd)
	return c.withPolkit(c.withJSON(cmd))
}

// users prints a table once all are known: its columns are as wide as the widest.
func (c *command) users(users iter.Seq2[control.Account, error]) error {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "USER\tDEVICES\tADDED\tLAST USED\tSTATE\n")
	for a, err := range users {
		if err != nil {
			return err // nothing was printed: a table cut short looks like a whole one
		}
		added, used := dates(a)
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", printable(a.User),
			dash(printable(strings.Join(names(a), ", "))), dash(day(added)), dash(day(used)), state(a, c.now(), c.colours()))
	}
	return table.Flush()
}

// usersJSON prints an array as it comes. One that is cut short has no end, so that no parser takes it
// for a whole one.
func (c *command) usersJSON(users iter.Seq2[control.Account, error]) error {
	w := bufio.NewWriter(c.out)
	before := "["
	for a, err := range users {
		if err != nil {
			w.Flush()
			return err
		}
		text, err := json.Marshal(a)
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "%s%s", before, text)
		before = ",\n"
	}
	if before == "[" {
		w.WriteString(before)
	}
	w.WriteString("]\n")
	return w.Flush()
}

// state is the account's in a word or two.
func state(a control.Account, now time.Time, colour colours) string {
	if n := len(a.Bypass); n > 0 {
		last := slices.MaxFunc(a.Bypass, func(x, y control.Bypass) int { return x.Expires.Compare(y.Expires) })
		a.Bypass = nil
		return fmt.Sprintf("%s, %d bypass until %s", state(a, now, colour), n, last.Expires.Local().Format("2006-01-02 15:04"))
	}
	switch {
	case a.Broken != "":
		return colour.bad(printable(a.Broken))
	case a.Locked:
		return colour.bad("locked")
	case a.LockedElsewhere:
		return colour.warn("locked elsewhere")
	case a.WaitUntil.After(now):
		return colour.warn("waits until " + a.WaitUntil.Local().Format("15:04:05"))
	case a.Enrolled:
		return "on"
	case a.MustEnrol:
		return "reset"
	case !a.PendingUntil.IsZero():
		return "off, enrolment begun"
	}
	return "off"
}
