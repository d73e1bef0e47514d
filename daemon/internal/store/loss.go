package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

// Accepted says what AcceptLoss has done.
type Accepted struct {
	New      bool     // there was no database: the store is empty now
	Accounts int      // that are in the store
	Broken   []string // users whose records can't be read, and stay as they are
}

// AcceptLoss opens the store at path again after commits were lost, or all of it. What is left counts from now
// on, each account as change makes it; where nothing is left an empty store is made. It refuses a store of
// which nothing is lost, and one that a daemon has open.
func AcceptLoss(path string, change func(account.Account) account.Account) (Accepted, error) {
	done, err := acceptLoss(path, change)
	if err != nil {
		return Accepted{}, fmt.Errorf("accept the loss in store %s: %w", path, explain(err))
	}
	return done, nil
}

func acceptLoss(path string, change func(account.Account) account.Account) (done Accepted, err error) {
	if path, err = resolve(path); err != nil {
		return done, err
	}
	lock, err := lockDaemon(path)
	// A daemon that stays closed tries again all the time, and holds the lock for a moment.
	for try := 0; err != nil && try < 20; try++ {
		time.Sleep(100 * time.Millisecond)
		lock, err = lockDaemon(path)
	}
	if err != nil {
		return done, err
	}
	defer lock.Close()
	switch err := ensure(path); {
	case errors.Is(err, ErrMissing), errors.Is(err, errEmpty):
		done.New = true
		return done, createAnew(path)
	case err != nil:
		return done, err
	}
	if err := convert(path); err != nil {
		return done, err
	}
	var lost *Lost
	switch err := vouch(path); {
	case err == nil:
		return done, errors.New("nothing is lost: there is nothing to accept")
	case !errors.As(err, &lost):
		return done, err
	}
	return done, done.goOn(path, change)
}

// createAnew makes a store where an old one is gone but for files of no use.
func createAnew(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return create(path)
}

// goOn has the database begin anew as it is.
func (done *Accepted) goOn(path string, change func(account.Account) account.Account) error {
	db := connect(path, "rw", patient)
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	var all Restored
	if err := all.changeAll(db, change); err != nil {
		return err
	}
	at := newPosition()
	if _, err := db.Exec(beginPosition, at.store); err != nil {
		return err
	}
	if err := announce(path, at); err != nil {
		return err
	}
	if _, err := db.Exec("COMMIT"); err != nil {
		return err
	}
	done.Accounts, done.Broken = all.Accounts, all.Broken
	return db.Close()
}
