package store

import (
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
)

// applicationID stands in the header of the database file, "totp": file(1) shows it, and another
// program's database is told from a store by it.
const applicationID = 0x746f7470

// schemaVersion is the user_version of the databases that this code reads and writes:
//
//	1  accounts with a device each
//	2  records with other ways in, and a history of events
//	3  check sums of records, a second index of users, how many commits there were, and the uid
//	   of a user, in the record and in an index
const schemaVersion = 3

// versionOf returns whose database it is, and in which schema.
func versionOf(db *sql.DB) (id, version int, err error) {
	if err = db.QueryRow("PRAGMA application_id").Scan(&id); err == nil {
		err = db.QueryRow("PRAGMA user_version").Scan(&version)
	}
	return id, version, err
}

// checkSchema refuses a database that is not a store, or another version's.
func checkSchema(db *sql.DB) error {
	id, version, err := versionOf(db)
	if err != nil {
		return err
	}
	switch {
	case id != applicationID:
		return errors.New("a SQLite database of another program: name another file, or remove it")
	case version > schemaVersion:
		return errLater(version)
	case version != schemaVersion:
		return fmt.Errorf("it is in schema %d, this totpd knows schema %d: restore it from a backup", version, schemaVersion)
	}
	return checkNames(db)
}

// checkNames refuses names of users that are not text. A flipped bit in the word TEXT makes the column one of numbers:
// then names that look like numbers are found in no index.
func checkNames(db *sql.DB) error {
	var kind string
	err := db.QueryRow("SELECT type FROM pragma_table_info('account') WHERE name = 'user'").Scan(&kind)
	if err == nil && kind != "TEXT" {
		return errors.New("the database is damaged: its table of accounts is of another form; restore a backup (totpctl restore FILE)")
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil // whoever uses the table says what is missing
	}
	return err
}

// refuseLater refuses a later version's database by its header (SQLite's file format, §1.3), before
// SQLite has touched it: closing it would fold into it what its log still holds.
func refuseLater(f *os.File) error {
	var header [72]byte
	if _, err := f.ReadAt(header[:], 0); err != nil {
		return nil // too short to be one: SQLite says what it is
	}
	version := int(binary.BigEndian.Uint32(header[60:]))
	if binary.BigEndian.Uint32(header[68:]) == applicationID && version > schemaVersion {
		return errLater(version)
	}
	return nil
}

func errLater(version int) error {
	return fmt.Errorf("a later totpd has written it, in schema %d, and this one knows schema %d: install the later one again, or put back a copy from before it", version, schemaVersion)
}
