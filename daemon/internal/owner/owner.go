// Package owner says whether an account is that of the user who asks. A name can be given to another user
// (userdel, useradd), and a user another name (usermod -l): then the uid tells. It owns no account and judges no code.
//
// Always true: an account of which the uid is known is used by no user with another uid; nobody whose account is
// under a name that was theirs before counts as one without a second factor; two names that both lead to one uid
// are two users, each with an account of its own.
package owner

import (
	"context"
	"errors"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/login"
)

// Store keeps the accounts, as store.Store does.
type Store interface {
	Get(ctx context.Context, user string) (account.Account, bool, error)
	List(ctx context.Context, after string, limit int) ([]account.Account, error)
	NamesOf(ctx context.Context, uid uint32) ([]string, error)
	Update(ctx context.Context, user string, change func(account.Account) (account.Account, error)) error
	Replace(ctx context.Context, acc account.Account) error
	Delete(ctx context.Context, user string) error
	SetMeta(ctx context.Context, name, value string) error
	Events(ctx context.Context, q audit.Query) ([]audit.Entry, error)
}

// Accounts is a Store that has each account know its user's uid.
type Accounts struct {
	Store
	lookup login.Lookup
}

// New returns the accounts of a store.
func New(s Store, lookup login.Lookup) *Accounts { return &Accounts{s, lookup} }

// errUnowned says that the user has to be looked up before the account is changed.
var errUnowned = errors.New("the account knows no uid")

// Update is the store's. An account that nobody has owned so far becomes that of the user who has the name now; where
// nobody can tell the uid, it stays unknown.
func (a *Accounts) Update(ctx context.Context, user string, change func(account.Account) (account.Account, error)) error {
	err := a.Store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		if !owned(acc) {
			return acc, errUnowned // change has not seen it yet: the name service may be slow, and others wait here
		}
		before := acc.UID
		acc, err := change(acc)
		if acc.UID == nil { // made anew
			acc.UID = before
		}
		return acc, err
	})
	if !errors.Is(err, errUnowned) {
		return err
	}
	var uid *uint32
	if is, err := a.lookup(ctx, user); err == nil && is.Name == user {
		uid = &is.UID
	}
	return a.Store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		before, was := acc.UID, owned(acc)
		acc, err := change(acc)
		switch {
		case acc.Empty(): // nothing is kept
		case was && acc.UID == nil:
			acc.UID = before
		case !was && uid != nil:
			acc.UID = uid
		}
		return acc, err
	})
}

func owned(acc account.Account) bool { return acc.Holds() && acc.UID != nil }

// Replace is the store's, likewise.
func (a *Accounts) Replace(ctx context.Context, acc account.Account) error {
	if is, err := a.lookup(ctx, acc.User); err == nil && is.Name == acc.User {
		acc.UID = &is.UID
	}
	return a.Store.Replace(ctx, acc)
}

// Check returns a *account.Foreign where acc, which is kept under the user's name, is somebody else's, or where the
// user has an account under a former name. Any doubt is another error.
func (a *Accounts) Check(ctx context.Context, is account.Identity, acc account.Account) error {
	switch {
	case acc.Holds() && acc.UID != nil && *acc.UID != is.UID:
		return &account.Foreign{Account: acc.User, UID: *acc.UID, User: is}
	case acc.Enrolled(), acc.MustEnrol: // a bypass code alone asks for no code where one is optional
		return nil
	}
	names, err := a.NamesOf(ctx, is.UID)
	if err != nil {
		return err
	}
	for _, name := range names {
		if name == is.Name {
			continue
		}
		if err := a.former(ctx, is, name); err != nil {
			return err
		}
	}
	return nil
}

// former returns an error where the account of a name is that of the user, who was called so before.
func (a *Accounts) former(ctx context.Context, is account.Identity, name string) error {
	acc, _, err := a.Get(ctx, name)
	if err != nil {
		return err
	}
	if !acc.Holds() && !acc.MustEnrol || acc.UID == nil || *acc.UID != is.UID {
		return nil
	}
	other, err := a.lookup(ctx, name)
	switch {
	case errors.Is(err, login.ErrUnknownUser):
	case err != nil:
		return err
	case other == account.Identity{Name: name, UID: is.UID}: // one uid with two names
		return nil
	}
	return &account.Foreign{Account: name, UID: is.UID, User: is}
}
