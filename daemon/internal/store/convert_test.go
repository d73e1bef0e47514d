package store

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// inSchema returns the schema of a database, and how many accounts it has.
func inSchema(t *testing.T, path string) (version, accounts int) {
	t.Helper()
	db := connect(path, "ro", "")
	defer db.Close()
	if _, v, err := versionOf(db); err != nil {
		t.Fatal(err)
	} else {
		version = v
	}
	if err := db.QueryRow("SELECT count(*) FROM account").Scan(&accounts); err != nil {
		t.Fatal(err)
	}
	return version, accounts
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Whoever opens a database of the first schema converts it, and leaves a copy of what was there before,
// which is the way back: with it in its place, the conversion can be done again.
func TestConversion(t *testing.T) {
	for name, open := range map[string]func(string) (*Store, error){"by a daemon": Open, "by root": OpenBeside} {
		t.Run(name, func(t *testing.T) {
			path := makeFirst(t)
			before := path + ".before-3"
			for range 2 {
				check(t, os.WriteFile(before+".new", []byte("of a conversion that was cut off"), 0o600))
				s, err := open(path)
				check(t, err)
				for user, want := range firstRecords {
					if got := record(t, s, user); got != want {
						t.Errorf("the record of %s is %s, was %s", user, got, want)
					}
				}
				put(t, s, enrolled("carol", "phone"))
				check(t, s.Close())
				if version, accounts := inSchema(t, path); version != 3 || accounts != 3 {
					t.Errorf("schema %d with %d accounts", version, accounts)
				}
				if version, accounts := inSchema(t, before); version != 1 || accounts != 2 {
					t.Errorf("the copy is in schema %d with %d accounts", version, accounts)
				}
				info, err := os.Stat(before)
				check(t, err)
				if info.Mode().Perm() != 0o600 {
					t.Errorf("the copy has mode %v", info.Mode())
				}
				// Opened again, there is nothing to convert.
				s, err = open(path)
				check(t, err)
				check(t, s.Close())
				if again, err := os.Stat(before); err != nil || !again.ModTime().Equal(info.ModTime()) {
					t.Error("the copy was made again", err)
				}
				left, err := filepath.Glob(before + "?*")
				if check(t, err); len(left) > 0 {
					t.Errorf("left behind: %v", left)
				}
				check(t, os.Rename(before, path))
			}
		})
	}
}

// Where no copy can be made nothing is converted, and a later start tries again.
func TestConversionWithoutACopy(t *testing.T) {
	path := makeFirst(t)
	check(t, os.MkdirAll(path+".before-3/x", 0o700))
	for _, open := range []func(string) (*Store, error){Open, OpenBeside} {
		_, err := open(path)
		wantError(t, err, "convert it to schema 3: rename "+path+".before-3.new")
		if version, accounts := inSchema(t, path); version != 1 || accounts != 2 {
			t.Errorf("schema %d with %d accounts", version, accounts)
		}
		if left, _ := filepath.Glob(path + ".before-3.new*"); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	}
	check(t, os.RemoveAll(path+".before-3"))
	reopen(t, path)
}

// Several may start at once, beside an earlier daemon that still writes: one converts, and its copy holds
// what that daemon had written until then. That one goes on.
func TestConversionBesideOthers(t *testing.T) {
	path := makeFirst(t)
	earlier := connect(path, "rw", patient)
	defer earlier.Close()
	write := func(i int) {
		if _, err := earlier.Exec("INSERT INTO account (user, record) VALUES (?, ?)", userName(i), fmt.Sprintf(`{"user":%q,"codes":{"failures":1}}`, userName(i))); err != nil {
			t.Error(err)
		}
	}
	const before, during = 20, 200
	for i := range before { // in the log alone
		write(i)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for i := range during {
			write(before + i)
		}
	})
	for range 8 {
		all.Go(func() {
			s, err := OpenBeside(path)
			if err != nil {
				t.Error(err)
				return
			}
			s.Close()
		})
	}
	all.Wait()
	if version, accounts := inSchema(t, path); version != 3 || accounts != before+during+len(firstRecords) {
		t.Errorf("schema %d with %d accounts", version, accounts)
	}
	if version, accounts := inSchema(t, path+".before-3"); version != 1 || accounts < before+len(firstRecords) {
		t.Errorf("the copy is in schema %d with %d accounts", version, accounts)
	}
}

// BenchmarkConversion is what the first start after an upgrade takes, on a host of a million users.
func BenchmarkConversion(b *testing.B) {
	const users = 1_000_000
	for b.Loop() {
		b.StopTimer()
		path := filepath.Join(b.TempDir(), "totpd.db")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			b.Fatal(err)
		}
		db := connect(path, "rw", "")
		exec := func(text string, args ...any) {
			if _, err := db.Exec(text, args...); err != nil {
				b.Fatal(err)
			}
		}
		exec(firstSchema)
		exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO account SELECT printf('user%08d', i), replace(?, 'alice', printf('user%08d', i)) FROM n`, users, firstRecords["alice"])
		db.Close()
		b.StartTimer()
		if err := convert(path); err != nil {
			b.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(info.Size())/1e6, "MB")
	}
}
