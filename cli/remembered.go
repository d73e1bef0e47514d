package main

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newRemembered(c *command) *cobra.Command {
	return c.withPolkit(c.withJSON(&cobra.Command{
		Use:   "remembered [USER] [OPTIONS]",
		Short: "List the computers that are asked for no code",
		Long: `List the computers from which logins are asked for no code, because a right code
came from there and the question whether to remember this computer was answered
with yes. This host's rules say whether, and for how long at most.

A computer is an ssh key together with the address it comes from or, where no
key was used, the address and the service. A network of IPv6 counts as one
address.

Without USER they are your own; those of somebody else are for root to see, and
for whom polkit allows org.totpd.manage.status.

--json prints user and computers: each with id, from, name (the ssh key, or the
service), since, expires and last_used.`,
		Example:           "  totpctl remembered",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.remembered(cmd.Context(), userOf(args))
		},
	}))
}

func (c *command) remembered(ctx context.Context, user string) error {
	var list control.Remembered
	err := c.forUser(ctx, user, toLook, func(ctx context.Context, client *control.Client) (err error) {
		list, err = client.Remembered(ctx, control.RememberedRequest{User: user})
		return err
	})
	switch {
	case err != nil:
		return failed("remembered", user, err)
	case c.json:
		return failed("remembered", user, c.printJSON(list))
	case len(list.Computers) == 0:
		c.say("No computer of %s is remembered.", printable(list.User))
		return nil
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "ID\tFROM\tBY\tSINCE\tUNTIL\tLAST USED\n")
	for _, one := range list.Computers {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", printable(one.ID), printable(one.From), printable(one.Name),
			day(one.Since), day(one.Expires), dash(day(one.LastUsed)))
	}
	return failed("remembered", user, table.Flush())
}

func newForget(c *command) *cobra.Command {
	var all bool
	var id string
	cmd := &cobra.Command{
		Use:   "forget [USER] [OPTIONS]",
		Short: "Have a code asked for again from a computer",
		Long: `Forget remembered computers: the next login from there is asked for a code.
totpctl remembered lists them.

Without USER and options it is the computer that you are logged in from over
ssh, by its address. --computer forgets another one of yours, --all all of them.

With USER it is all of that user's, or the one of --computer. root may do so,
and whom polkit allows org.totpd.manage.forget.

All are forgotten, too, by totpctl disable, by a new device, and when a recovery
code is used.

--json prints user and computers, those that were forgotten, as remembered
--json does.`,
		Example:           "  totpctl forget --all",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			r := control.ForgetRequest{User: userOf(args), All: all, ID: id}
			switch {
			case all && id != "":
				return &misuse{"--all forgets all computers, --computer one", "totpctl forget --all"}
			case cmd.Flags().Changed("computer") && id == "":
				return &misuse{"--computer names none", "totpctl remembered lists them"}
			case id == "" && !all && r.User != "":
				r.All = true
			case id == "" && !all:
				if r.From = sshFrom(c.env); r.From == "" {
					return &misuse{"this is no login over ssh, so which computer?", "totpctl remembered lists them; totpctl forget --all forgets them all"}
				}
			}
			return c.forget(cmd.Context(), r)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&all, "all", false, "forget all computers")
	f.StringVar(&id, "computer", "", "forget the computer with this `ID`")
	cmd.RegisterFlagCompletionFunc("computer", cobra.NoFileCompletions)
	return c.withPolkit(c.withJSON(cmd))
}

// sshFrom is the address that this session was opened from with ssh(1), or "".
func sshFrom(env func(string) string) string {
	address, _, _ := strings.Cut(env("SSH_CONNECTION"), " ")
	if _, err := netip.ParseAddr(address); err != nil {
		return ""
	}
	return address
}

func (c *command) forget(ctx context.Context, r control.ForgetRequest) error {
	var gone control.Remembered
	err := c.forUser(ctx, r.User, toChange, func(ctx context.Context, client *control.Client) (err error) {
		gone, err = client.Forget(ctx, r)
		return err
	})
	switch {
	case err != nil:
		return failed("forget", r.User, err)
	case c.json:
		return failed("forget", r.User, c.printJSON(gone))
	case len(gone.Computers) == 0:
		c.say("No computer of %s was remembered.", printable(gone.User))
	}
	for _, one := range gone.Computers {
		c.say("Forgotten: %s, %s", printable(one.From), printable(one.Name))
	}
	return nil
}
