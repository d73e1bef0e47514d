package store

import (
	"bufio"
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/totpd/totpd/daemon/internal/account"
)

// TestMain lets the test binary be the other processes that these tests need.
func TestMain(m *testing.M) {
	switch path := os.Getenv("STORE_PATH"); os.Getenv("STORE_ROLE") {
	case "update":
		updateUntilKilled(path)
	case "commits":
		commitsOneByOne(path)
	case "open":
		_, err := OpenBeside(path)
		must(err)
	case "count":
		s, err := Open(path)
		must(err)
		must(count(s, "alice"))
		must(s.Close())
	case "backup":
		_, _, err := WriteBackup(context.Background(), path, nil, io.Discard)
		must(err)
	case "":
		os.Exit(m.Run())
	}
}

func role(role, path string) *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "STORE_ROLE="+role, "STORE_PATH="+path)
	cmd.Stderr = os.Stderr
	return cmd
}

const stranger = 65534

// asStranger makes it a process of uid 65534.
func asStranger(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "totpd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	cmd.Path = filepath.Join(dir, "store.test")
	if err := errors.Join(os.Chmod(dir, 0o755), os.WriteFile(cmd.Path, self, 0o755)); err != nil {
		t.Fatal(err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: stranger, Gid: stranger}}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// updateUntilKilled counts failures of several users at once, and prints each count once it is said
// to be stored.
func updateUntilKilled(path string) {
	s, err := openOrCreate(path)
	must(err)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for {
				must(count(s, userName(i)))
				a, _, err := s.Get(context.Background(), userName(i))
				must(err)
				mu.Lock()
				fmt.Println(i, a.Codes.Failures)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
}

const tracedCommits = 300

func commitsOneByOne(path string) {
	s, err := openOrCreate(path)
	must(err)
	for range tracedCommits {
		must(count(s, "alice"))
	}
	must(s.Close())
}

func count(s *Store, user string) error {
	return s.Update(context.Background(), user, func(a account.Account) (account.Account, error) {
		a.Codes.Failures++
		return a, nil
	})
}

// What Update said is stored is there after kill -9, and nothing is half there.
func TestKilled(t *testing.T) {
	path := filepath.Join(t.TempDir(), "totpd.db")
	said := make([]int, 8)
	for round := range 4 {
		cmd := role("update", path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			var user, count int
			// The last line may be cut off, and then it isn't read: it ends in no newline.
			if _, err := fmt.Sscanf(lines.Text(), "%d %d", &user, &count); err != nil {
				t.Fatalf("%q: %v", lines.Text(), err)
			}
			said[user] = count
			if n == 200+round*431 { // the last ones past a checkpoint
				if err := cmd.Process.Kill(); err != nil {
					t.Fatal(err)
				}
			}
		}
		_ = cmd.Wait()
		s := reopen(t, path)
		for i, n := range said {
			if a, _ := get(t, s, userName(i)); a.Codes.Failures < n {
				t.Errorf("round %d: %d failures of user %d are stored, %d were promised", round, a.Codes.Failures, i, n)
			}
		}
		var verdict string
		if err := s.read.QueryRow("PRAGMA integrity_check").Scan(&verdict); err != nil || verdict != "ok" {
			t.Error(verdict, err)
		}
		s.Close()
	}
}

// With the flags of the Makefile, SQLite waits by fdatasync, which is cheaper than fsync by the write
// of the file's times.
func TestBuiltWithFdatasync(t *testing.T) {
	if !strings.Contains(os.Getenv("CGO_CFLAGS"), "-DHAVE_FDATASYNC=1") {
		t.Skip("CGO_CFLAGS has no -DHAVE_FDATASYNC=1: run it by make test")
	}
	f, err := elf.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.ImportedSymbols()
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(symbols, func(s elf.ImportedSymbol) bool { return s.Name == "fdatasync" }) {
		t.Error("SQLite was built without it")
	}
}

// A commit costs one wait for the disk; the log is written over and over, and never shortened.
func TestOneWaitForTheDisk(t *testing.T) {
	strace, err := exec.LookPath("strace")
	if err != nil {
		t.Skip("needs strace: apt-get install strace")
	}
	path := filepath.Join(t.TempDir(), "totpd.db")
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := role("commits", path)
	cmd.Args = append([]string{strace, "-f", "-y", "-e", "trace=fsync,fdatasync,ftruncate,ftruncate64", "-o", trace, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.Stderr = strace, nil
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	f, err := os.Open(trace)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	calls := map[string]int{}
	call := regexp.MustCompile(`\b(f\w+)\(\d+<[^>]*/([^/>]+)>`)
	content, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range call.FindAllStringSubmatch(string(content), -1) {
		calls[m[1]+" "+m[2]]++
	}
	waits := calls["fdatasync totpd.db-wal"] + calls["fsync totpd.db-wal"]
	// The first commit after each return to the start of the log waits once more; so do Open and Close.
	if waits < tracedCommits || waits > tracedCommits+10 {
		t.Errorf("%d waits for %d commits: %v", waits, tracedCommits, calls)
	}
	if calls["ftruncate totpd.db-wal"] > 0 {
		t.Errorf("the log is shortened: %v", calls)
	}
}

// The log stays as long as it was laid out, however long the daemon runs.
func TestLogIsUsedAgain(t *testing.T) {
	s := openNew(t)
	size := func() int64 {
		info, err := os.Stat(s.path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	laidOut := size()
	if laidOut < walLaidOut*frameSize {
		t.Errorf("the log has %d bytes, too few for %d frames", laidOut, walLaidOut)
	}
	for range 4 * walFrames {
		if err := count(s, "alice"); err != nil {
			t.Fatal(err)
		}
	}
	// A checkpoint runs beside the updates; on a slow disk many are written before it is done.
	if got := size(); got > 2*laidOut {
		t.Errorf("one after the other, %d updates made the log %d bytes, from %d", 4*walFrames, got, laidOut)
	}
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			for range walFrames / 2 {
				if err := count(s, userName(i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := size(); got > 2*walFramesMax*frameSize {
		t.Errorf("64 at once, the log grew to %d bytes", got)
	}
}

// inNamespace runs the test again in a process with mounts of its own, and says whether this is that
// process.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv("STORE_NAMESPACE") != "" {
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "STORE_NAMESPACE=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	var ended *exec.ExitError
	switch {
	case errors.As(err, &ended):
		t.Errorf("in a mount namespace: %v\n%s", err, out)
	case err != nil:
		t.Skipf("needs root, or user namespaces: %v", err)
	}
	return false
}

// smallDisk mounts a file system of a few MB.
func smallDisk(t *testing.T, options string) string {
	t.Helper()
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "mode=0755,"+options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir
}
