package password_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/password"
	"github.com/totpd/totpd/packaging/testbus"
)

// built is where build puts totpd-password.
var built string

// build makes the real totpd-password.
var build = sync.OnceValues(func() (string, error) {
	path := filepath.Join(built, "totpd-password")
	out, err := exec.Command("go", "build", "-o", path, "github.com/totpd/totpd/daemon/passwordcheck").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return path, nil
})

func TestMain(m *testing.M) {
	var err error
	if built, err = os.MkdirTemp("", "totpd-password"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(built)
	os.Exit(code)
}

// listen starts a totpd-password for each connection. The stack is the PAM service totpd.
func listen(t *testing.T, stack string) *password.Checker {
	t.Helper()
	helper, err := build()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "totpd"), []byte(strings.ReplaceAll(stack, "DIR", dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	program := "#!/bin/sh\n[ \"$(tr -d '\\000')\" = 'open sesame' ]\n"
	if err := os.WriteFile(filepath.Join(dir, "judge"), []byte(program), 0o755); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "password.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	t.Cleanup(func() { l.Close(); running.Wait() })
	running.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			stdin, err := conn.(*net.UnixConn).File()
			conn.Close()
			if err != nil {
				t.Error(err)
				return
			}
			cmd := exec.Command(helper, "-pam-dir", dir)
			cmd.Stdin = stdin
			var stderr strings.Builder
			cmd.Stderr = &stderr
			running.Go(func() {
				if err := cmd.Run(); err != nil || stderr.Len() > 0 {
					t.Logf("totpd-password: %v: %s", err, &stderr)
				}
				stdin.Close()
			})
		}
	})
	return password.New(socket, true)
}

// judge is the password "open sesame", judged by a program that pam_exec starts; account accepts.
const (
	judge = "auth [success=1 default=ignore] pam_exec.so quiet expose_authtok DIR/judge\n" +
		"auth requisite pam_deny.so\nauth required pam_permit.so\n"
	account = "account required pam_permit.so\n"
)

func TestRealPAM(t *testing.T) {
	const right, wrong, broken = password.Right, password.Wrong, password.Broken
	const notRight = password.Verdict(0) // whether wrong or broken is libpam's affair
	for _, tt := range []struct {
		name, stack, user, password string
		want                        password.Verdict
		reason                      string
	}{
		{"right", judge + account, "alice", "open sesame", right, ""},
		{"wrong", judge + account, "alice", "open sesam", wrong, "authentication"},
		{"unknown user", judge + "auth required pam_debug.so auth=user_unknown\n" + account, "alice", "open sesame", wrong, "authentication"},
		{"account expired", judge + "account required pam_debug.so acct=acct_expired\n", "alice", "open sesame", wrong, "account"},
		{"account locked", judge + "account required pam_debug.so acct=perm_denied\n", "alice", "open sesame", wrong, "account"},
		{"password expired", judge + "account required pam_debug.so acct=new_authtok_reqd\n", "alice", "open sesame", wrong, "account"},
		{"directory down", judge + "auth required pam_debug.so auth=authinfo_unavail\n" + account, "alice", "open sesame", broken, "authentication"},
		{"says something first", "auth optional pam_echo.so Welcome\n" + judge + account, "alice", "open sesame", right, ""},
		{"accepts without a question", "auth required pam_permit.so\n" + account, "alice", "x", broken, "without asking"},
		{"root needs none", "auth sufficient pam_rootok.so\nauth required pam_deny.so\n" + account, "alice", "x", notRight, ""},
		{"asks twice", "auth required pam_ftp.so\nauth required pam_ftp.so\n" + account, "anonymous", "a@b", broken, "more than a password"},
		{"changes the user", judge + "auth required pam_ftp.so\n" + account, "anonymous", "open sesame", notRight, ""},
		{"changes the user, who is expired", "auth required pam_ftp.so ignore\naccount required pam_debug.so acct=acct_expired\n", "anonymous", "open sesame", broken, "another user"},
		{"module missing", "auth required pam_missing.so\n" + account, "alice", "x", broken, ""},
		{"service empty", "\n", "alice", "x", notRight, ""},
		{"longest", judge + account, strings.Repeat("a", password.UserMax), strings.Repeat("x", 500), wrong, ""},
		{"shell in the name", judge + account, "$(id)\n;", "open sesame", right, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			answer, err := listen(t, tt.stack).Check(t.Context(), tt.user, []byte(tt.password))
			ok := false
			switch tt.want {
			case broken:
				ok = err != nil && strings.Contains(err.Error(), tt.reason)
			case notRight:
				ok = err != nil || answer.Verdict == wrong
			default:
				ok = err == nil && answer.Verdict == tt.want && strings.Contains(answer.Reason, tt.reason)
			}
			if !ok {
				t.Errorf("%v, %v", answer, err)
			}
			if err != nil && strings.Contains(err.Error(), "sesame") {
				t.Errorf("the error quotes the password: %v", err)
			}
		})
	}
}

// A PAM module that hangs takes its process with it, and nothing else.
func TestHungPAM(t *testing.T) {
	t.Parallel()
	c := listen(t, "auth required pam_exec.so quiet expose_authtok /bin/sleep 30\n"+account)
	begun := time.Now()
	if answer, err := c.Check(t.Context(), "alice", []byte("x")); err == nil {
		t.Errorf("%v", answer)
	}
	if took := time.Since(begun); took > 17*time.Second {
		t.Errorf("took %v", took)
	}
}

// A failure is answered at once, whatever pause the modules ask for.
func TestNoDelay(t *testing.T) {
	t.Parallel()
	c := listen(t, "auth optional pam_faildelay.so delay=4000000\n"+judge+account)
	begun := time.Now()
	if answer, err := c.Check(t.Context(), "alice", []byte("x")); err != nil || answer.Verdict != password.Wrong {
		t.Errorf("%v, %v", answer, err)
	}
	if took := time.Since(begun); took > 1500*time.Millisecond {
		t.Errorf("took %v", took)
	}
}

func TestHelperByHand(t *testing.T) {
	helper, err := build()
	if err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{nil, {"-serve"}} {
		out, err := exec.Command(helper, args...).CombinedOutput()
		if err == nil || !strings.Contains(string(out), "start totpd-password.socket") {
			t.Errorf("%q: %v: %s", args, err, out)
		}
	}
}

// answers listens as a totpd-password that does something else than it should.
func answers(t *testing.T, do func(net.Conn)) *password.Checker {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "password.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { do(conn); conn.Close() }()
		}
	}()
	return password.New(socket, true)
}

func TestHostileHelper(t *testing.T) {
	for name, do := range map[string]func(net.Conn){
		"hangs up":   func(net.Conn) {},
		"garbage":    func(c net.Conn) { io.WriteString(c, "HTTP/1.1 200 OK\r\n") },
		"no verdict": func(c net.Conn) { c.Write([]byte{0, 0}) },
		"two":        func(c net.Conn) { c.Write([]byte{1, 0, 1, 0}) },
		"half":       func(c net.Conn) { c.Write([]byte{1}) },
		"silent":     func(c net.Conn) { io.Copy(io.Discard, c) },
		"never ends": func(c net.Conn) { c.Write([]byte{1, 0}); io.Copy(io.Discard, c) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			begun := time.Now()
			answer, err := answers(t, do).Check(ctx, "alice", []byte("x"))
			if err == nil || answer.Verdict == password.Right {
				t.Errorf("%v, %v", answer, err)
			}
			if took := time.Since(begun); took > 2*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestHelpersAtOnceAreBounded(t *testing.T) {
	c := answers(t, func(c net.Conn) { io.Copy(io.Discard, c) })
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 4 {
		waiting.Go(func() { c.Check(ctx, "alice", []byte("x")) })
	}
	time.Sleep(100 * time.Millisecond)
	short, cancelShort := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancelShort()
	if _, err := c.Check(short, "bob", []byte("x")); !errors.Is(err, password.ErrNotAsked) || !strings.Contains(err.Error(), "too many") {
		t.Errorf("the fifth at once: %v", err)
	}
	cancel()
	waiting.Wait()
}

func TestNobodyToAsk(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "password.sock")
	_, err := password.New(missing, true).Check(t.Context(), "alice", []byte("x"))
	if !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "totpd-password.socket") {
		t.Errorf("no remedy: %v", err)
	}
	// Beside this test's executable there is no totpd-password.
	if _, err := os.Stat("/usr/libexec/totpd/totpd-password"); err == nil {
		t.Skip("totpd is installed")
	}
	_, err = password.New(missing, false).Check(t.Context(), "alice", []byte("x"))
	if !errors.Is(err, password.ErrNotAsked) {
		t.Errorf("an answer from nowhere: %v", err)
	}
}

// TestStrangerListens needs root: it gives the socket to somebody else, who must not get a password.
func TestStrangerListens(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	socket := filepath.Join(t.TempDir(), "password.sock")
	fd, err := testbus.ListenAs(65534, socket)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	_, err = password.New(socket, true).Check(t.Context(), "alice", []byte("x"))
	if !errors.Is(err, password.ErrNotAsked) || !strings.Contains(err.Error(), "uid 65534") {
		t.Errorf("asked a stranger: %v", err)
	}
}
