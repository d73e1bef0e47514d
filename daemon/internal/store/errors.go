package store

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/mattn/go-sqlite3"
)

// ErrReplaced says that the database at the store's path, or its log, isn't the one that was opened. What is in the
// open one is right, but what is written to it is lost in the end.
var ErrReplaced = errors.New("the database file or its log was removed or replaced while totpd runs: put it back, or restart totpd")

// Locked tells whether an error is because another program holds the database's lock.
func Locked(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) && (e.Code == sqlite3.ErrBusy || e.Code == sqlite3.ErrLocked)
}

// explain says in the administrator's words what SQLite's error means, and what to do.
func explain(err error) error {
	var e sqlite3.Error
	if !errors.As(err, &e) {
		return err
	}
	if text := meaning(e); text != "" {
		return fmt.Errorf("%s (SQLite: %w)", text, err)
	}
	return err
}

func lacksSpace(err error) bool {
	var e sqlite3.Error
	return errors.As(err, &e) &&
		(e.Code == sqlite3.ErrFull || e.SystemErrno == syscall.ENOSPC || e.SystemErrno == syscall.EDQUOT)
}

func meaning(e sqlite3.Error) string {
	switch {
	case lacksSpace(e):
		return errNoSpace.Error()
	case e.Code == sqlite3.ErrReadonly, e.SystemErrno == syscall.EROFS:
		return "the database is read-only: look at its owner, and at how its file system is mounted"
	case e.Code == sqlite3.ErrNotADB:
		return "not a SQLite database: restore it from a backup"
	case e.Code == sqlite3.ErrCorrupt:
		return "the database is damaged or cut off: restore it from a backup, or save what is readable with sqlite3 FILE .recover"
	case e.Code == sqlite3.ErrBusy, e.Code == sqlite3.ErrLocked:
		return "another program holds the lock of the database, perhaps a sqlite3 shell in a transaction, or a totpd that hangs"
	case e.Code == sqlite3.ErrCantOpen:
		return "a file of the database can't be opened: look at the owner and the mode of its directory and of its -wal and -shm files"
	case e.Code == sqlite3.ErrIoErr:
		return "the disk fails: look at the kernel's log"
	}
	return ""
}
