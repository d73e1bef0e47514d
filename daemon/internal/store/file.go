package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"syscall"

	"github.com/mattn/go-sqlite3"
	"golang.org/x/sys/unix"
)

// An ordinary table with an index beside it. WITHOUT ROWID keeps whole records of some 500 bytes in
// the inner pages too: a deeper tree, and 29 instead of 20 µs for a record out of a million. Not STRICT:
// the sqlite3 of RHEL 9, 3.34, can't open a database with such a table, and root may need it.
const schema = `
CREATE TABLE account (user TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL);
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL);
` + historySchema + positionSchema

// historySchema is what schema 2 has beside that of 1: the events, in the order in which they were written,
// each with its time in milliseconds since 1970. A reference, which is random, has no index: with one, a
// login of 64 at once takes 53 instead of 36 µs here; without one, all of 100,000 events are looked through in
// 4 ms.
const historySchema = `
CREATE TABLE event (id INTEGER PRIMARY KEY, at INTEGER NOT NULL, user TEXT NOT NULL, kind TEXT NOT NULL,
	result TEXT NOT NULL, reason TEXT NOT NULL, service TEXT NOT NULL, source TEXT NOT NULL, tty TEXT NOT NULL,
	caller TEXT NOT NULL, device TEXT NOT NULL, detail TEXT NOT NULL, reference TEXT NOT NULL, action TEXT NOT NULL);
CREATE INDEX event_user ON event (user, id);
`

// resolve returns the path without symbolic links, after a check of the directory that holds it.
// SQLite keeps files beside the database, so whoever may write there owns the accounts.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	} else if _, err := os.Lstat(path); err == nil {
		return "", errors.New("a symbolic link that leads nowhere: remove it, or mount what it leads to")
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		d := filepath.Dir(path)
		return "", fmt.Errorf("directory %s is missing: make it with install -d -m 0700 -o totpd -g totpd %s", d, d)
	}
	if err != nil {
		return "", err
	}
	info, err := os.Stat(dir)
	if err != nil {
		return "", err
	}
	switch {
	case !info.IsDir():
		return "", fmt.Errorf("%s is not a directory", dir)
	case info.Mode().Perm()&0o022 != 0:
		return "", fmt.Errorf("others may write to directory %s: mend it with chmod go-w %s", dir, dir)
	case !ownedByUs(info):
		return "", fmt.Errorf("directory %s is neither root's nor ours: mend it with chown", dir)
	}
	return filepath.Join(dir, filepath.Base(path)), nil
}

// lockDaemon takes the lock that only daemons take; other programs share the database through
// SQLite's own locks. It ends with the process. The file stays: removing it would let a daemon that
// opened it earlier and one that makes it anew both hold "the" lock.
func lockDaemon(path string) (*os.File, error) {
	path += ".lock"
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("take the daemon's lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, errors.New("another totpd has it open: stop that one first (systemctl stop totpd.socket totpd.service)")
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// ErrMissing is where there is no database. None is made in its place: nobody would be enrolled in it.
var ErrMissing = errors.New("the database is missing: mount its file system, " + orAnew)

var errEmpty = errors.New("the file is empty, so its accounts are lost: " + orAnew)

// orAnew is what helps where a database is lost.
const orAnew = "restore a backup (totpctl restore FILE), or begin without any account (totpctl accept-loss)"

// ensure refuses a file that can't be a store, or where there is none.
//
// It runs before SQLite has the file open: closing a file in a process takes all its fcntl locks
// away, also SQLite's.
func ensure(path string) error {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return ErrMissing
	case errors.Is(err, fs.ErrPermission):
		if info, e := os.Lstat(path); e == nil && ownerOf(info) != os.Geteuid() {
			return errForeign(path)
		}
		return err
	case err != nil:
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	switch {
	case !info.Mode().IsRegular():
		return errors.New("not a file")
	case info.Size() == 0:
		return errEmpty
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others may read or write it: mend it with chmod 0600 %s", path)
	case !ownedByUs(info):
		return errForeign(path)
	}
	// SQLite would open it all the same, and then fail at a file beside it.
	if err := unix.Access(path, unix.W_OK); errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("its file system is read-only: mount -o remount,rw what findmnt -no TARGET -T %s names", path)
	}
	if err := refuseLater(f); err != nil {
		return err
	}
	return room(path)
}

// errForeign is about a file that lacks the owner of its directory, such as one that root has restored.
func errForeign(path string) error {
	return fmt.Errorf("it belongs to another user: mend it with chown --reference=%s %s", filepath.Dir(path), path)
}

func ownedByUs(info os.FileInfo) bool {
	owner, me := ownerOf(info), os.Geteuid()
	return owner == 0 || me == 0 || owner == me
}

func ownerOf(info os.FileInfo) int { return int(info.Sys().(*syscall.Stat_t).Uid) }

// newFile makes a file for its owner alone. It never touches one that exists.
func newFile(path string) (*os.File, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR|syscall.O_CLOEXEC, 0o600)
}

// begin makes an empty file for a database, in place of what was left of an earlier one.
func begin(path string) error {
	removeDatabase(path)
	f, err := newFile(path)
	if err != nil {
		return err
	}
	return f.Close()
}

// Create makes an empty store at path, in which nobody is enrolled, in a directory that must exist. Where
// there is a file already, it returns an error that wraps fs.ErrExist.
func Create(path string) error {
	path, err := resolve(path)
	if err == nil {
		err = create(path)
	}
	if err != nil {
		return fmt.Errorf("make store %s: %w", path, err)
	}
	return nil
}

// create makes an empty database. It comes into being whole, under another name, so that a crash or
// a full disk leaves no half of one, and never takes the place of another file.
func create(path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fs.ErrExist
	}
	if _, err := os.Lstat(path + "-wal"); err == nil {
		return fmt.Errorf("the database is gone but %s-wal is there: put both back, %s", path, orAnew)
	}
	unfinished := path + ".new"
	defer removeDatabase(unfinished)
	if err := begin(unfinished); err != nil {
		return spaceless(err)
	}
	if err := room(unfinished); err != nil {
		return err
	}
	at := newPosition()
	if err := initialize(unfinished, at); err != nil {
		return explain(err)
	}
	if err := syncFile(unfinished); err != nil {
		return err
	}
	if err := announce(path, at); err != nil {
		return spaceless(err)
	}
	if err := os.Link(unfinished, path); err != nil {
		return err
	}
	if err := os.Remove(unfinished); err != nil {
		return err
	}
	return syncDir(path)
}

func initialize(path string, at position) error {
	db := connect(path, "rw", "")
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := ensureWAL(db); err != nil {
		return err
	}
	_, err := db.Exec(fmt.Sprintf("BEGIN; PRAGMA application_id=%d; PRAGMA user_version=%d; %s COMMIT",
		applicationID, schemaVersion, schema))
	if err != nil {
		return err
	}
	if _, err := db.Exec(beginPosition, at.store); err != nil {
		return err
	}
	if err := db.Close(); err != nil {
		return err
	}
	if _, err := os.Lstat(path + "-wal"); err == nil {
		return errors.New("the new database could not be written in whole")
	}
	return nil
}

func removeDatabase(path string) {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		os.Remove(path + suffix)
	}
}

func syncFile(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	return f.Sync()
}

// syncDir has the directory entry of path on the disk.
func syncDir(path string) error { return syncFile(filepath.Dir(path)) }

// ensureWAL makes the write-ahead log the way in which the database is written. SQLite remembers it
// in the file, so but for a new file this only reads.
func ensureWAL(db *sql.DB) error {
	var mode string
	if err := db.QueryRow("PRAGMA journal_mode=WAL").Scan(&mode); err != nil {
		return err
	}
	if mode != "wal" {
		return fmt.Errorf("this file system can't hold a SQLite database in WAL mode (it is in mode %q)", mode)
	}
	return nil
}

// connector opens connections of one kind to one database.
type connector struct {
	dsn     string
	pragmas string
}

// connect prepares connections to the database at path, mode "ro" or "rw"; neither makes a file. Names and values of
// more are added to SQLite's URI.
func connect(path, mode, pragmas string, more ...string) *sql.DB {
	q := url.Values{"mode": {mode}, "_mutex": {"no"}} // database/sql uses a connection one call at a time
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	u := url.URL{Scheme: "file", Path: path, RawQuery: q.Encode()}
	return sql.OpenDB(connector{u.String(), basePragmas + pragmas})
}

// basePragmas hold for every connection. The wait for another program's lock is well below the three
// seconds in which a login must be answered. wal_autocheckpoint=0: see checkpointer.
const basePragmas = "PRAGMA busy_timeout=1500; PRAGMA synchronous=FULL; PRAGMA wal_autocheckpoint=0;" +
	"PRAGMA cell_size_check=ON; PRAGMA trusted_schema=OFF;"

// looks is how often a change beside a daemon looks for its turn: for six seconds, of 5 ms each.
const looks = 1200

// patient is the wait of whoever changes accounts beside a daemon: one that commits all the time leaves
// few gaps, and SQLite looks for one ten times a second (seen: 3.2 s beside 20,000 updates a second).
const patient = "PRAGMA busy_timeout=6000;"

func (c connector) Connect(context.Context) (driver.Conn, error) {
	return c.Driver().Open(c.dsn)
}

func (c connector) Driver() driver.Driver {
	return &sqlite3.SQLiteDriver{ConnectHook: func(conn *sqlite3.SQLiteConn) error {
		_, err := conn.Exec(c.pragmas, nil)
		return err
	}}
}
