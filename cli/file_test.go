package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// ways are how a file is made: without a name first, and with one from the beginning, as where the file system
// knows no other.
var ways = map[string]int{"unnamed": unix.O_TMPFILE | unix.O_RDWR, "named": unix.O_DIRECTORY | unix.O_RDWR}

// swapped begins a file in a directory, and then has the path lead to another directory, with a file of that
// name in it: the victim's.
func swapped(t *testing.T, flags int) (n *newFile, old, victim string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dir")
	old = dir + ".old"
	path := filepath.Join(dir, "file")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	n, err := create(path, flags)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := n.WriteString("ours"); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Rename(dir, old), os.Mkdir(dir, 0o700), os.WriteFile(path, []byte("theirs"), 0o600)); err != nil {
		t.Fatal(err)
	}
	return n, filepath.Join(old, "file"), path
}

func wantFile(t *testing.T, path, want string) {
	t.Helper()
	text, err := os.ReadFile(path)
	if want == "" && errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err != nil || string(text) != want {
		t.Errorf("%s: %q, %v, want %q", path, text, err, want)
	}
}

func TestNoFileButOurOwnIsRemoved(t *testing.T) {
	for name, flags := range ways {
		t.Run(name, func(t *testing.T) {
			// The directory is another one by now.
			n, ours, victim := swapped(t, flags)
			n.doneWith(errUnused)
			wantFile(t, victim, "theirs")
			wantFile(t, ours, "")
			// Or it was before an error, after the file had its name.
			n, ours, victim = swapped(t, flags)
			if err := n.keep(); err != nil {
				t.Fatal(err)
			}
			wantFile(t, ours, "ours")
			n.doneWith(errUnused)
			wantFile(t, victim, "theirs")
			wantFile(t, ours, "")
			// Or the file is another one.
			n, ours, _ = swapped(t, flags)
			if err := n.keep(); err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(os.Remove(ours), os.WriteFile(ours, []byte("theirs"), 0o600)); err != nil {
				t.Fatal(err)
			}
			n.doneWith(errUnused)
			wantFile(t, ours, "theirs")
		})
	}
}

func TestFileIsKeptWhereItWasBegun(t *testing.T) {
	for name, flags := range ways {
		t.Run(name, func(t *testing.T) {
			n, ours, victim := swapped(t, flags)
			if err := n.keep(); err != nil {
				t.Fatal(err)
			}
			n.doneWith(nil)
			wantFile(t, ours, "ours")
			wantFile(t, victim, "theirs")
			if info, err := os.Stat(ours); err != nil || info.Mode() != 0o600 {
				t.Errorf("mode %v, %v", info.Mode(), err)
			}
		})
	}
}

// Nothing is overwritten, also when it appears while the file is being made.
func TestFileOverNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	n, err := createFile(path)
	if err != nil {
		t.Fatal(err)
	}
	wantFile(t, path, "") // not even begun, as others see it
	if err := os.WriteFile(path, []byte("theirs"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = n.keep()
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("over a file that appeared: %v", err)
	}
	n.doneWith(err)
	wantFile(t, path, "theirs")
	for _, bad := range []string{"", "/", ".", filepath.Dir(path) + "/", filepath.Join(path, "x"), "nowhere/x"} {
		if n, err := createFile(bad); err == nil {
			t.Errorf("a file is made at %q", bad)
			n.doneWith(errUnused)
		}
	}
}
