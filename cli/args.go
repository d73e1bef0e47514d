package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// atMostUser accepts one user name or none.
func atMostUser(_ *cobra.Command, args []string) error {
	switch {
	case len(args) > 1:
		return fmt.Errorf("one user at a time, not %d", len(args))
	case len(args) == 1 && args[0] == "":
		return fmt.Errorf("the user name is empty")
	}
	return nil
}

// oneUser accepts one user name, and says that it is missing.
func oneUser(missing string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return errors.New(missing)
		}
		return atMostUser(cmd, args)
	}
}

// userOf returns the user that args name: empty for the caller.
func userOf(args []string) string {
	if len(args) == 0 {
		return ""
	}
	return args[0]
}

// deviceNames accepts so many names.
func deviceNames(what string, n int) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		if len(args) != n {
			return fmt.Errorf("name %s; a name with a space in it needs quotes", what)
		}
		return nil
	}
}

// oneFile accepts the name of a file.
func oneFile(_ *cobra.Command, args []string) error {
	if len(args) != 1 || args[0] == "" {
		return fmt.Errorf("one file is to be named, not %d", len(args))
	}
	return nil
}

// noVerb refuses arguments of a command that has others inside: a verb that there isn't.
func noVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	path := strings.TrimPrefix(pathOf(cmd)+" ", " ")
	m := &misuse{fmt.Sprintf("there is no command %q", path+printable(args[0])), strings.TrimSpace("totpctl help " + path)}
	cmd.SuggestionsMinimumDistance = cmd.Root().SuggestionsMinimumDistance
	if like := cmd.SuggestionsFor(args[0]); len(like) > 0 && len(args[0]) > 2*cmd.SuggestionsMinimumDistance {
		m.hint = "totpctl " + path + like[0]
	}
	return m
}

// noArgs accepts none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("%s takes no argument, such as %s", strings.TrimSpace(pathOf(cmd)), quote(args[0]))
	}
	return nil
}

// pathOf is a command as people type it, without "totpctl".
func pathOf(cmd *cobra.Command) string {
	return strings.TrimPrefix(strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()), " ")
}
