package server

import (
	"context"
	"errors"
	"fmt"
	"os/user"
	"slices"
	"strconv"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/share"
)

var errSlow = errors.New("the name service doesn't answer (see nsswitch.conf)")

// Names looks users up through the name service switch, which may ask a directory across a network,
// and may hang there. A lookup is therefore made aside: it is given up after Patience, and no more
// than a bound may be under way, hung ones included. These are shared among the requesters (share.With).
type Names struct {
	Patience time.Duration
	slots    *share.Slots
	byName   func(string) (*user.User, error)
	byUID    func(string) (*user.User, error)
	groupsOf func(name string, among []string) (in, unknown []string, err error)
}

// NewNames returns Names that wait 2 s and let 64 lookups hang, 16 of one requester.
func NewNames() *Names {
	return &Names{
		Patience: 2 * time.Second,
		slots:    share.New(64, 16),
		byName:   user.Lookup,
		byUID:    user.LookupId,
		groupsOf: groupsOf,
	}
}

// Canonical returns the name by which the host knows the user called name: the key of the account. It
// returns login.ErrUnknownUser, or why nobody could be asked.
func (n *Names) Canonical(ctx context.Context, name string) (string, error) {
	is, err := n.Find(ctx, name)
	return is.Name, err
}

// Find returns the user whom the host knows by a name, or an error as Canonical does.
func (n *Names) Find(ctx context.Context, name string) (account.Identity, error) {
	if !account.CanBeLogin(name) {
		return account.Identity{}, login.ErrUnknownUser
	}
	return n.user(ctx, n.byName, name)
}

// OfUID returns the name of the user with this uid, or an error as Canonical does.
func (n *Names) OfUID(ctx context.Context, uid uint32) (string, error) {
	is, err := n.user(ctx, n.byUID, strconv.FormatUint(uint64(uid), 10))
	return is.Name, err
}

// GroupsOf returns those of the groups among that the user is in: by their numbers, since a group may have
// several names. It also returns those that the host doesn't know. The user is known by its canonical name; any
// other doubt is an error.
func (n *Names) GroupsOf(ctx context.Context, name string, among []string) (in, unknown []string, err error) {
	type groups struct{ in, unknown []string }
	all, err := aside(ctx, n, func() (groups, error) {
		in, unknown, err := n.groupsOf(name, among)
		return groups{in, unknown}, err
	})
	return all.in, all.unknown, err
}

// HasGroup says whether the host knows a group.
func (n *Names) HasGroup(ctx context.Context, name string) (bool, error) {
	return aside(ctx, n, func() (bool, error) {
		_, found, err := groupID(name)
		return found, err
	})
}

func (n *Names) user(ctx context.Context, lookup func(string) (*user.User, error), key string) (account.Identity, error) {
	return aside(ctx, n, func() (account.Identity, error) { return identified(lookup(key)) })
}

// aside asks the name service, within the bounds of n.
func aside[T any](ctx context.Context, n *Names, ask func() (T, error)) (T, error) {
	var none T
	ctx, cancel := context.WithTimeout(ctx, n.Patience)
	defer cancel()
	giveBack, err := n.slots.Take(ctx)
	if err != nil {
		return none, errSlow
	}
	type found struct {
		what T
		err  error
	}
	answer := make(chan found, 1)
	go func() {
		what, err := ask()
		giveBack()
		answer <- found{what, err}
	}()
	select {
	case f := <-answer:
		return f.what, f.err
	case <-ctx.Done():
		return none, errSlow
	}
}

func identified(u *user.User, err error) (account.Identity, error) {
	var noName user.UnknownUserError
	var noUID user.UnknownUserIdError
	switch {
	case errors.As(err, &noName), errors.As(err, &noUID):
		return account.Identity{}, login.ErrUnknownUser
	case err != nil:
		return account.Identity{}, err
	case !account.CanBeLogin(u.Username):
		return account.Identity{}, errors.New("the name service gives a name that can't be one")
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return account.Identity{}, fmt.Errorf("the name service gives a uid that can't be one: %w", err)
	}
	return account.Identity{Name: u.Username, UID: uint32(uid)}, nil
}

// groupsOf asks the name service of this host.
func groupsOf(name string, among []string) (in, unknown []string, err error) {
	u, err := user.Lookup(name)
	if err != nil {
		return nil, nil, err
	}
	member, err := u.GroupIds()
	if err != nil {
		return nil, nil, err
	}
	for _, group := range among {
		id, found, err := groupID(group)
		switch {
		case err != nil:
			return nil, nil, err
		case !found:
			unknown = append(unknown, group)
		case slices.Contains(member, id):
			in = append(in, group)
		}
	}
	return in, unknown, nil
}

func groupID(name string) (id string, found bool, err error) {
	g, err := user.LookupGroup(name)
	var none user.UnknownGroupError
	switch {
	case errors.As(err, &none):
		return "", false, nil
	case err != nil:
		return "", false, err
	}
	return g.Gid, true, nil
}
