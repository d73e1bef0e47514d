package store

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func besides(t *testing.T, path string) *Store {
	t.Helper()
	s, err := OpenBeside(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func isThere(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// Whoever ends last folds the log into the database; the other one leaves it alone.
func TestBesideADaemon(t *testing.T) {
	daemon := openNew(t)
	path := daemon.path
	for i := range 3 {
		put(t, daemon, enrolled(userName(i), "phone"))
	}
	before, err := os.Stat(path + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	gone := func(i int) {
		t.Helper()
		s := besides(t, path)
		if err := s.Delete(t.Context(), userName(i)); err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	gone(0)
	if _, found := get(t, daemon, userName(0)); found {
		t.Error("the daemon doesn't see it")
	}
	after, err := os.Stat(path + "-wal")
	if err != nil || !os.SameFile(before, after) || before.Size() != after.Size() {
		t.Errorf("the daemon's log was %v, is %v, %v", before, after, err)
	}
	use(t, daemon, userName(1), 1)

	// The daemon ends first.
	last := besides(t, path)
	if _, found := get(t, last, userName(1)); !found {
		t.Error("what the daemon wrote isn't seen")
	}
	daemon.Close()
	if !isThere(path + "-wal") {
		t.Error("the log was removed under whoever reads it")
	}
	if err := last.Delete(t.Context(), userName(1)); err != nil {
		t.Error(err)
	}
	last.Close()
	if isThere(path+"-wal") || isThere(path+"-shm") {
		t.Error("the log is left behind")
	}

	// No daemon at all, and one that starts meanwhile.
	gone(2)
	put(t, besides(t, path), enrolled("late", "phone"))
	daemon = reopen(t, path)
	for i := range 3 {
		if _, found := get(t, daemon, userName(i)); found {
			t.Errorf("user %d is back", i)
		}
	}
	if _, found := get(t, daemon, "late"); !found {
		t.Error("what was added is gone")
	}
}

// A daemon counts failures of eight users as fast as it can, while others are deleted beside it by one
// short-lived process after the other. Nothing that either was told is stored is lost.
func TestBesideABusyDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "totpd.db")
	reopen(t, path).Close()
	const users, deletions = 300, 30
	fill(t, path, users)
	said := make([]int, 8)
	lines := 0
	daemon := role("update", path)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = daemon.Process.Kill(), daemon.Wait() })
	first, read := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(read)
		for text := bufio.NewScanner(out); text.Scan(); lines++ {
			var user, count int
			if _, err := fmt.Sscanf(text.Text(), "%d %d", &user, &count); err == nil {
				said[user] = count
			}
			if lines == 0 {
				close(first)
			}
		}
	}()
	select {
	case <-first:
	case <-read:
		t.Fatal("the daemon has not begun")
	}
	began, longest := time.Now(), time.Duration(0)
	for i := range deletions {
		one := time.Now()
		s, err := OpenBeside(path)
		if err != nil {
			t.Fatalf("deletion %d: %v", i, err)
		}
		if err := s.Delete(t.Context(), userName(users-1-i)); err != nil {
			t.Fatalf("deletion %d: %v", i, err)
		}
		s.Close()
		longest = max(longest, time.Since(one))
	}
	took := time.Since(began)
	if err := daemon.Process.Kill(); err != nil {
		t.Error("the daemon has ended:", err)
	}
	<-read
	_ = daemon.Wait()
	t.Logf("%d deletions in %v, the longest %v, beside %d updates", deletions, took, longest, lines)

	s := reopen(t, path)
	for i := range users {
		a, found := get(t, s, userName(i))
		switch {
		case found != (i < users-deletions):
			t.Errorf("account %d stored: %v", i, found)
		case i < len(said) && a.Codes.Failures < said[i]:
			t.Errorf("%d failures of user %d are stored, %d were promised", a.Codes.Failures, i, said[i])
		}
	}
	wantIntact(t, s)
}

func wantIntact(t *testing.T, s *Store) {
	t.Helper()
	var verdict string
	if err := s.read.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
		t.Error(verdict, err)
	}
}

// After a daemon that was killed, all that it promised is there for whoever comes without one.
func TestBesideADeadDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "totpd.db")
	daemon := role("update", path)
	out, err := daemon.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := daemon.Start(); err != nil {
		t.Fatal(err)
	}
	said := 0
	for lines := bufio.NewScanner(out); said < 50 && lines.Scan(); {
		var user, count int
		if _, err := fmt.Sscanf(lines.Text(), "%d %d", &user, &count); err == nil && user == 0 {
			said = count
		}
	}
	if err := daemon.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, out)
	_ = daemon.Wait()
	s := besides(t, path)
	if a, _ := get(t, s, userName(0)); a.Codes.Failures < said {
		t.Errorf("%d failures are stored, %d were promised", a.Codes.Failures, said)
	}
	if err := s.Delete(t.Context(), userName(0)); err != nil {
		t.Error(err)
	}
	s.Close()
	if isThere(path + "-wal") {
		t.Error("the log is left behind")
	}
	s = reopen(t, path)
	if _, found := get(t, s, userName(0)); found {
		t.Error("the account is back")
	}
	wantIntact(t, s)
}

func TestBesideMakesNothing(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "totpd.db")
	_, err := OpenBeside(path)
	wantError(t, err, "open store "+path+": the database is missing")
	if files, _ := os.ReadDir(dir); len(files) != 0 {
		t.Error("made:", files)
	}
	_, err = OpenBeside(filepath.Join(dir, "nowhere", "totpd.db"))
	wantError(t, err, "is missing")
}

// A file that root has put back from a backup is root's; the daemon's user is told what to do.
func TestRestoredByRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	s := openNew(t)
	dir := filepath.Dir(s.path)
	s.Close()
	for path := dir; path != os.TempDir(); path = filepath.Dir(path) {
		if err := os.Chmod(path, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(dir, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	// What it says as the owner of the directory, in a process of its own.
	cmd := role("open", s.path)
	cmd.Stderr = nil
	asStranger(t, cmd)
	out, _ := cmd.CombinedOutput()
	want := fmt.Sprintf("open store %s: it belongs to another user: mend it with chown --reference=%s %s\n", s.path, dir, s.path)
	if string(out) != want {
		t.Errorf("%q, want %q", out, want)
	}
}

// With nothing left on the file system, not even a deletion can be written; the rest goes on.
func TestBesideOnFullDisk(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	path := filepath.Join(smallDisk(t, "size=8m"), "totpd.db")
	s := reopen(t, path)
	for i := range 20 {
		put(t, s, enrolled(userName(i), "phone"))
	}
	s.Close()
	ballast, err := os.Create(filepath.Join(filepath.Dir(path), "ballast"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ballast.Write(make([]byte, 16<<20)); err == nil {
		t.Fatal("the disk is not full")
	}
	attempt := func() error {
		s, err := OpenBeside(path)
		if err != nil {
			return err
		}
		defer s.Close()
		if _, found := get(t, s, userName(3)); !found {
			t.Error("an account is gone")
		}
		return s.Delete(t.Context(), userName(3))
	}
	wantError(t, attempt(), "no space left: free some")
	info, err := ballast.Stat()
	if err != nil {
		t.Fatal(err)
	}
	if err := ballast.Truncate(info.Size() - 100<<10); err != nil {
		t.Fatal(err)
	}
	if err := attempt(); err != nil {
		t.Error("with 100 kB:", err)
	}
	s = reopen(t, path)
	if _, found := get(t, s, userName(3)); found {
		t.Error("the account is back")
	}
	wantIntact(t, s)
}
