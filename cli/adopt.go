package main

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"strconv"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

func newAdopt(c *command) *cobra.Command {
	var yes, all bool
	cmd := &cobra.Command{
		Use:   "adopt USER [FORMER] | adopt --all [OPTIONS]",
		Short: "Keep somebody's account after a change of name or uid",
		Long: `Keep the second factor of USER after the user was renamed (usermod -l) or got
another uid. FORMER is the name from before; without it, only the uid is new.

An account remembers the uid of the user who enrolled. Where it doesn't fit the
user of now, every login is refused: it may be a new user with an old name, who
must not use the account of the former one. totpctl doctor lists such accounts.

Adopt an account only if it is the same person. Otherwise totpctl reset USER
takes the account away, and the next login enrols.

Devices and counted wrong codes stay. With FORMER, recovery and bypass codes and
remembered computers end: totpctl recovery-codes new makes new ones.

--all is for a host on which the same people have other uids, such as after
totpctl restore on another host: it lists all accounts whose user has another
uid now, and adopts them under their names.

You are asked whether to go on unless --yes is given. For root only.

--json prints what status --json prints, with --all an array of that.`,
		Example: "  totpctl adopt alice --yes",
		Args: func(_ *cobra.Command, args []string) error {
			if all && len(args) > 0 {
				return &misuse{"--all is for all users: name none", "totpctl adopt --all"}
			}
			if all {
				return nil
			}
			if len(args) < 1 || len(args) > 2 {
				return &misuse{fmt.Sprintf("name the user, and perhaps the former name, not %d names", len(args)), "totpctl adopt USER FORMER"}
			}
			return nil
		},
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all {
				return c.adoptAll(cmd.Context(), yes)
			}
			r := control.AdoptRequest{User: args[0]}
			if len(args) == 2 {
				r.From = args[1]
			}
			return c.adopt(cmd.Context(), r, yes)
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "adopt every account whose user has another uid now")
	return c.withJSON(withYes(cmd, &yes))
}

// adoptAll gives each user who has another uid now the account of that name.
func (c *command) adoptAll(ctx context.Context, yes bool) error {
	client := c.client()
	var moved []string
	for a, err := range client.Users(ctx) {
		if err != nil {
			return failed("adopt", "", err)
		}
		if !a.Owned() {
			continue
		}
		u, err := user.Lookup(a.User)
		var unknown user.UnknownUserError
		switch {
		case errors.As(err, &unknown): // doctor says what becomes of those
		case err != nil:
			return failed("adopt", "", err)
		case u.Username == a.User && u.Uid != strconv.FormatUint(uint64(*a.UID), 10):
			c.say("%s: the account belongs to uid %d, the user has uid %s now", printable(a.User), *a.UID, u.Uid)
			moved = append(moved, a.User)
		}
	}
	if len(moved) > 0 && !yes {
		if err := c.askable("adopt --all", c.self()+" adopt --all --yes"); err != nil {
			return err
		}
		c.say("Then these users have the devices of these accounts. Make sure that they are the same people.")
		if err := c.agree(ctx, ""); err != nil {
			return failed("adopt", "", err)
		}
	}
	adopted := []control.Account{}
	for _, name := range moved {
		a, err := client.Adopt(ctx, control.AdoptRequest{User: name})
		if err != nil {
			return failed("adopt", name, fmt.Errorf("%w; %d of %d are done", err, len(adopted), len(moved)))
		}
		adopted = append(adopted, a)
	}
	if c.json {
		return failed("adopt", "", c.printJSON(adopted))
	}
	c.say("Done: %s.", counted(len(adopted), "account"))
	return nil
}

func (c *command) adopt(ctx context.Context, r control.AdoptRequest, yes bool) error {
	if !yes {
		typed := c.self() + " adopt " + quote(r.User)
		if r.From != "" {
			typed += " " + quote(r.From)
		}
		if err := c.askable("adopt "+r.User, typed+" --yes"); err != nil {
			return err
		}
		c.say("Then the devices of this account are those of %s. Make sure that it is the same person.", printable(r.User))
		if err := c.agree(ctx, ""); err != nil {
			return failed("adopt", r.User, err)
		}
	}
	a, err := c.client().Adopt(ctx, r)
	switch {
	case err != nil:
		f := &failure{verb: "adopt", user: r.User, err: err}
		if code := new(control.Error); errors.As(err, &code) {
			switch code.Code {
			case control.ErrNotEnrolled:
				f.hint = "totpctl users lists the accounts"
			case control.ErrForeign:
				f.hint = "totpctl reset " + quote(r.User) + " has the next login enrol; totpctl disable takes an account away that nobody needs"
			case control.ErrAlreadyEnrolled:
				f.hint = "totpctl disable " + quote(r.User) + ", and then the same again"
			}
		}
		return f
	case c.json:
		return failed("adopt", r.User, c.printJSON(a))
	}
	c.say("Done: %s has the account, with %s.", printable(a.User), counted(len(a.Devices), "device"))
	if r.From != "" && r.From != a.User {
		c.say("Recovery codes have ended. Make new ones, as %s: totpctl recovery-codes new", printable(a.User))
	}
	return nil
}
