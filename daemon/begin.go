package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// storeMade is what the package leaves when it has made a store.
const storeMade = "/etc/totpd/store-made"

// credentials are where systemd looks for the key (systemd.exec(5), LoadCredentialEncrypted=), which is then encrypted
// or, by a drop-in, plain.
var credentials = []struct {
	path      string
	encrypted bool
}{
	{"/etc/credstore.encrypted/totpd.key", true}, {"/run/credstore.encrypted/totpd.key", true}, {"/usr/lib/credstore.encrypted/totpd.key", true},
	{"/etc/credstore/totpd.key", false}, {"/run/credstore/totpd.key", false}, {"/usr/lib/credstore/totpd.key", false},
}

// begin makes the store, at the first installation. A daemon makes none: where one is missing it is lost, or
// not mounted yet, and in an empty one nobody would need a code.
func begin(file string, l *log.Logger) error {
	syscall.Umask(0o077)
	cfg, err := config.Load(file)
	if err != nil {
		return err
	}
	sign := earlier(file, cfg) // before this process becomes somebody who may not look
	if err := becomeOwner(filepath.Dir(cfg.Store.Path)); err != nil {
		return fmt.Errorf("make store %s: %w", cfg.Store.Path, err)
	}
	if _, err := os.Lstat(cfg.Store.Path); err == nil {
		l.Printf("there is a store at %s already: nothing to do", cfg.Store.Path)
		return nil
	}
	if sign != "" {
		return fmt.Errorf("make store %s: there has been one, since there is %s: restore a backup (totpctl restore FILE), "+
			"or begin without any account (totpctl accept-loss)", cfg.Store.Path, sign)
	}
	if err := store.Create(cfg.Store.Path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	l.Printf("made an empty store at %s", cfg.Store.Path)
	return nil
}

// earlier names a file outside the database that shows that there was one; none is the empty string.
func earlier(file string, cfg config.Config) string {
	signs := []string{cfg.Key.File}
	if file == "" {
		signs = append(signs, storeMade)
		for _, c := range credentials {
			signs = append(signs, c.path)
		}
	}
	for _, path := range signs {
		if _, err := os.Lstat(path); err == nil {
			return path
		}
	}
	return ""
}

// atTheFirst adds what helps where no store has been made yet.
func atTheFirst(err error, file string, cfg config.Config) error {
	if !errors.Is(err, store.ErrMissing) || earlier(file, cfg) != "" {
		return err
	}
	self := "totpd -init"
	if file != "" {
		self = "totpd -config " + file + " -init"
	}
	return fmt.Errorf("%w; where there has never been one: %s", err, self)
}

// acceptLoss goes on with what is left of the accounts, which restore can't bring back any more.
func acceptLoss(file string, l *log.Logger) error {
	syscall.Umask(0o077)
	caller := uint32(os.Getuid())
	cfg, err := besideDaemon(file, l)
	if err != nil {
		return err
	}
	// A code may have been used in what was lost: none of before is good, as after a restoration.
	done, err := store.AcceptLoss(cfg.Store.Path, func(a account.Account) account.Account {
		return verify.Restored(a, cfg.Code.Skew, time.Now())
	})
	record(caller, "accept_loss", cfg.Store.Path, err)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(control.LossReport{New: done.New, Accounts: done.Accounts, Broken: done.Broken})
}
