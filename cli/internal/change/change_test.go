package change

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestEdits(t *testing.T) {
	text := []byte("a\nb\nc\n")
	edits := []Edit{{Line: 2, Add: []string{"x", "y"}}, {Line: 3, Remove: []string{"c"}, Add: []string{"z"}}}
	after, err := Apply(text, edits)
	if err != nil || string(after) != "a\nx\ny\nb\nz\n" {
		t.Fatalf("%q, %v", after, err)
	}
	for now, want := range map[string]string{
		string(after):              string(text),
		"new\na\nx\ny\nz\nb\nlast": "new\na\nc\nb\nlast\n",
		"a\nx\nb\ny\nz\n":          "", // torn apart
		"a\nx\ny\nx\ny\nz\n":       "", // twice
		"a\nb\nc\n":                "", // gone
	} {
		back, err := Revert([]byte(now), edits)
		if string(back) != want || (want == "") != errors.Is(err, ErrUnclear) {
			t.Errorf("%q: %q, %v", now, back, err)
		}
	}
	for _, e := range []Edit{{Line: 9, Add: []string{"x"}}, {Line: 0, Add: []string{"x"}}, {Line: 1, Remove: []string{"b"}}} {
		if _, err := Apply(text, []Edit{e}); !errors.Is(err, ErrUnclear) {
			t.Errorf("%+v: %v", e, err)
		}
	}
}

// etc is a root directory with two files in /etc.
func etc(t *testing.T) (root string, j *Journal) {
	t.Helper()
	root = t.TempDir()
	if err := os.Mkdir(root+"/etc", 0o755); err != nil {
		t.Fatal(err)
	}
	put(t, root, "/etc/a", "one\ntwo\n")
	if err := os.Chmod(root+"/etc/a", 0o640); err != nil {
		t.Fatal(err)
	}
	j, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return root, j
}

func put(t *testing.T, root, path, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(root, path), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// has compares a file's text; "-" is no file.
func has(t *testing.T, root, path, want string) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, path))
	got := string(text)
	if errors.Is(err, os.ErrNotExist) {
		got = "-"
	}
	if got != want {
		t.Errorf("%s is %q, want %q", path, got, want)
	}
}

var (
	editA = []Edit{{Line: 2, Add: []string{"ours"}}}
	editB = []Edit{{Line: 1, Add: []string{"b1", "b2"}}}
)

// turnOn is a change of one file and a new one.
func turnOn() Change {
	return Change{Why: "test", At: time.Unix(1e9, 0), Files: []File{
		{Path: "/etc/a", Now: []byte("one\ntwo\n"), Base: []byte("one\ntwo\n"), After: []byte("one\nours\ntwo\n"), Edits: editA},
		{Path: "/etc/b", After: []byte("b1\nb2\n"), Edits: editB},
	}}
}

func apply(t *testing.T, j *Journal, c Change) {
	t.Helper()
	if err := j.Apply(c); err != nil {
		t.Fatal(err)
	}
}

func takeBack(t *testing.T, j *Journal) []Stuck {
	t.Helper()
	files, stuck := j.Undo()
	if len(stuck) == 0 {
		apply(t, j, Change{Files: files, Why: "undo", At: time.Unix(1e9+1, 0)})
	}
	return stuck
}

func TestApplyAndUndo(t *testing.T) {
	root, j := etc(t)
	apply(t, j, turnOn())
	has(t, root, "/etc/a", "one\nours\ntwo\n")
	has(t, root, "/etc/b", "b1\nb2\n")
	if st, err := os.Stat(root + "/etc/a"); err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("mode %v, %v", st.Mode(), err)
	}
	if st, err := os.Stat(root + Dir); err != nil || st.Mode().Perm() != 0o700 {
		t.Errorf("mode of the journal's directory %v, %v", st.Mode(), err)
	}
	has(t, root, Dir+"/etc:a.20010909T014640", "one\ntwo\n")
	// Another process finds the way.
	j.Close()
	j, err := Open(root)
	if err != nil {
		t.Fatal(err)
	}
	if stuck := takeBack(t, j); len(stuck) > 0 || !j.Empty() {
		t.Errorf("stuck: %v; records %v", stuck, j.Records())
	}
	has(t, root, "/etc/a", "one\ntwo\n")
	has(t, root, "/etc/b", "-")
	if err := j.Forget(); err != nil || Exists(root) {
		t.Errorf("forgotten: %v", err)
	}
}

func TestUndoKeepsWhatOthersWrote(t *testing.T) {
	root, j := etc(t)
	apply(t, j, turnOn())
	put(t, root, "/etc/a", "zero\none\nours\ntwo\n")
	put(t, root, "/etc/b", "b1\nb2\ntheirs\n")
	for path, want := range map[string]string{"/etc/a": "zero\none\ntwo\n", "/etc/b": "theirs\n"} {
		if base, edited, err := j.Base(path); string(base) != want || !edited || err != nil {
			t.Errorf("base of %s: %q, %v, %v", path, base, edited, err)
		}
	}
	if stuck := takeBack(t, j); len(stuck) > 0 {
		t.Fatal(stuck)
	}
	has(t, root, "/etc/a", "zero\none\ntwo\n")
	has(t, root, "/etc/b", "theirs\n")
	has(t, root, Dir+"/etc:b.20010909T014641", "b1\nb2\ntheirs\n")
}

func TestUndoStopsWhereItIsUnclear(t *testing.T) {
	root, j := etc(t)
	apply(t, j, turnOn())
	put(t, root, "/etc/a", "one\nours, changed\ntwo\n")
	stuck := takeBack(t, j)
	if len(stuck) != 1 || stuck[0].Path != "/etc/a" || !errors.Is(stuck[0].Err, ErrUnclear) {
		t.Errorf("stuck: %v", stuck)
	}
	has(t, root, "/etc/b", "b1\nb2\n")
	// Removed by hand, it is no longer ours to bring back.
	if err := os.Remove(root + "/etc/a"); err != nil {
		t.Fatal(err)
	}
	if stuck := takeBack(t, j); len(stuck) > 0 {
		t.Error(stuck)
	}
	has(t, root, "/etc/a", "-")
	has(t, root, "/etc/b", "-")
}

// A file that others have put back or replaced, or in which our line is commented out, is theirs as it is:
// nothing is taken back in it, and the change can be made again.
func TestFilesThatOthersPutBack(t *testing.T) {
	for now, want := range map[string]string{
		"one\ntwo\n":                      "one\ntwo\n",
		"of another version\n":            "of another version\n",
		"one\n#ours\ntwo\n":               "one\n#ours\ntwo\n",
		"one\n# remark\n# ours\ntwo\n":    "one\n# ours\ntwo\n",
		"":                                "",
		"one\n# remark\nours, new\ntwo\n": "unclear",
	} {
		root, j := etc(t)
		change := turnOn()
		change.Files[0].After = []byte("one\n# remark\nours\ntwo\n")
		change.Files[0].Edits = []Edit{{Line: 2, Add: []string{"# remark", "ours"}}}
		apply(t, j, change)
		put(t, root, "/etc/a", now)
		base, edited, err := j.Base("/etc/a")
		if want == "unclear" {
			if !errors.Is(err, ErrUnclear) {
				t.Errorf("%q: %q, %v", now, base, err)
			}
			continue
		}
		if string(base) != want || err != nil || edited != (now != "one\ntwo\n") {
			t.Errorf("%q: %q, %v, %v", now, base, edited, err)
		}
		if stuck := takeBack(t, j); len(stuck) > 0 {
			t.Errorf("%q: stuck: %v", now, stuck)
		}
	}
}

func TestSecondChangeOfOneFile(t *testing.T) {
	root, j := etc(t)
	apply(t, j, turnOn())
	put(t, root, "/etc/a", "zero\none\nours\ntwo\n")
	second := []Edit{{Line: 4, Add: []string{"more"}}}
	apply(t, j, Change{Why: "again", At: time.Unix(1e9+5, 0), Files: []File{{
		Path: "/etc/a", Now: []byte("zero\none\nours\ntwo\n"), Base: []byte("zero\none\ntwo\n"),
		After: []byte("zero\none\ntwo\nmore\n"), Edits: second,
	}}})
	has(t, root, "/etc/a", "zero\none\ntwo\nmore\n")
	if stuck := takeBack(t, j); len(stuck) > 0 {
		t.Fatal(stuck)
	}
	has(t, root, "/etc/a", "zero\none\ntwo\n")
}

func TestFailureTakesEverythingBack(t *testing.T) {
	failure := errors.New("no reload")
	t.Run("afterwards", func(t *testing.T) {
		root, j := etc(t)
		calls := 0
		c := turnOn()
		c.Finish = func() error {
			if calls++; calls == 1 {
				has(t, root, "/etc/b", "b1\nb2\n")
				return failure
			}
			has(t, root, "/etc/b", "-")
			return nil
		}
		if err := j.Apply(c); !errors.Is(err, failure) || calls != 2 || !strings.Contains(err.Error(), "as it was before") {
			t.Errorf("%v after %d calls", err, calls)
		}
		has(t, root, "/etc/a", "one\ntwo\n")
		if !j.Empty() {
			t.Errorf("records %v", j.Records())
		}
	})
	t.Run("in the middle", func(t *testing.T) {
		root, j := etc(t)
		c := turnOn()
		c.Files[1].Path = "/etc/none/b"
		if err := j.Apply(c); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%v", err)
		}
		has(t, root, "/etc/a", "one\ntwo\n")
	})
	t.Run("changed meanwhile", func(t *testing.T) {
		root, j := etc(t)
		put(t, root, "/etc/a", "another\n")
		if err := j.Apply(turnOn()); !errors.Is(err, ErrChanged) || !j.Empty() {
			t.Errorf("%v", err)
		}
		has(t, root, "/etc/b", "-")
	})
}

// Wherever a change stops, taking it back finds the way: tried by leaving the files at each point.
func TestStoppedHalfWay(t *testing.T) {
	for written := range 3 {
		root, j := etc(t)
		c := turnOn()
		planned, err := j.planned(c)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.save(merge(j.contents, planned)); err != nil {
			t.Fatal(err)
		}
		if _, err := j.write(c.Files[:written]); err != nil {
			t.Fatal(err)
		}
		if stuck := takeBack(t, j); len(stuck) > 0 {
			t.Error(written, stuck)
		}
		has(t, root, "/etc/a", "one\ntwo\n")
		has(t, root, "/etc/b", "-")
	}
}

func TestJournalIsForOneAtATime(t *testing.T) {
	root, _ := etc(t)
	if _, err := Open(root); !errors.Is(err, ErrBusy) {
		t.Errorf("%v", err)
	}
	put(t, root, Dir+"/journal.json", `{"version":2}`)
	other := t.TempDir()
	if err := os.MkdirAll(other+Dir, 0o700); err != nil {
		t.Fatal(err)
	}
	put(t, other, Dir+"/journal.json", `{"version":2}`)
	if _, err := Open(other); err == nil || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("%v", err)
	}
}

func TestExtendedAttributesAreKept(t *testing.T) {
	root, j := etc(t)
	if err := unix.Lsetxattr(root+"/etc/a", "user.note", []byte("kept"), 0); err != nil {
		t.Skipf("the file system keeps no extended attributes: %v", err)
	}
	apply(t, j, turnOn())
	value := make([]byte, 16)
	n, err := unix.Lgetxattr(root+"/etc/a", "user.note", value)
	if err != nil || !bytes.Equal(value[:n], []byte("kept")) {
		t.Errorf("%q, %v", value[:max(n, 0)], err)
	}
}

func FuzzRevert(f *testing.F) {
	f.Add("a\nb\n", uint8(1), "x\ny", true)
	f.Fuzz(func(t *testing.T, text string, line uint8, add string, replace bool) {
		lines := split([]byte(text))
		at := int(line) % (len(lines) + 1)
		e := Edit{Line: at + 1, Add: split([]byte(add))}
		if replace && at < len(lines) {
			e.Remove = []string{lines[at]}
		}
		after, err := Apply([]byte(text), []Edit{e})
		if err != nil {
			t.Fatal(err)
		}
		back, err := Revert(after, []Edit{e})
		if err == nil && !slices.Equal(split(back), lines) {
			t.Fatalf("%q by way of %q came back as %q", text, after, back)
		}
	})
}
