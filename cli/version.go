package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
)

func newVersion(c *command) *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "version [OPTIONS]",
		Short: "Show the versions of command and daemon",
		Long: `Show the version of this command and of the daemon that answers it. The
command's is shown even when no daemon answers.

--json prints totpctl and totpd.`,
		Example:           "  totpctl version",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return c.version(cmd.Context())
		},
	})
}

// versions is what --json prints. Daemon is empty when none answers.
type versions struct {
	Command string `json:"totpctl"`
	Daemon  string `json:"totpd,omitempty"`
}

func (c *command) version(ctx context.Context) error {
	daemon, err := c.client().Version(ctx)
	if ctx.Err() != nil {
		return failed("version", "", err)
	}
	if err != nil {
		c.say("totpctl: version of the daemon is not known: %v", err)
	}
	v := versions{Command: ownVersion(), Daemon: daemon.Version}
	if c.json {
		return failed("version", "", c.printJSON(v))
	}
	_, err = fmt.Fprintf(c.out, "totpctl %s\n", v.Command)
	if v.Daemon != "" && err == nil {
		_, err = fmt.Fprintf(c.out, "totpd %s\n", printable(v.Daemon))
	}
	return failed("version", "", err)
}
