package trial

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msteinert/pam/v2"

	"github.com/totpd/totpd/cli/internal/stack"
)

// module is ours, built for the tests.
var module string

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == "try-login" {
		if err := Run(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if out, err := exec.Command("make", "-s", "-C", "../../..", "build/pam_totpd.so").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build the module: %v\n%s", err, out)
		os.Exit(1)
	}
	module, _ = filepath.Abs("../../../build/pam_totpd.so")
	os.Exit(m.Run())
}

// trialOf is one of a service svc with this stack.
func trialOf(t *testing.T, text string) *Trial {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"svc":         text,
		"common-auth": "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return &Trial{Tree: stack.OpenDir(dir), Scratch: t.TempDir(), Program: []string{self, "try-login"}, Module: []string{module}, User: "nobody"}
}

func TestWrongPassword(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root may ask pam_unix about others")
	}
	const ours = "auth required pam_totpd.so\n"
	for _, c := range []struct{ name, text, cause string }{
		{"sound", "@include common-auth\n" + ours, ""},
		{"goes on to the code", "auth required pam_unix.so\n" + ours, "it comes to the code"},
		{"takes any password", "auth sufficient pam_unix.so\nauth required pam_permit.so\n", "it is let in"},
		{"asks for none", "auth requisite pam_deny.so\n" + ours, "no password is asked for"},
		{"a module that isn't there", "auth required pam_ldap.so\n@include common-auth\n", "Module is unknown"},
		{"some need no password", "auth sufficient pam_succeed_if.so user ingroup nopasswdlogin\n@include common-auth\n" + ours, ""},
		{"a condition that all meet", "auth sufficient pam_succeed_if.so uid >= 0\n@include common-auth\n" + ours, "it is let in"},
		{"a setting lets in", "auth sufficient pam_env.so\n@include common-auth\n" + ours, "it is let in"},
		{"counters and programs stay out", "auth required pam_faillock.so preauth\nauth required pam_exec.so /bin/false\n@include common-auth\n" + ours, ""},
	} {
		got := trialOf(t, c.text).wrongPassword(context.Background(), "svc")
		if got.OK != (c.cause == "") || !strings.Contains(got.Cause, c.cause) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}

// Nobody listens for the module in these tests, so that the line counts only by refusing.
func TestWithoutDaemon(t *testing.T) {
	token := filepath.Join(t.TempDir(), "pam_u2f.so")
	permits, _ := filepath.Glob("/usr/lib/*/security/pam_permit.so")
	if len(permits) == 0 {
		t.Skip("no modules of PAM")
	}
	if err := os.Symlink(permits[0], token); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text string
		holds      bool
	}{
		{"required", "@include common-auth\nauth required pam_totpd.so\n", true},
		{"optional", "@include common-auth\nauth optional pam_totpd.so\n", false},
		{"never reached", "auth sufficient pam_unix.so\nauth required pam_totpd.so\n", false},
		{"only for some", "auth sufficient pam_succeed_if.so user ingroup nopasswdlogin\n@include common-auth\nauth required pam_totpd.so\n", true},
		{"only with a token", "auth sufficient " + token + "\n@include common-auth\nauth required pam_totpd.so\n", true},
		{"only for root", "auth sufficient pam_rootok.so\n@include common-auth\nauth required pam_totpd.so\n", true},
	} {
		got := trialOf(t, c.text).daemonGone(context.Background(), "svc", daemonGone)
		if got.OK != c.holds {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	right := trialOf(t, "@include common-auth\nauth required pam_totpd.so socket=/nowhere timeout=1\n").rightPassword(context.Background(), "svc")
	if right.OK || right.Cause != "the daemon doesn't answer: dial unix /nowhere: connect: no such file or directory" {
		t.Errorf("%+v", right)
	}
	absent := trialOf(t, "@include common-auth\nauth required pam_totpd.so\n")
	absent.Module = []string{"/nowhere/pam_totpd.so"}
	if c := absent.rightPassword(context.Background(), "svc"); c.OK || c.Cause != "libpam finds no pam_totpd.so" {
		t.Errorf("%+v", c)
	}
}

// Only a module's Open gets through to the daemon, and as a trial. Here a daemon says no code is due.
func TestRelay(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "login.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	heard := make(chan byte, 9)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			kind := make([]byte, 1)
			n, _ := conn.Read(kind)
			if n == 1 {
				heard <- kind[0]
				conn.Write([]byte{5, 0, 1, 2})
			}
			conn.Close()
		}
	}()
	trial := trialOf(t, "auth requisite pam_deny.so\n")
	trial.Module = append(trial.Module, "socket="+socket)
	if c := trial.Daemon(context.Background(), "svc"); !c.OK {
		t.Fatalf("%+v", c)
	}
	if kind := <-heard; kind != kindTrial {
		t.Errorf("the daemon heard a frame of kind %d", kind)
	}
	rs := relays{}
	path := rs.to(t.TempDir(), socket)
	if err := rs.listen(); err != nil {
		t.Fatal(err)
	}
	defer rs.close()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	conn.Write([]byte{2, 0, 1, '1'}) // an Answer
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("something came back: %d, %v", n, err)
	}
	if len(heard) != 0 {
		t.Error("something else than an Open arrived")
	}
}

func TestHangingLogin(t *testing.T) {
	trial := trialOf(t, "@include common-auth\n")
	trial.Program = []string{"sleep", "60"}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if c := trial.rightPassword(ctx, "svc"); c.OK || !strings.Contains(c.Cause, "the login hangs") {
		t.Errorf("%+v", c)
	}
}

// What with_key says: nothing where sshd has verified no key, without a word to anybody; where it has, it
// is up to the daemon, of whom there is none here.
func TestWithKey(t *testing.T) {
	dir := t.TempDir()
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "svc"), []byte(strings.ReplaceAll(text, "OURS", module)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	start := func(said *[]string) *pam.Transaction {
		t.Helper()
		tx, err := pam.StartConfDir("svc", "nobody", pam.ConversationFunc(func(_ pam.Style, text string) (string, error) {
			*said = append(*said, text)
			return "", nil
		}), dir)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { tx.End() })
		return tx
	}
	write("auth [success=done ignore=ignore default=die] OURS with_key timeout=1 socket=" + dir + "/none\nauth required pam_permit.so\n")
	for env, key := range map[string]bool{
		"":                             false,
		"SSH_AUTH_INFO_0=":             false,
		"SSH_AUTH_INFO_0=password":     false,
		"SSH_AUTH_INFO_0=publickey":    false,
		"SSH_AUTH_INFO_0=xpublickey a": false,
		"SSH_AUTH_INFO_0=publickey ssh-ed25519 AAAA\n":              true,
		"SSH_AUTH_INFO_0=hostbased x\npublickey ssh-ed25519 AAAA\n": true,
	} {
		var said []string
		tx := start(&said)
		if env != "" {
			if err := tx.PutEnv(env); err != nil {
				t.Fatal(err)
			}
		}
		err := tx.Authenticate(0)
		if key && !errors.Is(err, pam.ErrAuthinfoUnavail) || !key && (err != nil || len(said) > 0) {
			t.Errorf("%q: %v, said %q", env, err, said)
		}
	}
	// sshd calls pam_setcred in a process that has not authenticated. The host's own modules must have
	// their turn then.
	write("auth [success=done ignore=ignore default=die] OURS with_key\nauth required pam_debug.so cred=success\n")
	var said []string
	if err := start(&said).SetCred(pam.EstablishCred); err != nil || !slices.Contains(said, "cred=success") {
		t.Errorf("setcred: %v, said %q", err, said)
	}
}

// A wrong password with a code behind it: tried with a totpd-password that knows none.
func TestWrongTogether(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root asks totpd-password")
	}
	const both = "auth required pam_totpd.so prompt=combined\n"
	for _, c := range []struct {
		name, text string
		verdict    byte // of totpd-password; 0: nobody listens
		cause      string
	}{
		{"sound", both + "@include common-auth\n", 2, ""},
		{"sound with a socket of its own", "auth required pam_totpd.so prompt=combined socket=/nowhere\n@include common-auth\n", 2, ""},
		{"nobody to ask", both + "@include common-auth\n", 0, "totpd-password doesn't answer"},
		{"any password is right", both + "@include common-auth\n", 1, "the code is judged"},
		{"takes any password", "auth sufficient pam_totpd.so prompt=combined\nauth required pam_permit.so\n", 2, "it is let in"},
	} {
		trial := trialOf(t, c.text)
		socket := filepath.Join(t.TempDir(), "p")
		trial.Module = append(trial.Module, "password_socket="+socket)
		if c.verdict != 0 {
			l, err := net.Listen("unix", socket)
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			go func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conn.Read(make([]byte, 2000))
					conn.Write([]byte{c.verdict, 0})
					conn.Close()
				}
			}()
		}
		got := trial.wrongTogether(context.Background(), "svc")
		if got.OK != (c.cause == "") || !strings.Contains(got.Cause, c.cause) {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
}
