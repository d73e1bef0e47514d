package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/seal"
	"github.com/totpd/totpd/daemon/internal/store"
)

// keyCheck names the key check value among the values that belong to the whole store.
const keyCheck = "key_check"

// openKey reads the key, as systemd handed it or from its file, and makes one where no store is sealed
// yet. It returns an error, and changes nothing, when the key is not the one of this store.
func openKey(ctx context.Context, st *store.Store, cfg config.Config) (*seal.Key, error) {
	check, checked, err := st.Meta(ctx, keyCheck)
	if err != nil {
		return nil, err
	}
	accounts, err := st.List(ctx, "", 1)
	var broken *store.Broken
	if err != nil && !errors.As(err, &broken) {
		return nil, err
	}
	mayCreate := !checked && len(accounts) == 0 && broken == nil
	file, handed := seal.Credential()
	var key *seal.Key
	if handed {
		key, err = seal.Load(file)
	} else {
		file = cfg.Key.File
		key, err = seal.LoadOrCreate(file, mayCreate)
	}
	const remedy = "put the right key back from a backup; without it, move the store away and have everybody enrol again"
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("the store %s is sealed, and its key %s is missing: %s", cfg.Store.Path, file, remedy)
	case err != nil:
		return nil, err
	case !checked:
		return key, st.SetMeta(ctx, keyCheck, key.Check())
	case key.Check() != check:
		return nil, fmt.Errorf("the store %s is sealed with another key than %s: %s", cfg.Store.Path, file, remedy)
	}
	return key, nil
}
