package home

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// ann has a uid that nobody else has, and no name.
const ann = 27182

// newHome makes a home of ann's below a directory that everybody may enter.
func newHome(t *testing.T) (root, dir string) {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("needs root, who reads with others' rights")
	}
	root, err := os.MkdirTemp("", "home")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	dir = filepath.Join(root, "ann")
	if err := errors.Join(os.Chmod(root, 0o755), os.Mkdir(dir, 0o700), os.Chown(dir, ann, ann)); err != nil {
		t.Fatal(err)
	}
	return root, dir
}

// put makes a file, owned by ann unless it says otherwise.
func put(t *testing.T, path, text string, owner int, mode os.FileMode) {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chown(path, owner, owner), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
}

// What ann can put into her home, and what root gets of it.
func TestRead(t *testing.T) {
	root, dir := newHome(t)
	path := func(name string) string { return filepath.Join(dir, name) }
	put(t, path("good"), "hers", ann, 0o600)
	put(t, path("roots"), "secret", 0, 0o600)
	put(t, path("public"), "root's, for all", 0, 0o644)
	put(t, path("long"), strings.Repeat("x", 101), ann, 0o600)
	put(t, path("full"), strings.Repeat("x", 100), ann, 0o600)
	put(t, path("growing"), "", ann, 0o600)
	put(t, filepath.Join(root, "outside"), "secret", 0, 0o600)
	if err := errors.Join(
		syscall.Mkfifo(path("pipe"), 0o666), os.Mkdir(path("dir"), 0o755), os.Symlink("good", path("link")),
		os.Symlink("../outside", path("out")), os.Symlink("/dev/zero", path("zero")), os.Symlink("loop", path("loop")),
		os.Symlink("/proc/self/environ", path("environ")), os.Symlink("pipe", path("behind")),
		syscall.Mknod(path("device"), syscall.S_IFCHR|0o666, 1<<8|5),
	); err != nil {
		t.Fatal(err)
	}
	const link = "a symbolic link: name the file that it leads to"
	for _, c := range []struct{ name, plain, followed string }{ // the text, or the error in brackets
		{"good", "hers", "hers"}, {"roots", "[permission denied]", "[permission denied]"}, {"public", "root's, for all", "root's, for all"},
		{"long", "[longer than 100 bytes]", "[longer than 100 bytes]"}, {"full", strings.Repeat("x", 100), strings.Repeat("x", 100)},
		{"pipe", "[not a file]", "[not a file]"}, {"dir", "[not a file]", "[not a file]"}, {"device", "[not a file]", "[not a file]"},
		{"link", "[" + link + "]", "hers"}, {"out", "[" + link + "]", "[permission denied]"}, {"zero", "[" + link + "]", "[not a file]"},
		{"behind", "[" + link + "]", "[not a file]"}, {"environ", "[" + link + "]", "[permission denied]"},
		{"missing", "[file does not exist]", "[file does not exist]"}, {"good/x", "[file does not exist]", "[file does not exist]"},
	} {
		for links, want := range map[bool]string{false: c.plain, true: c.followed} {
			begun := time.Now()
			f, err := Read(Owner{UID: ann, GID: ann}, Wanted{Path: path(c.name), Links: links, Most: 100})
			got := string(f.Text)
			if err != nil {
				got = "[" + err.Error() + "]"
			}
			if got != want || time.Since(begun) > Patience {
				t.Errorf("%s, links %v: %q after %v, want %q", c.name, links, got, time.Since(begun), want)
			}
			if err != nil && f.Text != nil {
				t.Errorf("%s: an error with a text", c.name)
			}
		}
	}
	f, err := Read(Owner{UID: ann, GID: ann}, Wanted{Path: path("good"), Most: 100})
	if err != nil || f.Owner != ann || f.Mode != 0o600 || time.Since(f.Written) > time.Minute {
		t.Errorf("%+v, %v", f, err)
	}
	// In a host's tree, links lead no further than that tree.
	if err := os.Symlink("/outside", path("absolute")); err != nil {
		t.Fatal(err)
	}
	put(t, filepath.Join(root, "outside"), "of the tree", ann, 0o600)
	if f, err := Read(Owner{UID: ann, GID: ann}, Wanted{Root: root, Path: "/ann/absolute", Links: true, Most: 100}); err != nil || string(f.Text) != "of the tree" {
		t.Errorf("%q, %v", f.Text, err)
	}
}

// The process that reads keeps nothing of root's: not its groups, nor a way back.
func TestReaderKeepsNothing(t *testing.T) {
	_, dir := newHome(t)
	path := filepath.Join(dir, "group")
	put(t, path, "of root's group", 0, 0o640)
	if f, err := Read(Owner{UID: ann, GID: ann}, Wanted{Path: path, Most: 100}); err == nil {
		t.Errorf("read with root's group: %q", f.Text)
	}
	if f, err := Read(Owner{UID: ann, GID: 0}, Wanted{Path: path, Most: 100}); err != nil {
		t.Errorf("of the owner's group: %q, %v", f.Text, err)
	}
	const unchanged = 1<<32 - 1 // as setresuid(2) has it
	for _, o := range []Owner{{UID: unchanged, GID: ann}, {UID: ann, GID: unchanged}} {
		if f, err := Read(o, Wanted{Path: path, Most: 100}); err == nil {
			t.Errorf("%+v: %q", o, f.Text)
		}
	}
}

// Ann stops and kills whatever she may, all the time: root gets an answer or an error, and waits for nobody.
func TestOwnerWhoStopsEverything(t *testing.T) {
	const inside = "TEST_INSIDE"
	if os.Getenv(inside) == "" {
		if os.Getuid() != 0 {
			t.Skip("needs root, who reads with others' rights")
		}
		for _, signal := range []string{"STOP", "KILL"} {
			cmd := exec.Command("unshare", "--pid", "--fork", "--kill-child", "--mount-proc", os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=40s")
			cmd.Env = append(os.Environ(), inside+"="+signal)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s", signal, err, out)
			}
		}
		return
	}
	_, dir := newHome(t)
	path := filepath.Join(dir, "good")
	put(t, path, "hers", ann, 0o600)
	for range 3 {
		mean := exec.Command("/bin/sh", "-c", "while :; do kill -$"+inside+" -1; done")
		mean.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: ann, Gid: ann}}
		if err := mean.Start(); err != nil {
			t.Fatal(err)
		}
		defer mean.Process.Kill()
	}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			begun := time.Now()
			f, err := Read(Owner{UID: ann, GID: ann}, Wanted{Path: path, Most: 100})
			if took := time.Since(begun); took > 3*Patience || err == nil && string(f.Text) != "hers" {
				t.Errorf("%q, %v after %v", f.Text, err, took)
			}
		})
	}
	all.Wait()
}

func TestLocate(t *testing.T) {
	root, dir := newHome(t)
	if err := errors.Join(
		os.Symlink("ann", filepath.Join(root, "moved")), os.Symlink(root, filepath.Join(root, "same")),
		os.Symlink("round", filepath.Join(root, "round")), os.Symlink("/", filepath.Join(dir, "hers")),
	); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{ // "PATH", and "PATH ann" where it is hers
		"file":          "file",
		"ann":           "ann", // the directory itself is in root's
		"ann/file":      "ann/file ann",
		"ann/a/b":       "ann/a/b ann",
		"moved/file":    "ann/file ann",
		"same/ann/file": "ann/file ann",
		"ann/../ann/f":  "ann/f ann",
		"none/file":     "none/file",
		"ann/hers/etc":  "ann/hers/etc ann", // root doesn't go there
	} {
		place, err := Locate(filepath.Join(root, path))
		got, _ := filepath.Rel(root, place.Path)
		if place.Owner != nil {
			got += " ann"
			if place.Owner.UID != ann || place.Owner.GID != ann || place.Owner.Name != "" {
				t.Errorf("%s: %+v", path, place.Owner)
			}
		}
		if err != nil || got != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	if _, err := Locate(filepath.Join(root, "round/file")); err == nil {
		t.Error("round and round")
	}
	put(t, filepath.Join(dir, "roots"), "secret", 0, 0o600)
	if f, _, err := ReadNamed(filepath.Join(root, "moved/roots"), 100); err == nil {
		t.Errorf("root's own file in her home: %q", f.Text)
	}
	if _, _, err := ReadNamed(filepath.Join(root, "file"), 100); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
}

// What root opens for itself is a file, and nothing that ann leads to.
func TestOpenNamed(t *testing.T) {
	root, dir := newHome(t)
	put(t, filepath.Join(root, "roots"), "secret", 0, 0o600)
	put(t, filepath.Join(dir, "backup"), "root's", 0, 0o600)
	if err := errors.Join(
		os.Symlink("../roots", filepath.Join(dir, "out")), os.Symlink("..", filepath.Join(dir, "up")),
		syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o666), os.Symlink("ann/backup", filepath.Join(root, "latest")),
	); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"ann/backup": "", "roots": "", "latest": "",
		"ann/out": errLink.Error(), "ann/up/roots": errLink.Error(),
		"ann/pipe": errNoFile.Error(), "ann": errNoFile.Error(), "ann/none": syscall.ENOENT.Error(),
	} {
		f, err := OpenNamed(filepath.Join(root, path))
		if got := ""; err != nil {
			if got = err.Error(); got != want {
				t.Errorf("%s: %q, want %q", path, got, want)
			}
		} else if f.Close(); want != "" {
			t.Errorf("%s is opened", path)
		}
	}
}
