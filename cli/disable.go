package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newDisable(c *command) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "disable [USER] [OPTIONS]",
		Short: "Take the second factor away",
		Long: `Take the second factor away, with all its devices and the count of wrong
codes: logins then ask for the password alone, unless a rule requires a code. To
set it up anew: totpctl enrol.

Without USER it is your own; you are asked for your password and a code. When
standard input isn't a terminal, its first line is the password and its second
the code.

root disables that of USER, to help somebody locked out, and is asked whether to
go on unless --yes is given. Without USER it is root's own, in the same way.
Others may do so whom polkit allows org.totpd.manage.disable.
While the daemon is down: totpctl --offline disable USER.

--json prints user and enrolled.`,
		Example:           "  totpctl disable alice --yes",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			// Root is asked for no proof that the daemon doesn't look at.
			if len(args) == 0 && os.Geteuid() != 0 {
				return c.disableOwn(cmd.Context())
			}
			return c.disableUser(cmd.Context(), userOf(args), yes)
		},
	}
	return c.withPolkit(c.withJSON(withYes(cmd, &yes)))
}

// disableOwn proves by password and code that its owner wants it.
func (c *command) disableOwn(ctx context.Context) error {
	own, err := c.ownEnrolled(ctx, "")
	if err != nil {
		return failed("disable", own.User, err)
	}
	if c.in.terminal {
		c.warn(own)
		c.say("Logins then ask for the password alone, unless a rule requires a code. Ctrl-C leaves it as it is.")
	}
	password, code, err := c.proof(ctx, own)
	if err != nil {
		return failed("disable", own.User, err)
	}
	// Seen to its end, so that the person learns of it.
	return c.disabled(own.User, c.client().Disable(context.WithoutCancel(ctx), control.DisableRequest{Password: password, Code: code}))
}

// disableUser is an admin's help for somebody else, or root's for itself where no user is named.
func (c *command) disableUser(ctx context.Context, user string, yes bool) error {
	if !yes {
		if err := c.askable(strings.TrimSpace("disable "+user), c.self()+" disable"+argument(user)+" --yes"); err != nil {
			return err
		}
	}
	account := control.Account{User: user, Enrolled: true}
	// An admin who isn't root would be asked for a password to look at it, and for another one to change it.
	known := os.Geteuid() == 0 || isOwn(user)
	if known && !yes || user == "" {
		told, err := c.client().Status(ctx, control.StatusRequest{User: user})
		switch {
		case err == nil:
			account = told
		case (codeOf(err) == control.ErrUnavailable || codeOf(err) == control.ErrBroken) && user != "":
			c.say("What %s has can't be read: %s.", printable(user), printable(err.Error())) // root's help goes on
		default:
			return failed("disable", user, err)
		}
	}
	// With nothing to lose, there is nothing to ask; the daemon says so.
	if account.Enrolled && !yes {
		c.warn(account)
		if err := c.agree(ctx, "Logins then ask for the password alone, unless a rule requires a code."); err != nil {
			return failed("disable", account.User, err)
		}
	}
	return c.disabled(account.User, c.forUser(ctx, account.User, toChange, func(ctx context.Context, client *control.Client) error {
		return client.Disable(ctx, control.DisableRequest{User: account.User})
	}))
}

// warn names what a disable takes away.
func (c *command) warn(a control.Account) {
	what := ""
	if len(a.Devices) > 0 {
		what = ": " + strings.Join(names(a), ", ")
	}
	c.say("This takes the second factor of %s away%s.", printable(a.User), printable(what))
}

// disabled says how it went.
func (c *command) disabled(user string, err error) error {
	switch {
	case err != nil:
		return failed("disable", user, err)
	case c.json:
		return failed("disable", user, c.printJSON(struct {
			User     string `json:"user"`
			Enrolled bool   `json:"enrolled"`
		}{User: user}))
	}
	c.say("Done: %s has no second factor any more.", printable(user))
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
