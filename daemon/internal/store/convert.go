package store

import (
	"context"
	"database/sql"
	"fmt"
	"os"
)

// conversions lead from a schema to the next one. Records that nobody changes stay as they are, byte for
// byte: what an account may hold since then is missing in them.
var conversions = map[int]string{1: historySchema, 2: positionSchema}

// convertTime is how long to wait for another program that converts the same database.
const convertTime = "PRAGMA busy_timeout=60000;"

// convert brings a database of an earlier version to this one, whole or not at all, once a copy of it is
// on the disk. Any other database it leaves to checkSchema.
//
// The copy is made while nobody can write, an earlier daemon that still runs included: it is exactly what
// was converted.
func convert(path string) error {
	if due, err := isEarlier(path); err != nil || !due {
		return err
	}
	db := connect(path, "rw", convertTime)
	defer db.Close()
	db.SetMaxOpenConns(1)
	if err := ensureWAL(db); err != nil {
		return err
	}
	ctx := context.Background()
	tx, err := db.Conn(ctx)
	if err != nil {
		return err
	}
	defer tx.Close()
	if _, err := tx.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := convertWithin(ctx, tx, path); err != nil {
		_, _ = tx.ExecContext(ctx, "ROLLBACK")
		return fmt.Errorf("convert it to schema %d: %w", schemaVersion, explain(err))
	}
	_, err = tx.ExecContext(ctx, "COMMIT")
	return err
}

// isEarlier looks without a right to write: with one, closing the database would fold its log into it, also a
// damaged one.
func isEarlier(path string) (bool, error) {
	db := connect(path, "ro", convertTime)
	defer db.Close()
	id, version, err := versionOf(db)
	return id == applicationID && conversions[version] != "", err
}

// convertWithin does so inside the transaction.
func convertWithin(ctx context.Context, tx *sql.Conn, path string) error {
	var version int
	if err := tx.QueryRowContext(ctx, "PRAGMA user_version").Scan(&version); err != nil {
		return err
	}
	if version >= schemaVersion { // somebody else has done it meanwhile
		return nil
	}
	if err := copyTo(path, fmt.Sprintf("%s.before-%d", path, schemaVersion)); err != nil {
		return err
	}
	at := newPosition()
	exec := func(text string, args ...any) (sql.Result, error) { return tx.ExecContext(ctx, text, args...) }
	if err := upgrade(exec, version, at); err != nil {
		return err
	}
	return announce(path, at)
}

// upgrade brings a database of an earlier version to this one, as the store that begins at a position.
func upgrade(exec func(string, ...any) (sql.Result, error), version int, at position) error {
	for ; version < schemaVersion; version++ {
		if _, err := exec(conversions[version]); err != nil {
			return err
		}
	}
	if _, err := exec(beginPosition, at.store); err != nil {
		return err
	}
	_, err := exec(fmt.Sprintf("PRAGMA user_version=%d", version))
	return err
}

// copyTo has a copy of the database at a path, for its owner alone. It takes the place of an older one.
func copyTo(path, to string) error {
	unfinished := to + ".new"
	defer removeDatabase(unfinished)
	if err := begin(unfinished); err != nil {
		return err
	}
	db := connect(path, "rw", "")
	defer db.Close()
	if _, err := db.Exec("VACUUM INTO ?", unfinished); err != nil {
		return fmt.Errorf("copy it to %s: %w", to, explain(err))
	}
	if err := syncFile(unfinished); err != nil {
		return err
	}
	if err := os.Rename(unfinished, to); err != nil {
		return err
	}
	return syncDir(to)
}
