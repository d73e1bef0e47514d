package main

import (
	"context"
	"fmt"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/totpd/totpd/daemon/control"
)

// bypassOptions are the options of bypass as typed.
type bypassOptions struct {
	lasts  string
	uses   int
	list   bool
	revoke string
}

func newBypass(c *command) *cobra.Command {
	var o bypassOptions
	cmd := &cobra.Command{
		Use:   "bypass USER [OPTIONS]",
		Short: "Give somebody a temporary code, or revoke it",
		Long: `Make a code that lets USER in without a device, to be read out over the
telephone: at the prompt for a code, after the password, for the time of --for
(1 minute to 7 days, such as 90m, 12h or 2d) and as many logins as --uses says
(1 to 20). It is shown once, with words to spell it by; --json prints user,
code, id, by (a uid), made, expires and uses, wherever standard output goes;
with --list an array, without user and code; with --revoke user and revoked. Be
sure whom you talk to.

--list shows the codes that are good now, without the codes themselves, and
--revoke ends one by its ID, or all. There are at most 8 at a time.

For root, and whom polkit allows org.totpd.manage.bypass; to list,
org.totpd.manage.status.`,
		Example:           "  totpctl bypass alice --for 1h",
		ValidArgsFunction: c.completeUser,
		Args:              oneUser("name the user who is to have the code"),
		RunE: func(cmd *cobra.Command, args []string) error {
			ways := 0
			for _, flag := range []string{"for", "list", "revoke"} {
				if cmd.Flags().Changed(flag) {
					ways++
				}
			}
			if ways != 1 || cmd.Flags().Changed("uses") && o.lasts == "" {
				return &misuse{"one of --for, --list and --revoke says what to do", "totpctl bypass " + quote(args[0]) + " --for 1h"}
			}
			switch {
			case o.list:
				return c.listBypass(cmd.Context(), args[0])
			case cmd.Flags().Changed("revoke"):
				return c.revokeBypass(cmd.Context(), args[0], o.revoke)
			}
			return c.bypass(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.lasts, "for", "", "make a code that is good for this `TIME`")
	f.IntVar(&o.uses, "uses", 1, "it lets in `N` times")
	f.BoolVar(&o.list, "list", false, "list the codes that are good now")
	f.StringVar(&o.revoke, "revoke", "", "end the code with this `ID`, or all")
	for _, flag := range []string{"for", "uses", "revoke"} {
		cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return c.withPolkit(c.withJSON(cmd))
}

func (c *command) bypass(ctx context.Context, who string, o bypassOptions) error {
	lasts, err := duration(o.lasts)
	if err != nil {
		return &misuse{"--for is a time such as 90m, 12h or 2d, not " + quote(o.lasts), "totpctl bypass " + quote(who) + " --for 1h"}
	}
	terminal := term.IsTerminal(int(c.out.Fd()))
	if !terminal && !c.json {
		return &misuse{"the code is shown on a terminal only, and standard output is none", "--json prints it all the same"}
	}
	var made control.BypassCode
	err = c.asAdmin(ctx, toChange, func(ctx context.Context, client *control.Client) (err error) {
		made, err = client.Bypass(ctx, control.BypassRequest{User: who, For: int(lasts / time.Second), Uses: o.uses})
		return err
	})
	switch {
	case err != nil:
		return failed("bypass", who, err)
	case c.json:
		return failed("bypass", who, c.printJSON(made))
	}
	if _, err := fmt.Fprintln(c.out, printable(string(made.Code))); err != nil {
		return failed("bypass", who, err)
	}
	c.say("\n%s\n", byTelephone(string(made.Code)))
	c.say("This lets %s in %s until %s, in place of a code.", printable(made.User), times(made.Uses), date(made.Expires))
	c.say("To end it earlier: totpctl bypass %s --revoke %s", quote(made.User), quote(made.ID))
	return nil
}

func (c *command) listBypass(ctx context.Context, who string) error {
	a, err := c.look(ctx, who)
	switch {
	case err != nil:
		return failed("bypass", who, err)
	case c.json:
		return failed("bypass", who, c.printJSON(append([]control.Bypass{}, a.Bypass...)))
	case len(a.Bypass) == 0:
		c.say("%s has no bypass code.", printable(a.User))
		return nil
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "ID\tUNTIL\tUSES LEFT\tMADE\tBY\n")
	for _, b := range a.Bypass {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%s\n", printable(b.ID), date(b.Expires), b.Uses, date(b.Made), printable(nameOf(b.By)))
	}
	return failed("bypass", who, table.Flush())
}

func (c *command) revokeBypass(ctx context.Context, who, id string) error {
	r := control.RevokeRequest{User: who, ID: strings.ToUpper(id)}
	switch r.ID {
	case "":
		return &misuse{"--revoke needs an ID, or all", "totpctl bypass " + quote(who) + " --list"}
	case "ALL":
		r.ID = ""
	}
	var ended control.Revoked
	err := c.asAdmin(ctx, toChange, func(ctx context.Context, client *control.Client) (err error) {
		ended, err = client.Revoke(ctx, r)
		return err
	})
	switch {
	case err != nil:
		return failed("bypass", who, err)
	case c.json:
		return failed("bypass", who, c.printJSON(ended))
	}
	c.say("Done: %d of the bypass codes of %s ended.", ended.Revoked, printable(ended.User))
	return nil
}

// nameOf is the name of a uid, or the uid.
func nameOf(uid string) string {
	if u, err := user.LookupId(uid); err == nil {
		return u.Username
	}
	return "uid " + uid
}

// words are those of the telephone (ICAO, NATO) for the letters and digits of a code.
var words = map[rune]string{
	'0': "Zero", '1': "One", '2': "Two", '3': "Three", '4': "Four", '5': "Five", '6': "Six", '7': "Seven", '8': "Eight", '9': "Nine",
	'A': "Alfa", 'B': "Bravo", 'C': "Charlie", 'D': "Delta", 'E': "Echo", 'F': "Foxtrot", 'G': "Golf", 'H': "Hotel", 'J': "Juliett",
	'K': "Kilo", 'M': "Mike", 'N': "November", 'P': "Papa", 'Q': "Quebec", 'R': "Romeo", 'S': "Sierra", 'T': "Tango", 'V': "Victor",
	'W': "Whiskey", 'X': "X-ray", 'Y': "Yankee", 'Z': "Zulu",
}

// byTelephone spells a code with words, a group to a line.
func byTelephone(code string) string {
	var lines []string
	for group := range strings.SplitSeq(code, "-") {
		var spoken []string
		for _, r := range group {
			if word, ok := words[r]; ok {
				spoken = append(spoken, word)
			} else {
				spoken = append(spoken, printable(string(r)))
			}
		}
		lines = append(lines, "  "+strings.Join(spoken, " "))
	}
	return strings.Join(lines, "\n")
}
