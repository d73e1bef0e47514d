package server

import (
	"context"
	"errors"

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
	switch {
	case errors.As(err, &broken): // they must not hide the others
		c.control.Log.Print(err)
	case err != nil:
		return control.Users{}, c.unavailable("store", err)
	}
	page := control.Users{Users: []control.Account{}, More: len(list) > pageSize}
	for _, a := range list[:min(len(list), pageSize)] {
		page.Users = append(page.Users, c.enrolment().Describe(a))
	}
	return page, nil
}
