package host

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupPrefix begins the names of labs' control groups. In such a group, each host has one of its own, and
// the lab's own processes are in labGroup: a lab's group with no process below it is left over.
const (
	cgroups      = "/sys/fs/cgroup"
	cgroupPrefix = "totpd-testhost."
	labGroup     = "lab"
)

// cgroupOf returns a process's place in the unified hierarchy (cgroups(7)), relative to what a mount of
// it shows.
func cgroupOf(process string) (string, error) {
	text, err := os.ReadFile("/proc/" + process + "/cgroup")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::"); ok {
			return path, nil
		}
	}
	return "", errors.New("the kernel has no unified hierarchy of control groups (cgroup2)")
}

// newCgroup moves this process into a new lab's group, and returns the group's folder.
func newCgroup() (string, error) {
	own, err := cgroupOf("self")
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cgroups, own, cgroupPrefix+rand.Text())
	for range 10 { // another lab may take it for a left-over, before this process is in it
		if err = os.MkdirAll(filepath.Join(dir, labGroup), 0o755); err != nil {
			continue
		}
		if err = os.WriteFile(filepath.Join(dir, labGroup, "cgroup.procs"), []byte("0"), 0); err == nil {
			return dir, nil
		}
	}
	return "", err
}

// sweep removes the control groups of labs that are gone. It looks at them through a mount that has no
// place in the file system, since the machine may have none. What it can't do it leaves to the next.
func sweep() {
	own, err := cgroupOf("self")
	if err != nil {
		return
	}
	fd, err := detachedCgroups()
	if err != nil {
		return
	}
	defer func() { _ = unix.Close(fd) }()
	all, _ := filepath.Glob(filepath.Join("/proc/self/fd", strconv.Itoa(fd), own, cgroupPrefix+"*"))
	for _, dir := range all {
		if empty, err := isEmpty(dir); err == nil && empty {
			removeCgroups(dir)
		}
	}
}

// detachedCgroups mounts the hierarchy: fsopen(2), fsmount(2).
func detachedCgroups() (int, error) {
	fsfd, err := unix.Fsopen("cgroup2", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, err
	}
	defer func() { _ = unix.Close(fsfd) }()
	if err := unix.FsconfigCreate(fsfd); err != nil {
		return -1, err
	}
	return unix.Fsmount(fsfd, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NOSUID|unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOEXEC)
}

// removeCgroups removes a group and those below it, the deepest first. Groups with processes stay.
func removeCgroups(dir string) {
	below, _ := os.ReadDir(dir)
	for _, d := range below {
		if d.IsDir() {
			removeCgroups(filepath.Join(dir, d.Name()))
		}
	}
	_ = unix.Rmdir(dir)
}

// killCgroup kills every process of a group and waits until they are gone.
func killCgroup(dir string) error {
	if err := os.WriteFile(filepath.Join(dir, "cgroup.kill"), []byte("1"), 0); err != nil {
		return err
	}
	return awaitEmpty(dir, 10*time.Second)
}

func awaitEmpty(dir string, limit time.Duration) error {
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		if empty, err := isEmpty(dir); err != nil || empty {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("processes of %s still run after %v", filepath.Base(dir), limit)
		}
	}
}

func isEmpty(dir string) (bool, error) {
	events, err := os.ReadFile(filepath.Join(dir, "cgroup.events"))
	return bytes.Contains(events, []byte("populated 0")), err
}
