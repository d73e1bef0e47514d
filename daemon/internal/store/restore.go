package store

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/mattn/go-sqlite3"

	"github.com/totpd/totpd/daemon/internal/account"
)

// Restoration is what the caller has to say of a backup.
type Restoration struct {
	// Accept looks at the values of the backup (see Meta; those with BackupPrefix are dropped then) and may
	// refuse it.
	Accept func(value func(name string) string) error
	// Change makes each account what it is to be.
	Change func(account.Account) account.Account
	// Last is called when nothing but the exchange is left to do, and may still refuse it. Undo takes back what it
	// has done, where the exchange fails.
	Last func() error
	Undo func()
}

// Restored says what a restoration has done.
type Restored struct {
	Accounts int      // that are in the store now
	Broken   []string // users whose records can't be read, and stay as they are
	Before   string   // the file that holds what was there before; empty: there was nothing
}

// Restore puts a backup, which is read from r, in the place of the store at path, while no daemon has it
// open. What was there is kept beside. Until all of the backup has been looked at and is on the disk, the
// store stays as it was; then it is the one or the other, whatever happens.
func Restore(path string, r io.Reader, how Restoration) (Restored, error) {
	done, err := restore(path, r, how)
	if err != nil {
		return Restored{}, fmt.Errorf("restore store %s: %w", path, explain(err))
	}
	return done, nil
}

func restore(path string, r io.Reader, how Restoration) (done Restored, err error) {
	if path, err = resolve(path); err != nil {
		return done, err
	}
	lock, err := lockDaemon(path)
	if err != nil {
		return done, err
	}
	defer lock.Close()
	unfinished := path + ".restored"
	removeDatabase(unfinished)
	defer removeDatabase(unfinished)
	if err := receive(unfinished, r); err != nil {
		return done, err
	}
	at := newPosition()
	if err := done.prepare(unfinished, at, how); err != nil {
		return done, err
	}
	if err := syncFile(unfinished); err != nil {
		return done, err
	}
	if err := how.Last(); err != nil {
		return done, err
	}
	if err = announce(path, at); err == nil {
		done.Before, err = replace(path, unfinished)
	}
	if err != nil {
		how.Undo()
	}
	return done, err
}

// receive writes the backup to a new file and looks at its header.
func receive(path string, r io.Reader) error {
	f, err := newFile(path)
	if err != nil {
		return err
	}
	defer f.Close()
	n, err := io.Copy(f, r)
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("the backup is empty")
	}
	return refuseLater(f)
}

// prepare looks at all of the backup, and makes of it what will be the store.
func (done *Restored) prepare(path string, at position, how Restoration) error {
	db := connect(path, "rw", "PRAGMA journal_mode=DELETE;")
	defer db.Close()
	db.SetMaxOpenConns(1)
	version, err := soundBackup(db)
	if err != nil {
		return err
	}
	var failed error
	err = how.Accept(func(name string) string {
		value, _, err := metaOf(db, name)
		failed = errors.Join(failed, err)
		return value
	})
	if err := errors.Join(failed, err); err != nil {
		return err
	}
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := upgrade(db.Exec, version, at); err != nil {
		return err
	}
	if _, err := db.Exec("DELETE FROM meta WHERE name GLOB ?", BackupPrefix+"*"); err != nil {
		return err
	}
	if err := done.changeAll(db, how.Change); err != nil {
		return err
	}
	if _, err := db.Exec("COMMIT"); err != nil {
		return err
	}
	// A key that was in it is in no free page either.
	if _, err := db.Exec("VACUUM"); err != nil {
		return err
	}
	return db.Close()
}

// soundBackup refuses what is no whole store of this version or an earlier one.
func soundBackup(db *sql.DB) (version int, err error) {
	var id, others int
	var verdict string
	for _, q := range []struct {
		text string
		into any
	}{
		{"PRAGMA application_id", &id},
		{"PRAGMA user_version", &version},
		{"PRAGMA integrity_check(1)", &verdict},
		{"SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')", &others},
	} {
		err := db.QueryRow(q.text).Scan(q.into)
		var e sqlite3.Error
		switch {
		case errors.As(err, &e) && e.Code == sqlite3.ErrNotADB:
			return 0, errors.New("the backup is not a SQLite database")
		case errors.As(err, &e) && e.Code == sqlite3.ErrCorrupt:
			return 0, errors.New("the backup is damaged or cut off")
		case err != nil:
			return 0, err
		}
	}
	switch {
	case id != applicationID:
		return 0, errors.New("the backup is a SQLite database of another program")
	case version < 1 || version > schemaVersion:
		return 0, errLater(version)
	case verdict != "ok":
		return 0, errors.New("the backup is damaged or cut off: " + verdict)
	case others > 0:
		return 0, errors.New("the backup has triggers or views in it, which no totpd makes")
	}
	return version, nil
}

// changeAll stores each account as change makes it.
func (done *Restored) changeAll(db *sql.DB, change func(account.Account) account.Account) error {
	for after, more := "", true; more; {
		page, err := pageOf(db, after)
		if err != nil {
			return err
		}
		more = len(page) > 0
		for _, row := range page {
			after = row.user
			a, err := decode(row.user, row.record, row.sum)
			if err != nil {
				done.Broken = append(done.Broken, row.user)
				continue
			}
			if a = change(a); a.Empty() {
				if _, err := db.Exec(deleteRecord, row.user); err != nil {
					return err
				}
				continue
			}
			record, err := encode(a)
			if err != nil {
				return err
			}
			if _, err := db.Exec(putRecord, row.user, string(record), sumOf(row.user, record), uidOf(a)); err != nil {
				return err
			}
			if _, err := db.Exec(setUID, row.user, uidOf(a)); err != nil {
				return err
			}
			done.Accounts++
		}
	}
	return nil
}

type row struct {
	user   string
	record []byte
	sum    sql.NullInt64
}

// pageOf returns the next rows: they are read before any of them is written.
func pageOf(db *sql.DB, after string) ([]row, error) {
	rows, err := db.Query(selectPage+" LIMIT 1000", after)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var page []row
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.user, &r.record, &r.sum); err != nil {
			return nil, err
		}
		page = append(page, r)
	}
	return page, rows.Err()
}

// replace puts the file at unfinished in the place of the database at path, which keeps another name. The
// log of the old one must be gone by then: SQLite would write it into the new one.
func replace(path, unfinished string) (before string, err error) {
	if before, err = aside(path); err != nil {
		return "", err
	}
	foldLog(path)
	switch err := os.Link(path, before); {
	case errors.Is(err, fs.ErrNotExist):
		before = ""
	case err != nil:
		return "", err
	default:
		// What could not be folded in, because the database is damaged, say, is kept with it.
		for _, suffix := range []string{"-wal", "-journal"} {
			if err := os.Rename(path+suffix, before+suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", err
			}
		}
	}
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
	}
	if err := syncDir(path); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", err
	}
	return before, syncDir(path)
}

// foldLog writes the log into the database, if both can be read and nothing is lost.
func foldLog(path string) {
	if ensure(path) != nil || vouch(path) != nil {
		return
	}
	db := connect(path, "rw", "")
	defer db.Close()
	// What fails here is kept as it is.
	_, _ = db.Exec(setClean, true)
	_, _ = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
}
