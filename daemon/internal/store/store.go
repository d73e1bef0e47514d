// Package store keeps the accounts: the only code that touches the database.
package store

import (
	"context"
	"errors"

	_ "github.com/mattn/go-sqlite3" // until the package is filled in

	"github.com/totpd/totpd/daemon/internal/account"
)

var errTODO = errors.New("store: not built yet")

// Store is an open database of accounts.
type Store struct{}

// Open opens the store at path.
func Open(path string) (*Store, error) { return nil, errTODO }

// Close ends the store.
func (s *Store) Close() error { return nil }

// Get returns the account of user and whether one is stored.
func (s *Store) Get(ctx context.Context, user string) (account.Account, bool, error) {
	return account.Account{}, false, errTODO
}

// Update changes the account of user.
func (s *Store) Update(ctx context.Context, user string, fn func(account.Account) (account.Account, error)) error {
	return errTODO
}

// List returns up to limit accounts after the user named after.
func (s *Store) List(ctx context.Context, after string, limit int) ([]account.Account, error) {
	return nil, errTODO
}

// Meta returns a value that belongs to the whole store and whether one is stored.
func (s *Store) Meta(ctx context.Context, key string) (string, bool, error) {
	return "", false, errTODO
}

// SetMeta stores such a value.
func (s *Store) SetMeta(ctx context.Context, key, value string) error { return errTODO }
