package main

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
)

// insideEnv is set in the program's second run, the one in namespaces of its own, to an empty folder.
const insideEnv = "TOTPD_BENCH_INSIDE"

func inside() bool { return os.Getenv(insideEnv) != "" }

// enter runs this program again with the same arguments in a mount and a network namespace, and removes
// what that made: there, parts of it are mounted.
func enter(o options, out io.Writer) error {
	if os.Geteuid() != 0 {
		return errors.New("must be root: it puts users into an /etc/passwd of its own")
	}
	dir, err := os.MkdirTemp(filepath.Join(o.top, "build"), "bench.")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), insideEnv+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = nil, out, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL,
	}
	runtime.LockOSThread() // the signal would come when this thread ends
	defer runtime.UnlockOSThread()
	var ended *exec.ExitError
	switch err := cmd.Run(); {
	case errors.As(err, &ended):
		return errors.New("not finished")
	case err != nil:
		return fmt.Errorf("new namespaces: %w", err)
	}
	return nil
}

// furnish gives this mount namespace an /etc/passwd with the bench's users and a /dev/log. dir is where
// files for that may be put.
func furnish(dir string, users []user, log string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	passwd := filepath.Join(dir, "passwd")
	if err := writePasswd(passwd, users); err != nil {
		return err
	}
	if err := syscall.Mount(passwd, "/etc/passwd", "", syscall.MS_BIND, ""); err != nil {
		return fmt.Errorf("mount an /etc/passwd: %w", err)
	}
	dev := filepath.Join(dir, "dev")
	if err := devices(dev); err != nil {
		return err
	}
	if log == "socket" {
		if err := readLog(filepath.Join(dev, "log")); err != nil {
			return err
		}
	}
	if err := syscall.Mount(dev, "/dev", "", syscall.MS_BIND|syscall.MS_REC, ""); err != nil {
		return fmt.Errorf("mount a /dev: %w", err)
	}
	return nil
}

// writePasswd puts the users right behind root, so that the search for them is short.
func writePasswd(path string, users []user) error {
	old, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return err
	}
	root, others, _ := strings.Cut(string(old), "\n")
	var text strings.Builder
	fmt.Fprintln(&text, root)
	for i, u := range users {
		fmt.Fprintf(&text, "%s:x:%d:65534::/nonexistent:/usr/sbin/nologin\n", u.name, 50000+i)
	}
	text.WriteString(others)
	return os.WriteFile(path, []byte(text.String()), 0o644)
}

// devices makes a folder like /dev with what programs need of it.
func devices(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := syscall.Mount("bench", dir, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("mount a tmpfs: %w", err)
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty", "console"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			return err
		}
		if err := syscall.Mount("/dev/"+name, path, "", syscall.MS_BIND, ""); err != nil {
			return fmt.Errorf("mount /dev/%s: %w", name, err)
		}
	}
	return nil
}

// readLog is a syslog daemon that forgets everything. The length of its queue is systemd's; the setting
// belongs to the network namespace.
func readLog(path string) error {
	if err := os.WriteFile("/proc/sys/net/unix/max_dgram_qlen", []byte("512"), 0); err != nil {
		return err
	}
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	go func() {
		line := make([]byte, 8<<10)
		for {
			if _, err := conn.Read(line); err != nil {
				return
			}
		}
	}()
	return os.Chmod(path, 0o666)
}
