package main

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/system"
	"github.com/totpd/totpd/daemon/control"
)

func newAcceptLoss(c *command) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "accept-loss [OPTIONS]",
		Short: "Go on without accounts or changes that were lost",
		Long: `Go on with what is left of the accounts, after the daemon has said that changes
of them were lost, or the whole database. For root. Until then nobody gets in
through a service that asks for codes.

Look for a backup first (totpctl restore): what is lost here is lost for good.
Users who enrolled recently may not be enrolled any more, and devices that were
removed recently may be back. Where the whole database is gone, nobody is
enrolled: every user gets in with the password alone, unless a rule requires a
code, and whoever has the password may be the first to enrol a phone.

Codes that may have been used recently are not accepted again. You are asked
whether to go on, unless --yes is given. Where nothing is lost, nothing is
changed.

--json prints new, accounts and, where there are such, broken.`,
		Example:           "  totpctl accept-loss --yes",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !yes {
				if err := c.askable("accept-loss", "totpctl accept-loss --yes"); err != nil {
					return err
				}
			}
			return asFailure("accept-loss", c.acceptLoss(cmd.Context(), yes))
		},
	}
	return c.withJSON(withYes(cmd, &yes))
}

func (c *command) acceptLoss(ctx context.Context, yes bool) error {
	if err := forRoot("accept-loss"); err != nil {
		return err
	}
	if !yes {
		if err := c.agree(ctx, "Is the file system of the database mounted, and is there no backup? Then go on: what is missing is given up for good. "+
			"Where the whole database is missing, nobody is enrolled any more, and every user gets in with the password alone."); err != nil {
			return err
		}
	}
	nothing, err := os.Open(os.DevNull)
	if err != nil {
		return err
	}
	defer nothing.Close()
	var report control.LossReport
	if err := c.helper(ctx, nothing, &report, "-accept-loss"); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(report)
	}
	if report.New {
		c.say("Done: the store is empty. Nobody is enrolled: have everybody enrol again.")
	} else {
		c.say("Done: %s left. To see who is enrolled: totpctl users", counted(report.Accounts, "account"))
	}
	if len(report.Broken) > 0 {
		c.say("These can't be read: %s.", printable(some(report.Broken)))
	}
	c.say("%s", startsAgain())
	return nil
}

// startsAgain says how the daemon comes to run.
func startsAgain() string {
	if !system.Booted() {
		return system.ResumeDaemon()
	}
	return "The daemon starts by itself within some seconds, unless it was stopped: " + system.ResumeDaemon()
}
