package store

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestOpenRefuses(t *testing.T) {
	write := func(content string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	sql := func(text string) func(*testing.T, string) {
		return func(t *testing.T, path string) {
			reopen(t, path).Close()
			shell(t, path, text)
		}
	}
	check := func(t *testing.T, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range []struct {
		name    string
		prepare func(t *testing.T, path string)
		want    string
	}{
		{"an empty file", write(""), "the file is empty"},
		{"a text file", write(strings.Repeat("alice 3132333435363738393031323334353637383930\n", 99)), "not a SQLite database"},
		{"a short file", write("SQLite format 3\x00"), "not a SQLite database"},
		{"another program's", sql("PRAGMA application_id = 7"), "another program"},
		{"a later version's", sql("PRAGMA user_version = 4"), "later totpd"},
		{"names that are numbers", func(t *testing.T, path string) {
			reopen(t, path).Close()
			content, err := os.ReadFile(path)
			check(t, err)
			content = bytes.Replace(content, []byte("account (user TEXT NOT"), []byte("account (user TEYT NOT"), 1)
			check(t, os.WriteFile(path, content, 0o600))
		}, "its table of accounts is of another form"},
		{"one without a table", sql("DROP TABLE account"), "no such table: account"},
		{"a file cut off", func(t *testing.T, path string) {
			reopen(t, path).Close()
			fill(t, path, 1000)
			check(t, os.Truncate(path, 100_000))
		}, "damaged or cut off"},
		{"a file cut off in its first page", func(t *testing.T, path string) {
			reopen(t, path).Close()
			check(t, os.Truncate(path, 1000))
		}, "damaged or cut off"},
		{"a missing directory", func(t *testing.T, path string) {
			check(t, os.RemoveAll(filepath.Dir(path)))
		}, "is missing: make it with install -d"},
		{"a directory of all", func(t *testing.T, path string) {
			check(t, os.Chmod(filepath.Dir(path), 0o777|os.ModeSticky))
		}, "chmod go-w"},
		{"a file of all", func(t *testing.T, path string) {
			reopen(t, path).Close()
			check(t, os.Chmod(path, 0o640))
		}, "chmod 0600"},
		{"a directory", func(t *testing.T, path string) { check(t, os.Mkdir(path, 0o700)) }, "not a file"},
		{"a pipe", func(t *testing.T, path string) { check(t, syscall.Mkfifo(path, 0o600)) }, "not a file"},
		{"a link that leads nowhere", func(t *testing.T, path string) {
			check(t, os.Symlink("nowhere", path))
		}, "leads nowhere"},
		{"no file", func(*testing.T, string) {}, "the database is missing: mount its file system"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "totpd.db")
			c.prepare(t, path)
			before, _ := os.ReadFile(regular(path))
			s, err := Open(path)
			if err == nil {
				s.Close()
			}
			wantError(t, err, c.want)
			wantError(t, err, "open store "+path+": ")
			if after, _ := os.ReadFile(regular(path)); !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

// regular keeps ReadFile from waiting at a pipe.
func regular(path string) string {
	if info, err := os.Lstat(path); err == nil && info.Mode().IsRegular() {
		return path
	}
	return ""
}

func TestSecondDaemonIsRefused(t *testing.T) {
	s := openNew(t)
	link := filepath.Join(t.TempDir(), "link.db")
	if err := os.Symlink(s.path, link); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{s.path, link} {
		_, err := Open(path)
		wantError(t, err, "another totpd has it open")
	}
	put(t, s, enrolled("alice", "phone"))
	s.Close()
	if _, found := get(t, reopen(t, link), "alice"); !found {
		t.Error("opened through a link, the store is another")
	}
}

// What an interrupted creation left must not stand in the way of the next one.
func TestCreationInterrupted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "totpd.db")
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if err := os.WriteFile(path+".new"+suffix, []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s := reopen(t, path)
	put(t, s, enrolled("alice", "phone"))
	left, err := filepath.Glob(path + ".new*")
	if err != nil || len(left) != 0 {
		t.Error(left, err)
	}
}

// A page of the database that went bad costs the users on it, and nobody else.
func TestDamagedPage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "totpd.db")
	reopen(t, path).Close()
	fill(t, path, 1000)
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(content, []byte(`{"user":"user0000500"`)) / 4096 * 4096
	for i := range 64 {
		content[at+i] = 0xa5
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	s := reopen(t, path)
	_, _, err = s.Get(t.Context(), userName(500))
	wantError(t, err, "damaged")
	if err := s.Update(t.Context(), userName(500), nil); err == nil {
		t.Error("updated on a damaged page")
	}
	use(t, s, userName(1), 1)
	use(t, s, userName(999), 1)
}
