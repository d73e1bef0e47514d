package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/totpd/totpd/daemon/control"
)

// fewCodes is below how many recovery codes a person is warned.
const fewCodes = 3

func newRecoveryCodes(c *command) *cobra.Command {
	cmd := c.withPolkit(c.withJSON(&cobra.Command{
		Use:   "recovery-codes [USER] [OPTIONS]",
		Short: "Show how many recovery codes are left, or make new ones",
		Long: `Show how many recovery codes are left. Each of them lets in once, in place of a
code, when the device is not at hand; ten come with the first device. They
themselves are not shown again: totpd keeps no more than a hash of each.

Without USER it is your own; that of somebody else is for root to see, and for
whom polkit allows org.totpd.manage.status.

totpctl recovery-codes new makes ten others; those before are void then.

--json prints user and recovery_left.`,
		Example:           "  totpctl recovery-codes",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.recoveryLeft(cmd.Context(), userOf(args))
		},
	}))
	cmd.AddCommand(newRenewRecoveryCodes(c))
	return cmd
}

func (c *command) recoveryLeft(ctx context.Context, user string) error {
	const verb = "recovery-codes"
	a, err := c.look(ctx, user)
	if err != nil {
		return failed(verb, user, err)
	}
	if c.json {
		return failed(verb, user, c.printJSON(struct {
			User string `json:"user"`
			Left int    `json:"recovery_left"`
		}{a.User, a.RecoveryLeft}))
	}
	if _, err := fmt.Fprintf(c.out, "%s: %s\n", printable(a.User), c.colours().left(a.RecoveryLeft)); err != nil {
		return failed(verb, user, err)
	}
	switch {
	case !a.Enrolled:
		c.say("hint: they come with the first device: totpctl enrol%s", argument(user))
	case a.RecoveryLeft < fewCodes:
		c.say("hint: totpctl recovery-codes new%s", argument(user))
	}
	return nil
}

// codesLeft says how many recovery codes are left.
func codesLeft(n int) string {
	if n == 0 {
		return "none left"
	}
	return counted(n, "code") + " left"
}

func newRenewRecoveryCodes(c *command) *cobra.Command {
	var keep keeper
	cmd := &cobra.Command{
		Use:   "new [USER] [OPTIONS]",
		Short: "Make ten new recovery codes; those before are void",
		Long: `Make ten new recovery codes. Those that were left are void then. You are asked
for your password, and for a code of a device or a recovery code; when standard
input isn't a terminal, they are its first two lines. root does this for USER
and is asked for neither.

The codes are shown once, on a terminal only, or written to the file of --save
(mode 0600, never overwritten). --json prints user and recovery_codes, wherever
standard output goes.`,
		Example:           "  totpctl recovery-codes new --save recovery-codes.txt",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			keep.shown = c.json || term.IsTerminal(int(c.out.Fd()))
			return c.renewRecoveryCodes(cmd.Context(), userOf(args), &keep)
		},
	}
	cmd.Flags().StringVar(&keep.path, "save", "", "write the codes to a new `FILE`")
	return c.withJSON(cmd)
}

func (c *command) renewRecoveryCodes(ctx context.Context, user string, keep *keeper) (err error) {
	const verb = "recovery-codes new"
	if !keep.shown && keep.path == "" {
		return &misuse{"the codes are shown on a terminal only, and standard output is none", "--save FILE writes them to a file; --json prints them all the same"}
	}
	r := control.RecoveryCodesRequest{User: user}
	own := control.Account{User: user}
	if !c.forOther(user) {
		if own, err = c.ownEnrolled(ctx, user); err != nil {
			return failed(verb, own.User, err)
		}
	}
	if err := keep.open(); err != nil {
		return &failure{verb: verb, user: own.User, err: err, hint: newFileHint}
	}
	defer func() {
		if err != nil {
			keep.remove()
		}
	}()
	if !c.forOther(user) {
		if r.Password, r.Code, err = c.proof(ctx, own); err != nil {
			return failed(verb, own.User, err)
		}
	}
	// Seen to its end, so that the person learns of it.
	codes, err := c.client().NewRecoveryCodes(context.WithoutCancel(ctx), r)
	if err == nil && c.json {
		err = c.printJSON(codes)
	}
	if err != nil {
		return failed(verb, own.User, err)
	}
	if err := keep.give(c, codes.User, codes.Codes); err != nil {
		return &failure{verb: verb, user: codes.User, err: err, hint: "the codes before are void; others: totpctl recovery-codes new" + argument(user)}
	}
	if !c.json {
		c.say("Done: the recovery codes before are void.")
	}
	return nil
}
