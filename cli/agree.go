package main

import (
	"context"
	"errors"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// withYes gives a verb that asks whether to go on the option not to.
func withYes(cmd *cobra.Command, yes *bool) *cobra.Command {
	cmd.Flags().BoolVarP(yes, "yes", "y", false, "do it without asking")
	return cmd
}

// askable refuses what a person is to be asked about where none can be. The command without asks nobody.
func (c *command) askable(what, without string) error {
	if c.in.terminal {
		return nil
	}
	return &misuse{printable(what) + ": nobody can be asked, standard input is no terminal", "to do it without asking: " + without}
}

// agree asks a person whether to go on with what was said. Anything but yes is an error.
func (c *command) agree(ctx context.Context, said string) error {
	answer, err := c.in.line(ctx, strings.TrimSpace(said+" Go on? [y/N]")+" ")
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return err
	case !isYes(answer):
		return errors.New("not confirmed: nothing was changed")
	}
	return nil
}

func isYes(answer string) bool {
	answer = strings.ToLower(strings.TrimSpace(answer))
	return answer == "y" || answer == "yes"
}
