package main

import (
	"context"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// What completing a name may cost: a person waits, with a finger on the key.
const (
	completeTime = time.Second
	completeMax  = 500 // names
)

// completeUser completes the first argument with the users of whom totpd knows. It asks as root only: what
// others ask for may be refused, and a refusal is a line in the journal.
func (c *command) completeUser(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 || c.offline || os.Geteuid() != 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
	defer cancel()
	var names []string
	for a, err := range c.client().Users(ctx) {
		if err != nil || len(names) == completeMax {
			break
		}
		if strings.HasPrefix(a.User, typed) && printable(a.User) == a.User {
			names = append(names, a.User)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeDevice completes the first argument with the names of the caller's own devices, or for root with
// those of --user.
func (c *command) completeDevice(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	user := ""
	if about := cmd.Flags().Lookup("user"); about != nil {
		user = about.Value.String()
	}
	if len(args) > 0 || c.offline || user != "" && os.Geteuid() != 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completeTime)
	defer cancel()
	account, _ := c.client().Status(ctx, control.StatusRequest{User: user})
	var names []string
	for _, d := range account.Devices {
		if strings.HasPrefix(d.Name, typed) {
			names = append(names, d.Name)
		}
	}
	return names, cobra.ShellCompDirectiveNoFileComp
}

// completeFile completes the first argument with a file.
func completeFile(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}
