package main

import (
	"crypto/rand"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	_ "github.com/mattn/go-sqlite3" // the database is SQLite
)

// firstUID is where the uids of the others begin: above those of the users who log in.
const firstUID = 1_000_000

// fill adds others to the users of a store until it has so many, each enrolled with a secret that can't
// be opened. The daemon must not run.
//
// This is the only place that knows the database's form. A record that it doesn't know is an error.
func (s store) fill(users int) error {
	db, err := sql.Open("sqlite3", "file:"+s.path("totpd.db")+"?mode=rw&_synchronous=OFF&_locking_mode=EXCLUSIVE")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	var have int
	var name, record string
	if err := db.QueryRow("SELECT count(*), user, record FROM account").Scan(&have, &name, &record); err != nil {
		return err
	}
	var account struct {
		UID     *uint32
		Devices []struct{ Sealed []byte }
	}
	if err := json.Unmarshal([]byte(record), &account); err != nil {
		return fmt.Errorf("record of %s: %w", name, err)
	}
	if len(account.Devices) != 1 {
		return fmt.Errorf("record of %s: %d devices", name, len(account.Devices))
	}
	sealed := account.Devices[0].Sealed
	before, after, found := strings.Cut(record, base64.StdEncoding.EncodeToString(sealed))
	if !found || !strings.Contains(before, name) || account.UID == nil {
		return fmt.Errorf("unexpected record of %s", name)
	}
	ownUID := fmt.Sprintf(`"uid":%d,`, *account.UID)
	tx, err := db.Begin()
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // does nothing after the commit
	put, err := tx.Prepare("INSERT OR IGNORE INTO account (user, record, uid) VALUES (?, ?, ?)")
	if err != nil {
		return err
	}
	for place := 0; have < users && place < million; place += million / users {
		other := among(place)
		rand.Read(sealed)
		uid := firstUID + place
		start := strings.Replace(strings.ReplaceAll(before, name, other), ownUID, fmt.Sprintf(`"uid":%d,`, uid), 1)
		r, err := put.Exec(other, start+base64.StdEncoding.EncodeToString(sealed)+after, uid)
		if err != nil {
			return err
		}
		if n, err := r.RowsAffected(); err == nil {
			have += int(n)
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	_, err = db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
	return err
}
