package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newUnlock(c *command) *cobra.Command {
	return c.withPolkit(c.withJSON(&cobra.Command{
		Use:   "unlock USER [OPTIONS]",
		Short: "Forget somebody's wrong codes and passwords",
		Long: `Forget all wrong codes and passwords of USER, so that waits and a lock are over.
The devices, and everything else, stay as they are.

Too many wrong codes may mean that somebody guesses who has the password: change
it first. totpctl log USER shows where they came from.

For root, and whom polkit allows org.totpd.manage.unlock.
While the daemon is down: totpctl --offline unlock USER.

--json prints user, failures (wrong codes) and passwords (wrong ones), as many
as are forgotten.`,
		Example:           "  totpctl unlock alice",
		Args:              oneUser("name the user"),
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.unlock(cmd.Context(), args[0])
		},
	}))
}

func (c *command) unlock(ctx context.Context, user string) error {
	var u control.Unlocked
	err := c.asAdmin(ctx, toChange, func(ctx context.Context, client *control.Client) (err error) {
		u, err = client.Unlock(ctx, control.UnlockRequest{User: user})
		return err
	})
	switch {
	case err != nil:
		return failed("unlock", user, err)
	case c.json:
		return failed("unlock", user, c.printJSON(u))
	case u.Failures+u.Passwords == 0:
		c.say("Nothing was counted against %s.", printable(u.User))
		return nil
	}
	c.say("Done: %s may log in again at once (%s forgotten).", printable(u.User), forgotten(u.Failures, u.Passwords))
	return nil
}

// forgotten says how many wrong codes and passwords there were.
func forgotten(codes, passwords int) string {
	switch {
	case passwords == 0:
		return counted(codes, "wrong code")
	case codes == 0:
		return counted(passwords, "wrong password")
	}
	return counted(codes, "wrong code") + ", " + counted(passwords, "wrong password")
}
