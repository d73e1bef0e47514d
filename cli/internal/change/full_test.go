package change

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// apart gives the test a mount namespace of its own, for as long as it runs.
func apart(t *testing.T) {
	t.Helper()
	runtime.LockOSThread() // and never unlocked: the thread ends with the test
	if err := unix.Unshare(unix.CLONE_NEWNS | unix.CLONE_FS); err != nil {
		t.Skipf("needs a mount namespace: %v", err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Skip(err)
	}
}

// TestTakeBackWithoutRoom: a full or read-only /var, where the journal is, and a full /etc keep nobody from
// taking a change back.
func TestTakeBackWithoutRoom(t *testing.T) {
	apart(t)
	for _, c := range []struct {
		name       string
		full       string // the directory without room
		options    string
		unrecorded bool
	}{
		{"a full /var", Dir, "", false},
		{"a read-only /var", Dir, "ro", true},
		{"a full /etc", "/etc", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			apart(t)
			root := t.TempDir()
			dir := filepath.Join(root, c.full)
			if err := os.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Join(root, "etc"), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("none", dir, "tmpfs", 0, "size=64k,mode=700"); err != nil {
				t.Skip(err)
			}
			defer unix.Unmount(dir, unix.MNT_DETACH)
			put(t, root, "/etc/a", "one\ntwo\n")
			j, err := Open(root)
			if err != nil {
				t.Fatal(err)
			}
			added := Change{Files: []File{
				{Path: "/etc/a", Now: []byte("one\ntwo\n"), After: []byte("one\nours\ntwo\n"), Base: []byte("one\ntwo\n"), Edits: []Edit{{Line: 2, Add: []string{"ours"}}}},
				{Path: "/etc/new", After: []byte("ours\n"), Edits: []Edit{{Line: 1, Add: []string{"ours"}}}},
			}, At: time.Unix(1, 0)}
			if err := j.Apply(added); err != nil {
				t.Fatal(err)
			}
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			if c.options == "ro" {
				if err := unix.Mount("", dir, "", unix.MS_REMOUNT|unix.MS_RDONLY, ""); err != nil {
					t.Skip(err)
				}
			} else if out, err := exec.Command("sh", "-c", `dd if=/dev/zero of="$0/ballast" bs=4096 2>&1; echo >"$0/x"`, dir).CombinedOutput(); err == nil {
				t.Fatalf("there is room: %s", out)
			}
			if j, err = Open(root); err != nil {
				t.Fatal(err)
			}
			files, stuck := j.Undo()
			if len(stuck) > 0 {
				t.Fatal(stuck)
			}
			for _, f := range files {
				err := j.TakeBack(Change{Files: []File{f}, At: time.Unix(2, 0)})
				if c.unrecorded && !errors.Is(err, ErrUnrecorded) || !c.unrecorded && err != nil {
					t.Errorf("%s: %v", f.Path, err)
				}
			}
			has(t, root, "/etc/a", "one\ntwo\n")
			has(t, root, "/etc/new", "-")
			j.Close()

			// With room again, the journal learns of it.
			if err := errors.Join(unix.Mount("", dir, "", unix.MS_REMOUNT, "size=1m"), os.RemoveAll(dir+"/ballast")); err != nil {
				t.Fatal(err)
			}
			if j, err = Open(root); err != nil {
				t.Fatal(err)
			}
			defer j.Close()
			files, stuck = j.Undo()
			if err := j.TakeBack(Change{Files: files, At: time.Unix(3, 0)}); err != nil || len(stuck) > 0 || !j.Empty() {
				t.Errorf("%v, %v, %+v", err, stuck, j.Records())
			}
		})
	}
}
