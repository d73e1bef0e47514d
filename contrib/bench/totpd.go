package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/totpd/totpd/daemon/control"
)

// store is a folder with a database, its key and the configuration of a daemon for them.
type store string

func (s store) path(name string) string { return filepath.Join(string(s), name) }
func (s store) loginSocket() string     { return s.path("login.sock") }

// newStore makes an empty one.
func newStore(dir string) (store, error) {
	s := store(dir)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	return s, s.configure()
}

func (s store) configure() error {
	text := fmt.Sprintf("[listen]\nlogin = %q\ncontrol = %q\npassword = %q\n[store]\npath = %q\n[key]\nfile = %q\n",
		s.loginSocket(), s.path("control.sock"), s.path("password.sock"), s.path("totpd.db"), s.path("totpd.key"))
	return os.WriteFile(s.path("totpd.toml"), []byte(text), 0o600)
}

// copyTo makes a store with the same accounts. The daemon must not run.
func (s store) copyTo(dir string) (store, error) {
	to, err := newStore(dir)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"totpd.db", "totpd.key"} {
		content, err := os.ReadFile(s.path(name))
		if err != nil {
			return "", err
		}
		if err := os.WriteFile(to.path(name), content, 0o600); err != nil {
			return "", err
		}
	}
	return to, nil
}

// enrol gives each user their key, through the running daemon.
func (s store) enrol(users []user) error {
	c := control.NewClient(s.path("control.sock"))
	for _, u := range users {
		uri := "otpauth://totp/bench:" + u.name + "?issuer=bench&secret=" + u.base32()
		_, err := c.Set(context.Background(), control.SetRequest{User: u.name, URI: control.Secret(uri)})
		if err != nil {
			return fmt.Errorf("enrol %s: %w", u.name, err)
		}
	}
	return nil
}

// daemon is a running totpd.
type daemon struct {
	cmd   *exec.Cmd
	said  *tail
	ready time.Duration // from start to READY=1
}

// start runs totpd on a store until it says that it is ready.
func (s store) start(program string) (*daemon, error) {
	if out, err := exec.Command(program, "-config", s.path("totpd.toml"), "-init").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("make a store: %w: %s", err, out)
	}
	notify := s.path("notify.sock")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer os.Remove(notify)
	defer conn.Close()
	d := &daemon{cmd: exec.Command(program, "-config", s.path("totpd.toml")), said: &tail{}}
	d.cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+notify)
	d.cmd.Stdout, d.cmd.Stderr = d.said, d.said
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	begin := time.Now()
	if err := d.cmd.Start(); err != nil {
		return nil, err
	}
	if err := awaitReady(conn); err != nil {
		return nil, errors.Join(fmt.Errorf("totpd is not ready: %w: %s", err, d.said), d.stop())
	}
	d.ready = time.Since(begin)
	return d, nil
}

func awaitReady(conn *net.UnixConn) error {
	if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		return err
	}
	message := make([]byte, 4096)
	for {
		n, err := conn.Read(message)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(message[:n])) {
			if strings.TrimSpace(line) == "READY=1" {
				return nil
			}
		}
	}
}

func (d *daemon) stop() error {
	_ = d.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	if err := d.cmd.Wait(); err != nil {
		return fmt.Errorf("totpd ended badly: %w: %s", err, d.said)
	}
	return nil
}

// residentMB returns how much memory the daemon holds, in units of 2^20 bytes.
func (d *daemon) residentMB() (float64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", d.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "VmRSS:")
	number, _, _ := strings.Cut(strings.TrimSpace(rest), " ")
	kb, err := strconv.ParseFloat(number, 64)
	return kb / 1024, err
}

// tail is the end of what a program said.
type tail struct {
	mu   sync.Mutex
	text []byte
}

var _ io.Writer = (*tail)(nil)

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - 2000; over > 0 {
		t.text = append(t.text[:0], t.text[over:]...)
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(t.text)
}
