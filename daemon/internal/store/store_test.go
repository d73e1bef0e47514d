package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

func openNew(t *testing.T) *Store {
	t.Helper()
	return reopen(t, filepath.Join(t.TempDir(), "totpd.db"))
}

func reopen(t *testing.T, path string) *Store {
	t.Helper()
	s, err := openOrCreate(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func openOrCreate(path string) (*Store, error) {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := Create(path); err != nil {
			return nil, err
		}
	}
	return Open(path)
}

func put(t *testing.T, s *Store, a account.Account) {
	t.Helper()
	err := s.Update(t.Context(), a.User, func(account.Account) (account.Account, error) { return a, nil })
	if err != nil {
		t.Fatal(err)
	}
}

func get(t *testing.T, s *Store, user string) (account.Account, bool) {
	t.Helper()
	a, found, err := s.Get(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return a, found
}

// shell runs SQL beside the open store, as root may with the sqlite3 command.
func shell(t *testing.T, path, text string, args ...any) {
	t.Helper()
	db := connect(path, "rw", "")
	defer db.Close()
	if _, err := db.Exec(text, args...); err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, err error, part string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), part) {
		t.Fatalf("error is %v, want one with %q", err, part)
	}
}

func TestAccountsSurviveReopening(t *testing.T) {
	s := openNew(t)
	if a, found := get(t, s, "alice"); found || !reflect.DeepEqual(a, account.Account{User: "alice"}) {
		t.Fatalf("a user without an account is %+v, %v", a, found)
	}
	want := enrolled("alice", "phone")
	want.Pending = &account.Pending{Device: enrolled("", "token").Devices[0], Expires: time.Unix(2e9, 5).UTC()}
	want.Pending.Device.ID = "ff"
	want.Codes = account.Attempts{Failures: 2, Last: time.Unix(1e9, 7).UTC()}
	want.Devices[0].Used = []int64{3, 1, 2}
	put(t, s, want)
	for range 2 {
		if got, found := get(t, s, "alice"); !found || !reflect.DeepEqual(got, want) {
			t.Fatalf("stored %+v\nread   %+v, %v", want, got, found)
		}
		s.Close()
		if _, err := os.Stat(s.path + "-wal"); err == nil {
			t.Error("the log is left behind by Close")
		}
		s = reopen(t, s.path)
	}
	put(t, s, account.Account{User: "alice"})
	if _, found := get(t, s, "alice"); found {
		t.Error("an account that became empty is still stored")
	}
}

func TestUserNames(t *testing.T) {
	s := openNew(t)
	names := []string{
		"a", "A", " ", "../../etc/passwd", "line\nbreak", "ünïcödé", "\xff", "\xfe", "�", "'; DROP TABLE account; --",
		"corp\\alice", "alice@example.org", "%s", strings.Repeat("x", account.UserMax),
	}
	for i, name := range names {
		a := enrolled(name, "phone")
		a.Devices[0].Used = []int64{int64(i)}
		put(t, s, a)
	}
	for i, name := range names {
		if a, _ := get(t, s, name); a.User != name || a.Devices[0].Used[0] != int64(i) {
			t.Errorf("the account of %q is %+v", name, a)
		}
	}
	listed, err := s.List(t.Context(), "", len(names)+1)
	if err != nil || len(listed) != len(names) {
		t.Errorf("%d of %d users listed, error %v", len(listed), len(names), err)
	}
	for _, name := range []string{"", "nul\x00", strings.Repeat("x", account.UserMax+1), strings.Repeat("\n", 10_000)} {
		_, _, err := s.Get(t.Context(), name)
		wantError(t, err, "a user name")
		err = s.Update(t.Context(), name, func(a account.Account) (account.Account, error) {
			t.Errorf("fn was called for %.20q", name)
			return a, nil
		})
		wantError(t, err, "a user name")
		wantError(t, s.Delete(t.Context(), name), "a user name")
		if len(err.Error()) > 3000 || strings.ContainsAny(err.Error(), "\n\x00") {
			t.Errorf("an error that spoils the log: %.100q", err)
		}
	}
}

func TestListInPages(t *testing.T) {
	s := openNew(t)
	for i := range 25 {
		put(t, s, enrolled(userName(i), "phone"))
	}
	var got []string
	for after := ""; ; {
		page, err := s.List(t.Context(), after, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, a := range page {
			got = append(got, a.User)
		}
		after = got[len(got)-1]
	}
	for i, name := range got {
		if name != userName(i) {
			t.Fatalf("user %d of the list is %s", i, name)
		}
	}
	if len(got) != 25 {
		t.Fatalf("%d of 25 users listed", len(got))
	}
}

func TestMeta(t *testing.T) {
	s := openNew(t)
	if _, found, err := s.Meta(t.Context(), "key"); found || err != nil {
		t.Fatal(found, err)
	}
	for _, want := range []string{"one", "two"} {
		if err := s.SetMeta(t.Context(), "key", want); err != nil {
			t.Fatal(err)
		}
		if got, found, err := s.Meta(t.Context(), "key"); got != want || !found || err != nil {
			t.Fatal(got, found, err)
		}
	}
}

// Many logins with one code: one is accepted.
func TestBrokenRecordFailsOnlyItsUser(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("zoe", "phone"))
	good, _ := encode(enrolled("alice", "phone"))
	for name, record := range map[string]string{
		"empty":                          "",
		"not JSON":                       "otpauth://",
		"the JSON ends early":            string(good[:len(good)-2]),
		"more than one JSON value":       string(good) + "{}",
		"null":                           "null",
		"another type":                   strings.Replace(string(good), `"digits":6`, `"digits":"6"`, 1),
		"another number of digits":       strings.Replace(string(good), `"digits":6`, `"digits":5`, 1),
		"an unknown field":               strings.Replace(string(good), `{`, `{"later":[],`, 1),
		"another user's":                 strings.Replace(string(good), `"alice"`, `"zoe"`, 1),
		"no secret":                      `{"user":"alice","devices":[{"id":"1","name":"n","digits":6,"period":30,"algorithm":"SHA1","sealed":"","added":"2023-11-14T22:13:20Z"}]}`,
		"a secret that is no base64":     strings.Replace(string(good), `"AAAA`, `"A:::SECRET`, 1),
		"so deep that a parser may sink": strings.Repeat("[", 1<<16),
	} {
		t.Run(name, func(t *testing.T) {
			if record == string(good) {
				t.Fatal("the record is not broken")
			}
			shell(t, s.path, "INSERT OR REPLACE INTO account (user, record) VALUES ('alice', ?)", record)
			_, found, err := s.Get(t.Context(), "alice")
			wantError(t, err, "read account of alice: broken record")
			if found || strings.Contains(err.Error(), "SECRET") {
				t.Error(found, err)
			}
			err = s.Update(t.Context(), "alice", func(account.Account) (account.Account, error) {
				t.Error("fn was called")
				return enrolled("alice", "phone"), nil
			})
			wantError(t, err, "update account of alice: broken record")
			var left string
			if err := s.read.QueryRow("SELECT record FROM account WHERE user = 'alice'").Scan(&left); err != nil || left != record {
				t.Error("the broken record was changed", err)
			}
			accounts, err := s.List(t.Context(), "", 2)
			var broken *Broken
			if !errors.As(err, &broken) || !reflect.DeepEqual(broken.Users, []string{"alice"}) || len(accounts) != 1 || accounts[0].User != "zoe" {
				t.Error(accounts, err)
			}
			use(t, s, "zoe", time.Now().UnixNano())
		})
	}
	if err := s.Delete(t.Context(), "alice"); err != nil {
		t.Error(err)
	}
	put(t, s, enrolled("alice", "phone"))
}

func TestRootMayRepairWhileTheDaemonRuns(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	shell(t, s.path, "DELETE FROM account WHERE user = 'alice'")
	if _, found := get(t, s, "alice"); found {
		t.Error("the deleted account is still there")
	}
	use := func() error {
		return s.Update(t.Context(), "alice", func(a account.Account) (account.Account, error) {
			a.Codes.Failures++
			return a, nil
		})
	}
	db := connect(s.path, "rw", "")
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec("DELETE FROM account"); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	wantError(t, use(), "another program holds the lock")
	if d := time.Since(start); d > 2900*time.Millisecond {
		t.Errorf("a refusal after %v, a login is answered within 3 s", d)
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	if err := use(); err != nil {
		t.Error("the lock is free again, but:", err)
	}
}

func TestFileReplacedWhileRunning(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	change := func() error {
		return s.Update(t.Context(), "bob", func(account.Account) (account.Account, error) {
			return enrolled("bob", "phone"), nil
		})
	}
	aside := s.path + ".aside"
	if err := os.Rename(s.path, aside); err != nil {
		t.Fatal(err)
	}
	wantError(t, change(), "removed or replaced")
	if err := os.WriteFile(s.path, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	wantError(t, change(), "removed or replaced")
	if err := os.Rename(aside, s.path); err != nil {
		t.Fatal(err)
	}
	if err := change(); err != nil {
		t.Error("the file is back, but:", err)
	}
}

func TestFilesAreOurs(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "totpd.db")
	if err := os.Chmod(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	s := reopen(t, path)
	put(t, s, enrolled("alice", "phone"))
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, f := range files {
		info, err := f.Info()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, f.Name())
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", f.Name(), info.Mode())
		}
	}
	if got := fmt.Sprint(names); got != "[totpd.db totpd.db-shm totpd.db-wal totpd.db.commits totpd.db.lock]" {
		t.Error("files:", got)
	}
}

// holdWriter keeps the writer busy until release is called, so that updates pile up.
