package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
	"github.com/totpd/totpd/packaging/testbus"
)

// helper is a totpd -offline under way, at the other end of conn.
type helper struct {
	*exec.Cmd
	conn net.Conn
	said buffer
}

// help starts a totpd -offline. Its standard input is one end of a pair of sockets, unless there is one
// given.
func (w *world) help(t *testing.T, stdin *os.File) *helper {
	t.Helper()
	h := &helper{Cmd: exec.Command(filepath.Join(bin, "totpd"), "-offline", "-config", w.path("totpd.toml"))}
	if stdin == nil {
		pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		ours := os.NewFile(uintptr(pair[0]), "ours")
		defer ours.Close()
		if h.conn, err = net.FileConn(ours); err != nil {
			t.Fatal(err)
		}
		stdin = os.NewFile(uintptr(pair[1]), "theirs")
	}
	defer stdin.Close()
	h.Stdin, h.Stderr = stdin, &h.said
	if err := h.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { h.Process.Kill() })
	return h
}

// end hangs up, and returns what it said. It must end by itself, with this status.
func (h *helper) end(t *testing.T, status int) string {
	t.Helper()
	if h.conn != nil {
		h.conn.Close()
	}
	late := time.AfterFunc(8*time.Second, func() { h.Process.Kill() })
	defer late.Stop()
	_ = h.Wait()
	if got := h.ProcessState.ExitCode(); got != status {
		t.Errorf("exit status %d (%v), want %d; it said %q", got, h.ProcessState, status, h.said.String())
	}
	return h.said.String()
}

// offline asks one thing of a totpd -offline that must end well, and returns what that said.
func (w *world) offline(t *testing.T, ask func(*control.Client) error) (string, error) {
	t.Helper()
	h := w.help(t, nil)
	err := ask(control.NewClientOn("totpd", func(context.Context) (net.Conn, error) { return h.conn, nil }))
	return h.end(t, 0), err
}

func (w *world) disableOffline(t *testing.T, user string) error {
	t.Helper()
	said, err := w.offline(t, func(c *control.Client) error {
		return c.Disable(t.Context(), control.DisableRequest{User: user})
	})
	if said != "" {
		t.Errorf("it said %q", said)
	}
	return err
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
}

func wantCode(t *testing.T, err error, code control.ErrorCode) {
	t.Helper()
	var e *control.Error
	if !errors.As(err, &e) || e.Code != code {
		t.Errorf("%v, want the code %s", err, code)
	}
}

// Root looks and helps without a daemon and without the key; nobody but the store is touched.
func TestOffline(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	r := w.start(t)
	w.give(t, "nobody")
	w.give(t, "games")
	r.end(t, syscall.SIGTERM)
	for _, name := range []string{"totpd.key", "run", "totpd.db.lock"} {
		if err := os.RemoveAll(w.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	said, err := w.offline(t, func(c *control.Client) error {
		a, err := c.Status(t.Context(), control.StatusRequest{User: "nobody"})
		if !a.Enrolled || a.Devices[0].Name != "token" {
			t.Errorf("status %+v", a)
		}
		return err
	})
	if said != "" || err != nil {
		t.Error(said, err)
	}
	if err := w.disableOffline(t, "nobody"); err != nil {
		t.Error(err)
	}
	wantCode(t, w.disableOffline(t, "nobody"), control.ErrNotEnrolled)
	wantCode(t, w.disableOffline(t, "no-such-user"), control.ErrUnknownUser)
	var users []string
	_, err = w.offline(t, func(c *control.Client) (err error) {
		for a, e := range c.Users(t.Context()) {
			users, err = append(users, a.User), e
		}
		return err
	})
	if err != nil || fmt.Sprint(users) != "[games]" {
		t.Error(users, err)
	}
	_, err = w.offline(t, func(c *control.Client) error {
		_, err := c.Version(t.Context())
		return err
	})
	if err != nil {
		t.Error(err)
	}
	for name, ask := range map[string]func(*control.Client) error{
		"enrol": func(c *control.Client) error {
			_, err := c.Enrol(t.Context(), control.EnrolRequest{Password: "x"})
			return err
		},
		"confirm": func(c *control.Client) error {
			_, err := c.Confirm(t.Context(), control.ConfirmRequest{Code: "123456"})
			return err
		},
		"set": func(c *control.Client) error {
			_, err := c.Set(t.Context(), control.SetRequest{User: "nobody", URI: "otpauth://totp/x?secret=" + secret})
			return err
		},
	} {
		said, err := w.offline(t, ask)
		wantCode(t, err, control.ErrNotOffline)
		if strings.Contains(said, secret) {
			t.Errorf("%s: a secret is said", name)
		}
	}
	files, err := filepath.Glob(w.path("*"))
	if want := fmt.Sprint([]string{w.path("totpd.db"), w.path("totpd.db.commits"), w.path("totpd.toml")}); err != nil || fmt.Sprint(files) != want {
		t.Errorf("files %v, %v, want %s", files, err, want)
	}
}

// fail gives so many wrong answers, in logins that allow ten each, and hangs up.
func (w *world) fail(t *testing.T, user string, wrong int) {
	t.Helper()
	for wrong > 0 {
		d := w.begin(t, user)
		for range min(wrong, 10) {
			if ask, outcome, err := d.next(); ask == "" || err != nil {
				t.Errorf("%s: %v, %v", user, outcome, err)
				return
			}
			d.answer("000000")
			wrong--
		}
		if _, _, err := d.next(); err != nil {
			t.Errorf("%s: %v", user, err)
		}
		d.Close()
	}
}

// Logins of some users are counted by a running daemon, while root takes the second factor from others
// beside it: nothing is lost on either side.
func TestOfflineBesideLogins(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	w.configure(t, "[login]\ntries = 10\n[throttle]\nfree = 20\n")
	r := w.start(t)
	logins := []string{"bin", "sys", "sync", "man", "lp", "mail", "news", "uucp", "proxy", "list", "irc", "daemon"}
	helped := []string{"games", "nobody", "backup", "www-data"}
	for _, user := range append(logins, helped...) {
		w.give(t, user)
	}
	const wrong = 19 // the twentieth in a row makes wait
	codes := []string{code(t, 0), code(t, 1)}
	var all sync.WaitGroup
	done := make(chan struct{})
	for _, user := range logins {
		all.Go(func() {
			for i, code := range codes {
				w.fail(t, user, wrong)
				a, err := w.client().Status(t.Context(), control.StatusRequest{User: user})
				if want := (i + 1) * wrong; err != nil || a.Failures != want { // a success forgives its own login's alone
					t.Errorf("%s has %d failures, %v, want %d", user, a.Failures, err, want)
				}
				if got := w.login(t, user, code); got != wire.Accepted {
					t.Errorf("%s: %v", user, got)
				}
			}
		})
	}
	go func() { all.Wait(); close(done) }()
	var help sync.WaitGroup
	var times atomic.Int32
	for _, user := range helped {
		help.Go(func() {
			for busy := true; busy; times.Add(1) {
				if err := w.disableOffline(t, user); err != nil {
					t.Error(err)
				}
				if got := w.login(t, user, ""); got != wire.NotDue {
					t.Errorf("after root's help, the login of %s is %v", user, got)
				}
				w.give(t, user)
				select {
				case <-done:
					busy = false
				default:
				}
			}
		})
	}
	help.Wait()
	t.Logf("%d times root's help beside %d answers", times.Load(), len(logins)*len(codes)*(wrong+1))
	for _, user := range logins {
		if got := w.login(t, user, codes[1]); got == wire.Accepted {
			t.Errorf("%s: a code is accepted twice", user)
		}
	}
	r.end(t, syscall.SIGTERM)
	out, err := exec.Command("sqlite3", w.path("totpd.db"), "PRAGMA integrity_check; SELECT count(*) FROM account").CombinedOutput()
	if want := fmt.Sprintf("ok\n%d\n", len(logins)+len(helped)); err != nil || string(out) != want {
		t.Errorf("%q, %v, want %q", out, err, want)
	}
}

// What keeps a daemon from starting doesn't keep root from helping, or is told.
func TestOfflineWhenAllIsBroken(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	r := w.start(t)
	w.give(t, "nobody")
	r.end(t, syscall.SIGTERM)

	w.configure(t, "[login]\ntires = 3\n")
	said, err := w.offline(t, func(c *control.Client) error {
		return c.Disable(t.Context(), control.DisableRequest{User: "nobody"})
	})
	want := fmt.Sprintf("totpd: %s:9:9: login.tires is unknown; the keys of [login] are prompt, tries\n"+
		"totpd: going on with the accounts in %s\n", w.path("totpd.toml"), w.path("totpd.db"))
	if said != want || err != nil {
		t.Errorf("%v; it said %q, want %q", err, said, want)
	}

	for _, tt := range []struct {
		name    string
		prepare func() error
		want    string
	}{
		{"a later store", func() error {
			return exec.Command("sqlite3", w.path("totpd.db"), "PRAGMA user_version = 4").Run()
		}, "open store " + w.path("totpd.db") + ": a later totpd has written it, in schema 4, and this one knows schema 3: install the later one again, or put back a copy from before it"},
		{"no store", func() error { return os.Remove(w.path("totpd.db")) }, "open store " + w.path("totpd.db") + ": the database is missing"},
		{"no directory", func() error {
			return os.WriteFile(w.path("totpd.toml"), []byte("[store]\npath = \"/nowhere/totpd.db\"\n"), 0o644)
		}, "open store /nowhere/totpd.db: stat /nowhere: no such file or directory"},
	} {
		if err := tt.prepare(); err != nil {
			t.Fatal(err)
		}
		if said := w.help(t, nil).end(t, 1); !strings.Contains(said, "totpd: "+tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, said, tt.want)
		}
	}
}

// Nobody but root is served, as the kernel tells, and nothing but a stream socket.
func TestOfflineIsRootsAlone(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	w.start(t).end(t, syscall.SIGTERM)
	l, err := net.Listen("unix", w.path("s"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.Chmod(w.path("s"), 0o666); err != nil {
		t.Fatal(err)
	}
	stranger, err := testbus.DialAs(65534, w.path("s"))
	if err != nil {
		t.Fatal(err)
	}
	defer stranger.Close()
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	strangers, err := c.(*net.UnixConn).File()
	c.Close()
	if err != nil {
		t.Fatal(err)
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	packets, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_SEQPACKET|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(packets[0])
	for _, tt := range []struct {
		stdin *os.File
		want  string
	}{
		{strangers, "totpd: uid 65534 asks; only root may\n"},
		{null, "totpd: standard input is no socket: totpctl --offline starts this, nobody by hand\n"},
		{os.NewFile(uintptr(packets[1]), "packets"), "totpd: not a stream socket of this host\n"},
	} {
		if said := w.help(t, tt.stdin).end(t, 1); said != tt.want {
			t.Errorf("%q, want %q", said, tt.want)
		}
	}
}

// The store of a daemon that isn't root is opened as its owner, and what that leaves there for root to
// stumble over harms nobody.
func TestOfflineAsTheOwner(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	const owner = 65534
	w.chown(t, owner)
	daemon := w.start(t, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner, Gid: owner}}
	})
	w.give(t, "games")
	w.give(t, "nobody")
	daemon.end(t, syscall.SIGTERM)

	h := w.help(t, nil)
	client := control.NewClientOn("totpd", func(context.Context) (net.Conn, error) { return h.conn, nil })
	var log os.FileInfo
	for range 400 { // until it has the log open
		if info, err := os.Stat(w.path("totpd.db-wal")); err == nil {
			log = info
			break
		}
		time.Sleep(5 * time.Millisecond)
	}
	if log == nil || log.Sys().(*syscall.Stat_t).Uid != owner {
		t.Errorf("the log is %+v", log)
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", h.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"\nUid:\t65534\t65534\t65534\t65534\n", "\nGid:\t65534\t65534\t65534\t65534\n", "\nGroups:\t65534 \n", "\nCapPrm:\t0000000000000000\n"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("not %q:\n%s", want, status)
		}
	}
	if err := client.Disable(t.Context(), control.DisableRequest{User: "games"}); err != nil {
		t.Error(err)
	}
	h.end(t, 0)

	// The owner's traps: a link in the place of the database, or of a file beside it.
	roots := filepath.Join(t.TempDir(), "roots")
	if err := os.WriteFile(roots, []byte("root's"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"totpd.db-wal", "totpd.db-shm", "totpd.db"} {
		if err := os.Rename(w.path(name), w.path("aside")); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		if err := os.Symlink(roots, w.path(name)); err != nil {
			t.Fatal(err)
		}
		if said := w.help(t, nil).end(t, 1); !strings.Contains(said, "open store") {
			t.Errorf("%s: %q", name, said)
		}
		if content, err := os.ReadFile(roots); err != nil || string(content) != "root's" {
			t.Errorf("%s: root's file is %q, %v", name, content, err)
		}
		if err := os.Remove(w.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(w.path("aside"), w.path("totpd.db")); err != nil {
		t.Fatal(err)
	}
	if err := w.disableOffline(t, "nobody"); err != nil {
		t.Error(err)
	}
	w.start(t, func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner, Gid: owner}}
	})
	if got := w.login(t, "nobody", ""); got != wire.NotDue {
		t.Error(got)
	}
}
