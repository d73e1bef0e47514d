package server

import (
	"context"
	"errors"
	"os/user"
	"strconv"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/login"
)

var errSlow = errors.New("the name service doesn't answer (see nsswitch.conf)")

// Names looks users up through the name service switch, which may ask a directory across a network,
// and may hang there. A lookup is therefore made aside: it is given up after Patience, and no more
// than a bound may be under way, hung ones included.
type Names struct {
	Patience time.Duration
	slots    chan struct{}
	byName   func(string) (*user.User, error)
	byUID    func(string) (*user.User, error)
}

// NewNames returns Names that wait 2 s and let 64 lookups hang.
func NewNames() *Names {
	return &Names{
		Patience: 2 * time.Second,
		slots:    make(chan struct{}, 64),
		byName:   user.Lookup,
		byUID:    user.LookupId,
	}
}

// Canonical returns the name by which the host knows the user called name: the key of the account. It
// returns login.ErrUnknownUser, or why nobody could be asked.
func (n *Names) Canonical(ctx context.Context, name string) (string, error) {
	if !account.CanBeLogin(name) {
		return "", login.ErrUnknownUser
	}
	return n.aside(ctx, n.byName, name)
}

// OfUID returns the name of the user with this uid, or an error as Canonical does.
func (n *Names) OfUID(ctx context.Context, uid uint32) (string, error) {
	return n.aside(ctx, n.byUID, strconv.FormatUint(uint64(uid), 10))
}

func (n *Names) aside(ctx context.Context, lookup func(string) (*user.User, error), key string) (string, error) {
	late := time.NewTimer(n.Patience)
	defer late.Stop()
	select {
	case n.slots <- struct{}{}:
	case <-ctx.Done():
		return "", errSlow
	case <-late.C:
		return "", errSlow
	}
	type found struct {
		user *user.User
		err  error
	}
	answer := make(chan found, 1)
	go func() {
		u, err := lookup(key)
		<-n.slots
		answer <- found{u, err}
	}()
	select {
	case f := <-answer:
		return named(f.user, f.err)
	case <-ctx.Done():
		return "", errSlow
	case <-late.C:
		return "", errSlow
	}
}

func named(u *user.User, err error) (string, error) {
	var noName user.UnknownUserError
	var noUID user.UnknownUserIdError
	switch {
	case errors.As(err, &noName), errors.As(err, &noUID):
		return "", login.ErrUnknownUser
	case err != nil:
		return "", err
	case !account.CanBeLogin(u.Username):
		return "", errors.New("the name service gives a name that can't be one")
	}
	return u.Username, nil
}
