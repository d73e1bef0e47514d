package store

import (
	"database/sql"
	"errors"
	"hash/crc32"

	"github.com/totpd/totpd/daemon/internal/account"
)

const (
	selectRecord = `SELECT record, sum FROM account WHERE user = ?`
	// selectAgain fails where the index can't be used. A record may be damaged in any way and its user still
	// is somebody with a record.
	selectAgain = `SELECT 1 FROM account INDEXED BY account_again WHERE user = ?`
	// selectNames fails likewise.
	selectNames = `SELECT user FROM account INDEXED BY account_uid WHERE uid = ? ORDER BY user`
)

// lookup finds what is stored for a user. That there is nothing counts only when two indexes agree: in one,
// a single flipped bit can hide a user, who would then need no code.
type lookup struct{ record, again *sql.Stmt }

var errIndexes = errors.New("the database is damaged: one of its indexes of users lacks a user; " +
	"stop the daemon and restore a backup, or build the indexes anew: sqlite3 FILE REINDEX")

// account returns the account of user, and whether one is stored; else a zero account with User set.
func (l lookup) account(user string) (account.Account, bool, error) {
	none := account.Account{User: user}
	var record []byte
	var sum sql.NullInt64
	switch err := l.record.QueryRow(user).Scan(&record, &sum); {
	case errors.Is(err, sql.ErrNoRows):
		return none, false, l.confirm(user)
	case err != nil:
		return none, false, err
	}
	a, err := decode(user, record, sum)
	return a, err == nil, err
}

// sound returns an error where the indexes disagree about user, whatever the record is like.
func (l lookup) sound(user string) error {
	var record sql.RawBytes
	rows, err := l.record.Query(user)
	if err != nil {
		return err
	}
	defer rows.Close()
	if rows.Next() {
		return rows.Scan(&record, new(any))
	}
	if err := rows.Err(); err != nil {
		return err
	}
	return l.confirm(user)
}

// confirm returns nil where the other index has no record of user either.
func (l lookup) confirm(user string) error {
	var one int
	switch err := l.again.QueryRow(user).Scan(&one); {
	case err == nil:
		return errIndexes
	case errors.Is(err, sql.ErrNoRows):
		return nil
	default:
		return err
	}
}

// uidOf is the uid of an account as it stands beside the record, by which it is found: NULL where it is not known.
func uidOf(a account.Account) sql.NullInt64 {
	if a.UID == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(*a.UID), Valid: true}
}

// sumOf is the check sum of a record: SQLite has none, and a flipped bit in a used step makes its code good again.
func sumOf(user string, record []byte) int64 {
	sum := crc32.Update(crc32.Checksum([]byte(user), castagnoli), castagnoli, []byte{0})
	return int64(crc32.Update(sum, castagnoli, record))
}
