package store

import (
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/mattn/go-sqlite3"
)

// positionSchema is what schema 3 has beside that of 2: how far the store has got, as part of each commit; a
// check sum of each record; a second index of the names, see lookup; and the uid that a record holds, by which it is
// found. No record of schema 2 holds one.
//
// clean says that the store was closed, and that the database file alone is all of it.
const positionSchema = `
ALTER TABLE account ADD COLUMN sum INTEGER;
CREATE INDEX account_again ON account (user);
ALTER TABLE account ADD COLUMN uid INTEGER;
CREATE INDEX account_uid ON account (uid) WHERE uid IS NOT NULL;
CREATE TABLE position (id INTEGER PRIMARY KEY, store TEXT NOT NULL, commits INTEGER NOT NULL, clean INTEGER NOT NULL);
`

const (
	beginPosition = `INSERT OR REPLACE INTO position (id, store, commits, clean) VALUES (1, ?, 0, 1)`
	countCommit   = `UPDATE position SET commits = commits + 1 RETURNING store, commits`
	setClean      = `UPDATE position SET clean = ?1 WHERE clean != ?1`
)

// A Lost error says that commits which were told to be on the disk are not in the database, or that nobody
// can tell. The store stays closed until they are back, or AcceptLoss says that they won't be.
type Lost struct {
	Commits int64 // at least so many; 0: it can't be told
	cause   string
}

func (l *Lost) Error() string {
	const remedy = "; restore a backup (totpctl restore FILE), or go on without what was lost (totpctl accept-loss)"
	if l.Commits == 0 {
		return "it can't be told whether all accounts are as they were: " + l.cause + remedy
	}
	return fmt.Sprintf("changes of accounts are lost, the last %d: %s", l.Commits, l.cause+remedy)
}

// vouch returns an error of type *Lost where the database at path, whose schema is this version's, lacks
// commits that the counter knows of. It changes nothing, so that what is left of a damaged log stays.
func vouch(path string) error {
	// The counter first: a daemon that runs may commit between the two, and the database only grows.
	told, err := readCounter(path)
	if err != nil {
		return fmt.Errorf("read its counter: %w", err)
	}
	db := connect(path, "ro", "")
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := checkSchema(db); err != nil {
		return err
	}
	held, clean, err := positionOf(db)
	if errors.Is(err, sql.ErrNoRows) {
		return &Lost{cause: "the database doesn't say how many changes it holds"}
	}
	if err != nil {
		return err
	}
	most, known := furthest(told, held.store)
	switch {
	case most.commits > held.commits:
		return &Lost{most.commits - held.commits, "SQLite's log " + path + "-wal was removed, cut off or damaged, or the database is an older copy"}
	case !fileHolds(path, most):
		return &Lost{cause: "the database is an older copy, and " + path + "-wal is another one's"}
	case known || clean:
		return nil
	case len(told) == 0:
		return &Lost{cause: "the daemon was not stopped, and " + path + counterSuffix + ", which would tell, is missing or damaged"}
	}
	return &Lost{cause: "the daemon was not stopped, and " + path + counterSuffix + " is another database's"}
}

// fileHolds says whether the database file, without its log, has got as far as p says. A file that was put in the place
// of another one may have a log beside it that isn't its own, or that goes on where the other one was: the two together
// look whole, and are a mixture.
func fileHolds(path string, p position) bool {
	if p.folded == 0 {
		return true
	}
	// SQLite leaves the log aside then. It keeps our locks, which closing a file by ourselves would take away.
	db := connect(path, "ro", "", "immutable", "1")
	defer db.Close()
	held, _, err := positionOf(db)
	var e sqlite3.Error
	if errors.As(err, &e) && e.Code != sqlite3.ErrError { // a crash may leave half a checkpoint, which the log completes
		return true
	}
	return err == nil && held.store == p.store && held.commits >= p.folded
}

// positionOf returns how far the database has got, and whether it was closed.
func positionOf(db *sql.DB) (p position, clean bool, err error) {
	err = db.QueryRow("SELECT store, commits, clean FROM position").Scan(&p.store, &p.commits, &clean)
	return p, clean, err
}

func (s *Store) position() (position, error) {
	p, _, err := positionOf(s.read)
	return p, err
}

// newPosition is where a store begins.
func newPosition() position {
	id := make([]byte, 8)
	rand.Read(id) // never fails
	return position{store: hex.EncodeToString(id)}
}
