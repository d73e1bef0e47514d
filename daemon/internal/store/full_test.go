package store

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// mountSmallBlocks mounts an ext4 file system of blocks that are smaller than a page of memory.
func mountSmallBlocks(t *testing.T) string {
	t.Helper()
	for _, tool := range []string{"mkfs.ext4", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("needs %s: apt-get install e2fsprogs mount", tool)
		}
	}
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("needs loop devices")
	}
	check(t, syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""))
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	check(t, os.WriteFile(image, nil, 0o600))
	check(t, os.Truncate(image, 8<<20))
	for _, argv := range [][]string{{"mkfs.ext4", "-q", "-b", "1024", "-m", "0", image}, {"mount", "-o", "loop", image, dir}} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", argv, err, out)
		}
	}
	t.Cleanup(func() { _ = exec.Command("umount", dir).Run() })
	check(t, os.Chmod(dir, 0o700))
	return dir
}

// On a file system that is nearly full, whatever is left of it, opening the store works or is refused in words. SQLite
// maps a file into memory that it leaves sparse where blocks are small: to write there would kill the process.
func TestNearlyFull(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, for a loop device")
	}
	if !inNamespace(t) {
		return
	}
	dir := mountSmallBlocks(t)
	path, ballast := filepath.Join(dir, "totpd.db"), filepath.Join(dir, "ballast")
	s := reopen(t, path)
	put(t, s, enrolled("alice", "phone"))
	check(t, s.Close())
	opened, refused := 0, 0
	killed := filepath.Join(t.TempDir(), "killed.db") // with a log, which is read again
	for _, left := range []int64{0, 1, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 30, 32, 34, 36, 38, 40, 44, 48, 56, 64, 80, 100, 120, 200, 4000} {
		for _, what := range []string{"count", "open", "backup", "count after a kill"} {
			if what == "count after a kill" {
				what = "count"
				s := reopen(t, path)
				check(t, count(s, "alice"))
				copyFiles(t, path, killed)
				check(t, s.Close())
				copyFiles(t, killed, path)
			}
			check(t, fillUp(ballast, dir, left<<10))
			out, err := said(role(what, path))
			text := string(out)
			ended := new(exec.ExitError)
			switch {
			case err == nil:
				opened++
			case errors.As(err, &ended) && ended.ExitCode() == 1 && strings.Contains(text, "no space left"):
				refused++
			default:
				t.Errorf("%s with %d kB left: %v\n%.500s", what, left, err, text)
			}
			check(t, os.Remove(ballast))
		}
	}
	if opened == 0 || refused == 0 {
		t.Errorf("opened %d times, refused %d times", opened, refused)
	}
	if a, _ := get(t, reopen(t, path), "alice"); !a.Enrolled() || a.Codes.Failures == 0 {
		t.Errorf("%+v", a)
	}
}

// fillUp leaves so many bytes of a file system.
func fillUp(ballast, dir string, left int64) error {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(dir, &fs); err != nil {
		return err
	}
	f, err := os.Create(ballast)
	if err != nil {
		return err
	}
	defer f.Close()
	block := make([]byte, 1024)
	for {
		if err := syscall.Statfs(dir, &fs); err != nil {
			return err
		}
		if int64(fs.Bavail)*fs.Bsize <= left {
			return f.Sync()
		}
		for range max(1, (int64(fs.Bavail)*fs.Bsize-left)/2048) {
			if _, err := f.Write(block); errors.Is(err, syscall.ENOSPC) {
				return nil
			} else if err != nil {
				return fmt.Errorf("fill %s: %w", dir, err)
			}
		}
		if err := f.Sync(); err != nil {
			return err
		}
	}
}

// said is what a process says, and how it ends.
func said(cmd *exec.Cmd) ([]byte, error) {
	cmd.Stderr = nil
	return cmd.CombinedOutput()
}
