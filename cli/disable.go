package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newDisable(c *command) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "disable [USER] [OPTIONS]",
		Short: "Take the second factor away",
		Long: `Take the second factor away, with all its devices and the count of wrong codes:
logins then ask for the password alone. To set it up anew: totpctl enrol.

Without USER it is your own; you are asked for your password and a code. When standard
input isn't a terminal, its first line is the password and its second the code.

root disables that of USER, to help somebody locked out, and is asked whether to go on
unless --yes is given.`,
		Example:           "  totpctl disable alice --yes",
		Args:              atMostUser,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return c.disableOwn(cmd.Context())
			}
			return c.disableUser(cmd.Context(), args[0], yes)
		},
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do it without asking")
	return c.withJSON(cmd)
}

// disableOwn proves by password and code that its owner wants it.
func (c *command) disableOwn(ctx context.Context) error {
	client := c.client()
	own, err := client.Status(ctx, control.StatusRequest{})
	if err == nil && !own.Enrolled {
		err = &control.Error{Code: control.ErrNotEnrolled, Message: "not enrolled"}
	}
	if err != nil {
		return failed("disable", own.User, err)
	}
	if c.in.terminal {
		c.say("This takes the second factor of %s away: %s.", printable(own.User), printable(strings.Join(names(own), ", ")))
		c.say("Logins then ask for the password alone. Ctrl-C leaves it as it is.")
	}
	password, err := c.password(ctx, own.User)
	if err != nil {
		return failed("disable", own.User, err)
	}
	code, err := c.in.line(ctx, "Code shown by the app: ")
	if errors.Is(err, io.EOF) {
		err = errors.New("no code was given: nothing was changed")
	}
	if err != nil {
		return failed("disable", own.User, err)
	}
	return c.disable(ctx, client, own.User, control.DisableRequest{Password: password, Code: control.Secret(code)})
}

// disableUser is root's help for somebody else.
func (c *command) disableUser(ctx context.Context, user string, yes bool) error {
	if !yes && !c.in.terminal {
		return &misuse{"disable " + printable(user) + ": nobody can be asked, standard input is no terminal",
			"to do it without asking: totpctl disable " + quote(user) + " --yes"}
	}
	client := c.client()
	if !yes {
		account, err := client.Status(ctx, control.StatusRequest{User: user})
		if err != nil {
			return failed("disable", user, err)
		}
		// With nothing to lose, there is nothing to ask.
		if account.Enrolled {
			c.say("This takes the second factor of %s away: %s.", printable(account.User), printable(strings.Join(names(account), ", ")))
			answer, err := c.in.line(ctx, "Logins then ask for the password alone. Go on? [y/N] ")
			if err != nil && !errors.Is(err, io.EOF) {
				return failed("disable", user, err)
			}
			if a := strings.ToLower(strings.TrimSpace(answer)); a != "y" && a != "yes" {
				return failed("disable", user, errors.New("not confirmed: nothing was changed"))
			}
		}
	}
	return c.disable(ctx, client, user, control.DisableRequest{User: user})
}

// disabled is what --json prints.
type disabled struct {
	User     string `json:"user"`
	Enrolled bool   `json:"enrolled"`
}

func (c *command) disable(ctx context.Context, client *control.Client, user string, r control.DisableRequest) error {
	// Seen to its end, so that the person learns of it.
	if err := client.Disable(context.WithoutCancel(ctx), r); err != nil {
		return failed("disable", user, err)
	}
	if c.json {
		return failed("disable", user, c.printJSON(disabled{User: user}))
	}
	c.say("Done: logins of %s ask for the password alone.", printable(user))
	return nil
}

// names returns the names of an account's devices.
func names(a control.Account) []string {
	var all []string
	for _, d := range a.Devices {
		all = append(all, fmt.Sprintf("%q", d.Name))
	}
	return all
}
