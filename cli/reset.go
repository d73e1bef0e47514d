package main

import (
	"context"
	"errors"
	"io"
	"strings"

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
allows org.totpd.manage.reset; the password that it may want is asked for at a
terminal, unless --no-ask is given.
While the daemon is down: totpctl --offline reset USER.`,
		Example:           "  totpctl reset alice --yes",
		Args:              oneUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.reset(cmd.Context(), args[0], yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	return c.withPolkit(c.withJSON(cmd))
}

func (c *command) reset(ctx context.Context, user string, yes bool) error {
	if !yes && !c.in.terminal {
		return &misuse{"reset " + printable(user) + ": nobody can be asked, standard input is no terminal",
			"to do it without asking: " + c.self() + " reset " + quote(user) + " --yes"}
	}
	if !yes {
		c.say("This takes everything away that %s has: devices, recovery and bypass codes, remembered computers.", printable(user))
		c.say("The next login as %s enrols; until then, whoever has the password can do that.", printable(user))
		answer, err := c.in.line(ctx, "Go on? [y/N] ")
		if err != nil && !errors.Is(err, io.EOF) {
			return failed("reset", user, err)
		}
		if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
			return failed("reset", user, errors.New("not confirmed: nothing was changed"))
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
