package seal

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// A key goes through a backup to another host, where nothing is overwritten.
func TestCopyAndPlace(t *testing.T) {
	dir := t.TempDir()
	here, there := filepath.Join(dir, "here"), filepath.Join(dir, "there")
	for _, path := range []string{here, there} {
		if _, err := LoadOrCreate(path, true); err != nil {
			t.Fatal(err)
		}
	}
	old, err := os.ReadFile(there)
	if err != nil {
		t.Fatal(err)
	}
	copied, err := Copy(here)
	if err != nil {
		t.Fatal(err)
	}
	key, err := Parse(copied.Digits())
	if err != nil || key.Check() != copied.Check() {
		t.Fatal(err)
	}
	for i := range 3 {
		before, err := key.Place(there)
		if want := fmt.Sprintf("%s.before-restore.%d", there, i+1); err != nil || before != want && i > 0 || i == 0 && before != there+".before-restore" {
			t.Fatal(before, err)
		}
		if k, err := Load(there); err != nil || k.Check() != copied.Check() {
			t.Error(k, err)
		}
	}
	if kept, err := os.ReadFile(there + ".before-restore"); err != nil || string(kept) != string(old) {
		t.Error("the key that was there is not kept:", err)
	}
	if before, err := key.Place(filepath.Join(dir, "new")); err != nil || before != "" {
		t.Error(before, err)
	}
	if files, _ := os.ReadDir(dir); len(files) != 6 {
		t.Error(files)
	}
	for range 3 { // back to the first
		if err := key.Remove(there, there+".before-restore"); err != nil {
			t.Fatal(err)
		}
		if kept, err := os.ReadFile(there); err != nil || string(kept) != string(old) {
			t.Fatal("the key that was there is not back:", err)
		}
		if before, err := key.Place(there); err != nil || before != there+".before-restore" {
			t.Fatal(before, err)
		}
	}
	if err := key.Remove(filepath.Join(dir, "new"), ""); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(filepath.Join(dir, "new")); err == nil {
		t.Error("a key that was not there before is left")
	}
	if _, err := Copy(filepath.Join(dir, "none")); err == nil {
		t.Error("a key that isn't there")
	}
	for _, bad := range []string{"", "00", strings.Repeat("x", 64)} {
		if _, err := Parse(bad); err == nil {
			t.Errorf("%q is a key", bad)
		}
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%q"} {
		for _, v := range []any{copied, &copied, struct{ c Copied }{copied}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, copied.Digits()) {
				t.Errorf("%s of a %T prints the key: %s", verb, v, got)
			}
		}
	}
}

// A key that is root's is set aside too, by an owner of the store who may not link to it (fs.protected_hardlinks).
func TestPlaceBesideRootsFile(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("needs root, who makes the file")
	}
	dir, err := os.MkdirTemp("", "totpd") // a path that others may follow
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "key")
	for _, err := range []error{os.WriteFile(path, []byte("zz"), 0o600), os.WriteFile(path+".before-restore", []byte("older"), 0o600), os.Chown(dir, 65534, 65534)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	key, err := Parse(strings.Repeat("ab", keySize))
	if err != nil {
		t.Fatal(err)
	}
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := syscall.Setfsuid(65534); err != nil {
		t.Fatal(err)
	}
	before, err := key.Place(path)
	if err := syscall.Setfsuid(0); err != nil {
		t.Fatal(err)
	}
	if err != nil || before != path+".before-restore.2" {
		t.Fatal(before, err)
	}
	for file, want := range map[string]string{path: strings.Repeat("ab", keySize) + "\n", before: "zz", path + ".before-restore": "older"} {
		if content, err := os.ReadFile(file); err != nil || string(content) != want {
			t.Errorf("%s: %q, %v", file, content, err)
		}
	}
}
