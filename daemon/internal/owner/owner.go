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
	"slices"
	"sync"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/store"
)

// Store keeps the accounts, as store.Store does.
type Store interface {
	Get(ctx context.Context, user string) (account.Account, bool, error)
	List(ctx context.Context, after string, limit int) ([]account.Account, error)
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

	mu    sync.Mutex
	users map[uint32][]string // that may have an account, by uid; a few more than have one
	uids  map[string]uint32   // of accounts that know their uid, and hold something
}

// pageSize is how many accounts are read at a time.
const pageSize = 1000

// Open returns the accounts of a store, once it has looked at all of them. Those that can't be read know no uid.
func Open(ctx context.Context, s Store, lookup login.Lookup) (*Accounts, error) {
	a := &Accounts{Store: s, lookup: lookup, users: map[uint32][]string{}, uids: map[string]uint32{}}
	for after := ""; ; {
		page, err := s.List(ctx, after, pageSize)
		broken := new(store.Broken)
		if err != nil && !errors.As(err, &broken) {
			return nil, err
		}
		for _, acc := range page {
			a.know(acc)
			after = max(after, acc.User)
		}
		for _, user := range broken.Users {
			after = max(after, user)
		}
		if len(page)+len(broken.Users) < pageSize {
			return a, nil
		}
	}
}

// know remembers whose account it is.
func (a *Accounts) know(acc account.Account) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.uids, acc.User)
	if acc.UID == nil || acc.Empty() {
		return
	}
	if acc.Holds() {
		a.uids[acc.User] = *acc.UID
	}
	if !slices.Contains(a.users[*acc.UID], acc.User) {
		a.users[*acc.UID] = append(a.users[*acc.UID], acc.User)
	}
}

// forget drops a name that has no account of the uid any more.
func (a *Accounts) forget(uid uint32, name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.users[uid] = slices.DeleteFunc(slices.Clone(a.users[uid]), func(n string) bool { return n == name })
	if len(a.users[uid]) == 0 {
		delete(a.users, uid)
	}
}

// uidOf returns the uid of a user whose account doesn't know it yet. Where nobody can tell, it stays unknown.
func (a *Accounts) uidOf(ctx context.Context, user string) *uint32 {
	a.mu.Lock()
	_, known := a.uids[user]
	a.mu.Unlock()
	if known {
		return nil
	}
	if is, err := a.lookup(ctx, user); err == nil && is.Name == user {
		return &is.UID
	}
	return nil
}

// Update is the store's. An account that nobody has owned so far becomes that of the user who has the name now.
func (a *Accounts) Update(ctx context.Context, user string, change func(account.Account) (account.Account, error)) error {
	uid := a.uidOf(ctx, user)
	return a.Store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		before := acc.UID
		owned := acc.Holds() && before != nil
		acc, err := change(acc)
		switch {
		case err != nil:
			return acc, err
		case acc.Empty():
		case owned && acc.UID == nil: // made anew
			acc.UID = before
		case !owned && uid != nil:
			acc.UID = uid
		}
		a.know(acc)
		return acc, nil
	})
}

// Replace is the store's, likewise.
func (a *Accounts) Replace(ctx context.Context, acc account.Account) error {
	if is, err := a.lookup(ctx, acc.User); err == nil && is.Name == acc.User {
		acc.UID = &is.UID
	}
	err := a.Store.Replace(ctx, acc)
	if err == nil {
		a.know(acc)
	}
	return err
}

// Check returns a *account.Foreign where acc, which is kept under the user's name, is somebody else's, or where the
// user has an account under a former name. Any doubt is another error.
func (a *Accounts) Check(ctx context.Context, is account.Identity, acc account.Account) error {
	switch {
	case acc.Holds() && acc.UID != nil && *acc.UID != is.UID:
		return &account.Foreign{Account: acc.User, UID: *acc.UID, User: is}
	case acc.Holds(), acc.MustEnrol:
		return nil
	}
	a.mu.Lock()
	names := slices.Clone(a.users[is.UID])
	a.mu.Unlock()
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
		a.forget(is.UID, name)
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
