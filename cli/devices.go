package main

import (
	"context"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newDevices(c *command) *cobra.Command {
	cmd := c.withPolkit(c.withJSON(&cobra.Command{
		Use:   "devices [USER] [OPTIONS]",
		Short: "List the devices, rename or remove one",
		Long: `List your devices: what they show, when they were added and last used. A code
of any of them lets you in. totpctl enrol adds one, totpctl devices remove takes
one of several away, totpctl devices rename gives one another name.

Those of USER are for root to see, and for whom polkit allows
org.totpd.manage.status. --json prints an array, of what status --json has as
devices.`,
		Example:           "  totpctl devices",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.devices(cmd.Context(), userOf(args))
		},
	}))
	cmd.AddCommand(newRenameDevice(c), newRemoveDevice(c))
	return cmd
}

func (c *command) devices(ctx context.Context, user string) error {
	a, err := c.look(ctx, user)
	if err != nil {
		return failed("devices", user, err)
	}
	if c.json {
		return failed("devices", user, c.printJSON(a.Devices))
	}
	if len(a.Devices) == 0 {
		c.say("%s has no device.", printable(a.User))
		c.say("hint: totpctl enrol%s", argument(user))
		return nil
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "NAME\tSHOWS\tADDED\tLAST USED\n")
	for _, d := range a.Devices {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", printable(fmt.Sprintf("%q", d.Name)), printable(shows(d)), day(d.Added), dash(day(d.LastUsed)))
	}
	if a.Broken != "" {
		c.say("%s: no code of %s can be judged", printable(a.Broken), printable(a.User))
		c.say("hint: %s", c.next(a, user))
	}
	return failed("devices", user, table.Flush())
}

// shows says what codes a device makes.
func shows(d control.Device) string {
	if d.Kind == "hotp" {
		return fmt.Sprintf("%d digits at each press, %s", d.Digits, d.Algorithm)
	}
	return fmt.Sprintf("%d digits every %d s, %s", d.Digits, d.Period, d.Algorithm)
}

func newRenameDevice(c *command) *cobra.Command {
	var user string
	cmd := &cobra.Command{
		Use:   "rename OLD NEW [OPTIONS]",
		Short: "Give a device another name",
		Long: `Give a device another name. With --user it is a device of somebody else: for
root, and for whom polkit allows org.totpd.manage.devices.

--json prints what status --json prints.`,
		Example:           `  totpctl devices rename phone "old phone"`,
		Args:              deviceNames("the device, and its new name", 2),
		ValidArgsFunction: c.completeDevice,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.renameDevice(cmd.Context(), user, args[0], args[1])
		},
	}
	return c.withPolkit(c.withJSON(withUser(cmd, &user)))
}

func (c *command) renameDevice(ctx context.Context, user, from, to string) error {
	const verb = "devices rename"
	var a control.Account
	err := c.forUser(ctx, user, toChange, func(ctx context.Context, client *control.Client) (err error) {
		a, err = client.Rename(ctx, control.RenameRequest{User: user, From: from, To: to})
		return err
	})
	switch {
	case err != nil:
		return failed(verb, user, err)
	case c.json:
		return failed(verb, user, c.printJSON(a))
	}
	c.say("Done: %s is now %s.", printable(fmt.Sprintf("%q", from)), printable(fmt.Sprintf("%q", to)))
	return nil
}

func newRemoveDevice(c *command) *cobra.Command {
	var user string
	var yes bool
	cmd := &cobra.Command{
		Use:   "remove NAME [OPTIONS]",
		Short: "Take one of several devices away",
		Long: `Take one of several devices away: its codes let nobody in any more. The last one
goes with totpctl disable. You are asked for your password, and for a code of a
device or a recovery code; when standard input isn't a terminal, they are its
first two lines.

With --user it is a device of somebody else: for root, and for whom polkit
allows org.totpd.manage.devices. They are asked whether to go on unless --yes is
given.

--json prints what status --json prints.`,
		Example:           `  totpctl devices remove "old phone"`,
		Args:              deviceNames("the device", 1),
		ValidArgsFunction: c.completeDevice,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.removeDevice(cmd.Context(), user, args[0], yes)
		},
	}
	return c.withPolkit(c.withJSON(withYes(withUser(cmd, &user), &yes)))
}

func (c *command) removeDevice(ctx context.Context, user, name string, yes bool) (err error) {
	const verb = "devices remove"
	r := control.RemoveRequest{User: user, Name: name}
	var a control.Account
	if c.forOther(user) {
		if !yes {
			if err := c.askable(verb+" "+user, "totpctl devices remove "+quote(name)+" --user "+quote(user)+" --yes"); err != nil {
				return err
			}
			c.say("This takes %s of %s away.", printable(fmt.Sprintf("%q", name)), printable(user))
			if err := c.agree(ctx, ""); err != nil {
				return failed(verb, user, err)
			}
		}
		err = c.asAdmin(ctx, toChange, func(ctx context.Context, client *control.Client) (err error) {
			a, err = client.Remove(ctx, r)
			return err
		})
	} else {
		if a, err = c.ownEnrolled(ctx, user); err != nil {
			return failed(verb, a.User, err)
		}
		user = a.User
		if r.Password, r.Code, err = c.proof(ctx, a); err == nil {
			a, err = c.client().Remove(context.WithoutCancel(ctx), r) // seen to its end
		}
	}
	switch {
	case err != nil:
		return failed(verb, user, err)
	case c.json:
		return failed(verb, user, c.printJSON(a))
	}
	c.say("Done: %s is left with %s.", printable(a.User), printable(strings.Join(names(a), ", ")))
	if hint := c.next(a, r.User); hint != "" {
		c.say("hint: %s", hint)
	}
	return nil
}

// withUser gives a verb about devices the option --user.
func withUser(cmd *cobra.Command, user *string) *cobra.Command {
	cmd.Flags().StringVar(user, "user", "", "of `USER`, not your own")
	cmd.RegisterFlagCompletionFunc("user", cobra.NoFileCompletions)
	return cmd
}
