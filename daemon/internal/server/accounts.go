package server

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/store"
)

// pageSize is how many accounts one answer to users holds.
const pageSize = 500

func (c *call) status(ctx context.Context, _ control.StatusRequest) (control.Account, error) {
	return c.enrolment().Status(ctx, c.user)
}

func (c *call) users(ctx context.Context, r control.UsersRequest) (control.Users, error) {
	list, err := c.control.Accounts.List(ctx, r.After, pageSize+1)
	var broken *store.Broken
	if err != nil && !errors.As(err, &broken) {
		return control.Users{}, c.unavailable("store", err)
	}
	all := []control.Account{}
	for _, a := range list {
		all = append(all, c.enrolment().Describe(a))
	}
	if broken != nil { // they must not hide the others, nor be hidden
		c.control.Log.Print(err)
		for _, user := range broken.Users {
			all = append(all, control.Account{User: user, Devices: []control.Device{}, Broken: broken.Why[user].Error()})
		}
		slices.SortFunc(all, func(a, b control.Account) int { return strings.Compare(a.User, b.User) })
	}
	return control.Users{Users: all[:min(len(all), pageSize)], More: len(all) > pageSize}, nil
}
