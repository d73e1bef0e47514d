package server

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/login"
)

// atOnce is how many users of a request are taken over at the same time: they share the commits to the
// disk, and a directory that is slow is asked about several.
const atOnce = 16

// takeOver imports users, each of whom may fail alone.
func (c *call) takeOver(ctx context.Context, r control.ImportRequest) (control.Imported, error) {
	if n := len(r.Users); n == 0 || n > control.ImportMax {
		return control.Imported{}, c.malformed(fmt.Sprintf("1 to %d users at a time, not %d", control.ImportMax, n))
	}
	done := control.Imported{Users: make([]control.ImportOutcome, len(r.Users))}
	var all sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i, from := range r.Users {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			done.Users[i] = c.takeOverOne(ctx, from, r)
		})
	}
	all.Wait()
	return done, nil
}

// takeOverOne imports a user whom the host knows.
func (c *call) takeOverOne(ctx context.Context, from control.ImportUser, r control.ImportRequest) control.ImportOutcome {
	one := *c
	one.user = from.User
	name, err := c.control.Names.Canonical(ctx, from.User)
	switch {
	case err != nil && r.DryRun && errors.Is(err, login.ErrUnknownUser):
		err = &control.Error{Code: control.ErrUnknownUser, Message: noSuchUser(from.User)}
	case err != nil:
		one.unfound = err
		err = one.notFound()
	default:
		one.user, from.User = name, name
		err = c.enrolment().Import(ctx, from, r.Replace, r.DryRun)
	}
	if err == nil {
		return control.ImportOutcome{User: one.user}
	}
	return control.ImportOutcome{User: one.user, Error: one.explain(err)}
}
