package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// BackupPrefix begins the names of the values (see Meta) that are in a backup only.
const BackupPrefix = "backup_"

// WriteBackup writes a copy of the store, as it is at one moment, to w: a database of its own, with these
// values added to what belongs to the whole store, their names without BackupPrefix. A daemon that has the
// store open goes on meanwhile. It returns how many accounts are in the copy, and the users
// of those that can't be read, which are copied as they are. The copy needs room beside the store while it is made.
func WriteBackup(ctx context.Context, path string, values map[string]string, w io.Writer) (accounts int, broken []string, err error) {
	if path, err = resolve(path); err == nil {
		err = ensure(path)
	}
	if err == nil {
		accounts, broken, err = writeBackup(ctx, path, values, w)
	}
	if err != nil {
		return 0, nil, fmt.Errorf("back up store %s: %w", path, explain(err))
	}
	return accounts, broken, nil
}

func writeBackup(ctx context.Context, path string, values map[string]string, w io.Writer) (accounts int, broken []string, err error) {
	made, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".backup.*") // mode 0600
	if err != nil {
		return 0, nil, err
	}
	made.Close()
	defer removeDatabase(made.Name())
	db := connect(path, "ro", patient)
	defer db.Close()
	db.SetMaxOpenConns(1)
	// An earlier version's, whose daemon may still run, is copied as it is.
	id, version, err := versionOf(db)
	switch {
	case err != nil:
		return 0, nil, err
	case id != applicationID, version < 1, version > schemaVersion:
		return 0, nil, checkSchema(db)
	}
	if _, err := db.ExecContext(ctx, "VACUUM INTO ?", made.Name()); err != nil {
		return 0, nil, err
	}
	if accounts, broken, err = addValues(made.Name(), values, version == schemaVersion); err != nil {
		return 0, nil, err
	}
	f, err := os.Open(made.Name())
	if err != nil {
		return 0, nil, err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	if wrong := new(fs.PathError); errors.As(err, &wrong) && wrong.Op == "write" { // w's name is its caller's to know
		err = fmt.Errorf("write the copy: %w", wrong.Err)
	}
	return accounts, broken, err
}

// addValues adds the values to a copy, counts its accounts and names the users of those that can't be
// read. Records of an earlier version are only counted.
func addValues(path string, values map[string]string, look bool) (accounts int, broken []string, err error) {
	db := connect(path, "rw", "")
	defer db.Close()
	db.SetMaxOpenConns(1)
	for name, value := range values {
		if _, err := db.Exec(putMeta, BackupPrefix+name, value); err != nil {
			return 0, nil, err
		}
	}
	if err := db.QueryRow("SELECT count(*) FROM account").Scan(&accounts); err != nil {
		return 0, nil, err
	}
	if look {
		if broken, err = unreadable(db); err != nil {
			return 0, nil, err
		}
	}
	return accounts, broken, db.Close()
}

// unreadable names the users whose records can't be read.
func unreadable(db *sql.DB) (users []string, err error) {
	for after, more := "", true; more; {
		page, err := pageOf(db, after)
		if err != nil {
			return nil, err
		}
		more = len(page) > 0
		for _, row := range page {
			after = row.user
			if _, err := decode(row.user, row.record, row.sum); err != nil {
				users = append(users, row.user)
			}
		}
	}
	return users, nil
}

// ReadMeta returns a value of the store at path as Meta does, without keeping the store open. Where there
// is no store, or none that can be read, there is no value.
func ReadMeta(path, name string) (string, bool) {
	path, err := resolve(path)
	if err != nil || ensure(path) != nil {
		return "", false
	}
	db := connect(path, "ro", "")
	defer db.Close()
	value, found, err := metaOf(db, name)
	return value, found && err == nil
}

func metaOf(db *sql.DB, name string) (string, bool, error) {
	var value string
	err := db.QueryRow(selectMeta, name).Scan(&value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", false, nil
	}
	return value, err == nil, err
}

// aside returns a name beside path that no file has yet, for what path holds now.
func aside(path string) (string, error) {
	for n := 1; n < 1000; n++ {
		name := path + ".before-restore"
		if n > 1 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		if _, err := os.Lstat(name); errors.Is(err, os.ErrNotExist) {
			return name, nil
		}
	}
	return "", errors.New("there are too many files " + path + ".before-restore.*: remove those that nobody needs")
}
