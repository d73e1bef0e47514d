package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/totpd/totpd/daemon/internal/account"
)

func same(a account.Account) account.Account { return a }

func anything(func(string) string) error { return nil }

func fine() error { return nil }

// A backup is of one moment, whatever the daemon writes meanwhile: two accounts that are always changed in
// the same order are never apart by more than one.
func TestBackupOfABusyStore(t *testing.T) {
	s := openNew(t)
	for i := range 300 {
		put(t, s, enrolled(userName(i), "phone"))
	}
	var stop atomic.Bool
	ended := make(chan struct{})
	count := func(user string) {
		err := s.Update(t.Context(), user, func(a account.Account) (account.Account, error) { a.Codes.Failures++; return a, nil })
		if err != nil {
			t.Error(err)
		}
	}
	go func() {
		defer close(ended)
		for !stop.Load() {
			count(userName(0))
			count(userName(299))
		}
	}()
	var backups []bytes.Buffer
	for range 5 {
		var b bytes.Buffer
		n, _, err := WriteBackup(t.Context(), s.path, map[string]string{"made": "now"}, &b)
		if err != nil || n != 300 {
			t.Fatal(n, err)
		}
		backups = append(backups, b)
	}
	stop.Store(true)
	<-ended
	if files, _ := filepath.Glob(s.path + ".backup*"); len(files) != 0 {
		t.Error("left behind:", files)
	}
	for _, b := range backups {
		path := filepath.Join(t.TempDir(), "totpd.db")
		done, err := Restore(path, &b, Restoration{Accept: func(value func(string) string) error {
			if value("backup_made") != "now" {
				t.Error(value("backup_made"))
			}
			return nil
		}, Change: same, Last: fine})
		if err != nil || done.Accounts != 300 || done.Before != "" || done.Broken != nil {
			t.Fatalf("%+v, %v", done, err)
		}
		restored := reopen(t, path)
		first, _ := get(t, restored, userName(0))
		last, _ := get(t, restored, userName(299))
		if off := first.Codes.Failures - last.Codes.Failures; off != 0 && off != 1 {
			t.Errorf("%d and %d", first.Codes.Failures, last.Codes.Failures)
		}
		if _, found, err := restored.Meta(t.Context(), "backup_made"); found || err != nil {
			t.Error("the backup's own value is in the store", err)
		}
		wantIntact(t, restored)
		restored.Close()
	}
}

// Whatever refuses a restoration leaves the store as it was.
func TestRestoreThatIsRefused(t *testing.T) {
	s := openNew(t)
	path := s.path
	put(t, s, enrolled("alice", "phone"))
	var backup bytes.Buffer
	if _, _, err := WriteBackup(t.Context(), path, nil, &backup); err != nil {
		t.Fatal(err)
	}
	put(t, s, enrolled("bob", "phone"))
	how := Restoration{Accept: anything, Change: same, Last: fine}
	if _, err := Restore(path, bytes.NewReader(backup.Bytes()), how); err == nil || !strings.Contains(err.Error(), "another totpd has it open") {
		t.Error("beside a daemon:", err)
	}
	s.Close()
	no := errors.New("no")
	for name, h := range map[string]Restoration{
		"accept": {Accept: func(func(string) string) error { return no }, Change: same, Last: fine},
		"last":   {Accept: anything, Change: same, Last: func() error { return no }},
		"change": {Accept: anything, Change: func(a account.Account) account.Account { a.Devices[0].Digits = 7; return a }, Last: fine},
	} {
		if _, err := Restore(path, bytes.NewReader(backup.Bytes()), h); err == nil {
			t.Errorf("%s: done", name)
		}
	}
	// Where the exchange fails at last, the caller takes back what it did.
	undone := 0
	for n := range 999 {
		name := path + ".before-restore"
		if n > 0 {
			name = fmt.Sprintf("%s.%d", name, n+1)
		}
		if err := os.WriteFile(name, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := Restore(path, bytes.NewReader(backup.Bytes()), Restoration{Accept: anything, Change: same, Last: fine, Undo: func() { undone++ }})
	if wantError(t, err, "too many files"); undone != 1 {
		t.Errorf("undone %d times", undone)
	}
	kept, _ := filepath.Glob(path + ".before-restore*")
	for _, name := range kept {
		os.Remove(name)
	}
	files, _ := os.ReadDir(filepath.Dir(path))
	if names := len(files); names != 3 {
		t.Error(files)
	}
	s = reopen(t, path)
	if _, found := get(t, s, "bob"); !found {
		t.Error("bob is gone")
	}
	s.Close()

	done, err := Restore(path, bytes.NewReader(backup.Bytes()), how)
	if err != nil || done.Accounts != 1 || done.Before != path+".before-restore" {
		t.Fatalf("%+v, %v", done, err)
	}
	s = reopen(t, path)
	if _, found := get(t, s, "bob"); found {
		t.Error("bob is there")
	}
	s.Close()
	if _, found := get(t, reopen(t, done.Before), "bob"); !found {
		t.Error("what was there is not kept")
	}
}

// A store whose daemon was killed still has a log: it goes with the accounts that it belongs to.
func TestRestoreOverALog(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	var backup bytes.Buffer
	if _, _, err := WriteBackup(t.Context(), s.path, nil, &backup); err != nil {
		t.Fatal(err)
	}
	put(t, s, enrolled("bob", "phone"))
	path := filepath.Join(t.TempDir(), "totpd.db")
	for _, suffix := range []string{"", "-wal", counterSuffix} {
		content, err := os.ReadFile(s.path + suffix)
		if err == nil {
			err = os.WriteFile(path+suffix, content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	done, err := Restore(path, &backup, Restoration{Accept: anything, Change: same, Last: fine})
	if err != nil {
		t.Fatal(err)
	}
	if isThere(path + "-wal") {
		t.Error("the log is left")
	}
	if _, found := get(t, reopen(t, path), "bob"); found {
		t.Error("the log was written into what was restored")
	}
	if _, found := get(t, reopen(t, done.Before), "bob"); !found {
		t.Error("the log is lost")
	}
}

// A record that nobody can read stays, for its user alone, and an account that is empty then goes.
func TestRestoreOfABrokenRecord(t *testing.T) {
	s := openNew(t)
	put(t, s, enrolled("alice", "phone"))
	put(t, s, enrolled("bob", "phone"))
	put(t, s, enrolled("carol", "phone"))
	path := s.path
	s.Close()
	db := connect(path, "rw", "")
	if _, err := db.Exec("UPDATE account SET record = 'x' WHERE user = 'bob'"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	var backup bytes.Buffer
	if _, _, err := WriteBackup(t.Context(), path, nil, &backup); err != nil {
		t.Fatal(err)
	}
	done, err := Restore(path, &backup, Restoration{Accept: anything, Last: fine, Change: func(a account.Account) account.Account {
		if a.User == "carol" {
			return account.Account{User: a.User}
		}
		return a
	}})
	if err != nil || done.Accounts != 1 || !slices.Equal(done.Broken, []string{"bob"}) {
		t.Fatalf("%+v, %v", done, err)
	}
	s = reopen(t, path)
	if _, found := get(t, s, "carol"); found {
		t.Error("carol is there")
	}
	if _, _, err := s.Get(t.Context(), "bob"); err == nil {
		t.Error("bob can be read")
	}
}

// A copy that finds no room says so, and doesn't name the file by which it happens to be reached.
func TestBackupToAFullDisk(t *testing.T) {
	s := reopen(t, filepath.Join(t.TempDir(), "totpd.db"))
	put(t, s, enrolled("alice", "phone"))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	_, _, err = WriteBackup(t.Context(), s.path, nil, full)
	wantError(t, err, "back up store "+s.path+": write the copy: no space left on device")
}

// During an upgrade the store may be an earlier version's: it is copied as it is, and put back it is converted.
func TestBackupOfTheFirstSchema(t *testing.T) {
	path, file := makeFirst(t), filepath.Join(t.TempDir(), "backup")
	f, err := os.Create(file)
	check(t, err)
	defer f.Close()
	if accounts, _, err := WriteBackup(t.Context(), path, nil, f); err != nil || accounts != 2 {
		t.Fatalf("%d accounts, %v", accounts, err)
	}
	if version, _ := inSchema(t, path); version != 1 {
		t.Errorf("the store is in schema %d now", version)
	}
	_, err = f.Seek(0, 0)
	check(t, err)
	if done, err := Restore(path, f, Restoration{Accept: anything, Change: same, Last: fine}); err != nil || done.Accounts != 2 {
		t.Fatalf("%+v, %v", done, err)
	}
	s, err := Open(path)
	check(t, err)
	for user, want := range firstRecords {
		if got := record(t, s, user); got != want {
			t.Errorf("the record of %s is %s, was %s", user, got, want)
		}
	}
	check(t, s.Close())
}
