package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newReset(c *command) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "reset USER [OPTIONS]",
		Short: "Have somebody enrol anew at the next login",
		Long: `Take everything away that USER has, and have the next login enrol: devices,
recovery and bypass codes, remembered computers, and all wrong codes and
passwords that were counted. It is for a phone that is lost or stolen.

Until USER has enrolled, the password alone is enough to do so: be sure that
nobody else has it, and that USER logs in soon. Where the phone is only out of
reach, totpctl bypass USER gives a code instead.

You are asked whether to go on unless --yes is given. For root, and whom polkit
allows org.totpd.manage.reset.
While the daemon is down: totpctl --offline reset USER.

--json prints what status --json prints.`,
		Example:           "  totpctl reset alice --yes",
		Args:              oneUser("name the user"),
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.reset(cmd.Context(), args[0], yes)
		},
	}
	return c.withPolkit(c.withJSON(withYes(cmd, &yes)))
}

func (c *command) reset(ctx context.Context, user string, yes bool) error {
	if !yes {
		if err := c.askable("reset "+user, c.self()+" reset "+quote(user)+" --yes"); err != nil {
			return err
		}
		c.say("This takes everything away that %s has: devices, recovery and bypass codes, remembered computers.", printable(user))
		c.say("The next login as %s enrols; until then, whoever has the password can do that.", printable(user))
		if err := c.agree(ctx, ""); err != nil {
			return failed("reset", user, err)
		}
	}
	var a control.Account
	err := c.asAdmin(ctx, toChange, func(ctx context.Context, client *control.Client) (err error) {
		a, err = client.Reset(ctx, control.ResetRequest{User: user})
		return err
	})
	switch {
	case err != nil:
		return failed("reset", user, err)
	case c.json:
		return failed("reset", user, c.printJSON(a))
	}
	c.say("Done: the next login as %s enrols.", printable(a.User))
	return nil
}
