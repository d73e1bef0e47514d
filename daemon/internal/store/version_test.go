package store

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/totpd/totpd/daemon/internal/account"
)

// A database and records as they were written before the first release.
const firstSchema = `
PRAGMA journal_mode=WAL; PRAGMA application_id=1953461360; PRAGMA user_version=1;
CREATE TABLE account (user TEXT NOT NULL PRIMARY KEY, record TEXT NOT NULL) STRICT;
CREATE TABLE meta (name TEXT NOT NULL PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO meta VALUES ('key_check', '5d2c');
`

var firstRecords = map[string]string{
	"alice": `{"user":"alice","devices":[{"id":"KJ4Y2ZHHTSXVRIKJ4Y2ZHHTSXV","name":"phone","digits":6,"period":30,"algorithm":"SHA1",` +
		`"sealed":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAhIiMkJSYnKCkqKywtLi8w","added":"2025-11-24T10:00:00.123456789Z",` +
		`"last_used":"2025-11-24T11:00:00Z","used":[58798920,58798921]}]}`,
	"bob": `{"user":"bob","pending":{"device":{"id":"X","name":"büro","digits":8,"period":60,"algorithm":"SHA512","sealed":"AQ==",` +
		`"added":"2025-11-24T10:00:00Z"},"expires":"2025-11-24T10:10:00Z"},"codes":{"failures":2,"last":"2025-11-24T09:00:00Z"},` +
		`"passwords":{"failures":1,"last":"2025-11-24T09:00:00Z"}}`,
}

func makeFirst(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "totpd.db")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	shell(t, path, firstSchema)
	for user, record := range firstRecords {
		shell(t, path, "INSERT INTO account VALUES (?, ?)", user, record)
	}
	return path
}

func record(t *testing.T, s *Store, user string) string {
	t.Helper()
	var text string
	if err := s.lookup.record.QueryRow(user).Scan(&text, new(any)); err != nil {
		t.Fatal(err)
	}
	return text
}

// Accounts of every version are read as they are, and written the same: an upgrade changes nothing that
// nobody has changed.
func TestFirstAccountsAreKept(t *testing.T) {
	path := makeFirst(t)
	for range 2 {
		s := reopen(t, path)
		put(t, s, enrolled("carol", "phone")) // beside the others
		for user, want := range firstRecords {
			if _, found := get(t, s, user); !found {
				t.Errorf("%s is gone", user)
			}
			if got := record(t, s, user); got != want {
				t.Errorf("the record of %s is %s, was %s", user, got, want)
			}
			err := s.Update(t.Context(), user, func(a account.Account) (account.Account, error) { return a, nil })
			if err != nil {
				t.Error(err)
			}
			if got := record(t, s, user); got != want {
				t.Errorf("the record of %s is written as %s, was %s", user, got, want)
			}
		}
		if value, _, err := s.Meta(t.Context(), "key_check"); value != "5d2c" || err != nil {
			t.Error(value, err)
		}
		s.Close()
	}
}

// A later version's database is refused as it is: none of its files is touched, also none that a crash
// has left.
func TestLaterSchemaIsRefused(t *testing.T) {
	later := openNew(t)
	put(t, later, enrolled("alice", "phone"))
	shell(t, later.path, "PRAGMA user_version = 4; PRAGMA wal_checkpoint(TRUNCATE)")
	put(t, later, enrolled("bob", "phone")) // only in the log
	crashed := filepath.Join(t.TempDir(), "totpd.db")
	files := map[string][]byte{}
	for _, suffix := range []string{"", "-wal", counterSuffix} {
		content, err := os.ReadFile(later.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(crashed+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
		files["totpd.db"+suffix] = content
	}
	later.Close()
	for name, open := range map[string]func(string) (*Store, error){"a daemon": Open, "root": OpenBeside} {
		_, err := open(crashed)
		wantError(t, err, "open store "+crashed+": a later totpd has written it, in schema 4, and this one knows schema 3: install the later one again, or put back a copy from before it")
		left, err := os.ReadDir(filepath.Dir(crashed))
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range left {
			if want, known := files[f.Name()]; known {
				if got, err := os.ReadFile(crashed[:len(crashed)-len("totpd.db")] + f.Name()); err != nil || !bytes.Equal(got, want) {
					t.Errorf("%s changed %s, %v", name, f.Name(), err)
				}
			} else if f.Name() != "totpd.db.lock" {
				t.Errorf("%s left %s behind", name, f.Name())
			}
		}
	}
	shell(t, crashed, "PRAGMA user_version = 3") // by the later one, which has its own ways
	if accounts, err := reopen(t, crashed).List(t.Context(), "", 9); err != nil || len(accounts) != 2 {
		t.Error(accounts, err)
	}
}

// The version may stand in the log alone, after a crash in the middle of an upgrade. Nothing is lost then.
func TestLaterSchemaInTheLog(t *testing.T) {
	later := openNew(t)
	put(t, later, enrolled("alice", "phone"))
	shell(t, later.path, "PRAGMA user_version = 4")
	crashed := filepath.Join(t.TempDir(), "totpd.db")
	for _, suffix := range []string{"", "-wal", counterSuffix} {
		content, err := os.ReadFile(later.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(crashed+suffix, content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, open := range []func(string) (*Store, error){Open, OpenBeside} {
		_, err := open(crashed)
		wantError(t, err, "in schema 4")
	}
	shell(t, crashed, "PRAGMA user_version = 3")
	if _, found := get(t, reopen(t, crashed), "alice"); !found {
		t.Error("the account is gone")
	}
}

// What a later totpd adds for an older one to pass over survives that one's daemon and its changes.
func TestAdditionsOfALaterVersionAreKept(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	const extra = `{"codes":[1,9007199254740993],"remember":{"a":null}}`
	shell(t, s.path, `CREATE TABLE later (id INTEGER PRIMARY KEY, text TEXT); INSERT INTO later VALUES (1, 'x');
		ALTER TABLE account ADD COLUMN note TEXT NOT NULL DEFAULT ''; UPDATE account SET note = 'kept';
		INSERT INTO meta VALUES ('later', 'value')`)
	shell(t, s.path, `UPDATE account SET sum = NULL, record = json_set(record, '$.extra', json(?))`, extra)
	s.Close()
	s = reopen(t, s.path)
	use(t, s, "alice", 1)
	put(t, s, enrolled("bob", "phone"))
	err := s.Update(t.Context(), "alice", func(a account.Account) (account.Account, error) {
		a.Devices = nil
		return a, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := record(t, s, "alice"), `{"user":"alice","extra":`+extra+`}`; got != want {
		t.Errorf("the record is %s, want %s", got, want)
	}
	var got [4]string
	err = s.read.QueryRow(`SELECT (SELECT text FROM later), (SELECT note FROM account WHERE user = 'alice'),
		(SELECT note FROM account WHERE user = 'bob'), (SELECT value FROM meta WHERE name = 'later')`).Scan(&got[0], &got[1], &got[2], &got[3])
	if want := [4]string{"x", "kept", "", "value"}; err != nil || got != want {
		t.Errorf("kept are %q, %v, want %q", got, err, want)
	}
	put(t, s, account.Account{User: "alice"})
	if _, found := get(t, s, "alice"); found {
		t.Error("an account that became empty is still stored")
	}
}

// A copy of the database alone is whole once the daemon was stopped; beside a daemon it takes SQLite.
func TestCopies(t *testing.T) {
	s := openNew(t)
	for i := range 2 * walFrames { // part of it in the log, part in the database
		put(t, s, enrolled(userName(i), "phone"))
	}
	dir := t.TempDir()
	online, offline := filepath.Join(dir, "online.db"), filepath.Join(dir, "offline.db")
	shell(t, s.path, fmt.Sprintf("VACUUM INTO '%s'", online))
	if err := os.Chmod(online, 0o600); err != nil {
		t.Fatal(err)
	}
	s.Close()
	content, err := os.ReadFile(s.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(offline, content, 0o600); err != nil {
		t.Fatal(err)
	}
	// Whether a copy of an open database is all of it, only root can say.
	_, err = Open(online)
	wantError(t, err, "it can't be told")
	if done, err := AcceptLoss(online, same); err != nil || done.Accounts != 2*walFrames {
		t.Errorf("%+v, %v", done, err)
	}
	for _, path := range []string{online, offline} {
		accounts, err := reopen(t, path).List(t.Context(), "", 4*walFrames)
		if err != nil || len(accounts) != 2*walFrames {
			t.Errorf("%s holds %d of %d accounts, %v", path, len(accounts), 2*walFrames, err)
		}
	}
}
