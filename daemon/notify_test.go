package main

import (
	"net"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/wire"
)

func TestWhatSystemdIsTold(t *testing.T) {
	w := newWorld(t)
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: w.path("notify.sock"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	hear := func(want string) {
		t.Helper()
		buf := make([]byte, 4096)
		for {
			l.SetReadDeadline(time.Now().Add(5 * time.Second))
			n, err := l.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %s: %v", want, err)
			}
			if regexp.MustCompile(want).Match(buf[:n]) {
				return
			}
			if string(buf[:n]) != "WATCHDOG=1" {
				t.Fatalf("%q, want %s", buf[:n], want)
			}
		}
	}
	r := w.start(t, func(cmd *exec.Cmd) {
		cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+w.path("notify.sock"), "WATCHDOG_USEC=400000")
	})
	hear(`^READY=1\b`)
	for range 3 {
		hear(`^WATCHDOG=1$`)
	}
	r.Process.Signal(syscall.SIGHUP)
	hear(`^RELOADING=1\nMONOTONIC_USEC=[1-9][0-9]+$`)
	hear(`^READY=1\b`)
	r.Process.Signal(syscall.SIGTERM)
	hear(`^STOPPING=1$`)
}

// TestReload needs root, who gives nobody a second factor.
func TestReload(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	r := w.start(t)
	w.give(t, "nobody")
	prompt := func() string {
		t.Helper()
		d := w.begin(t, "nobody")
		defer d.Close()
		ask, _, err := d.next()
		if err != nil {
			t.Fatal(err)
		}
		return ask
	}
	before := prompt()
	during := w.begin(t, "nobody")
	during.next()

	w.configure(t, "[login]\nprompt = \"Token: \"\n")
	r.Process.Signal(syscall.SIGHUP)
	r.logLine(t, "reload: done")
	if got := prompt(); got == before || got != "Token: " {
		t.Errorf("prompt %q after the reload", got)
	}

	w.configure(t, "[login]\nprompt = 7\n")
	r.Process.Signal(syscall.SIGHUP)
	r.logLine(t, "the settings stay as they were")
	if got := prompt(); got != "Token: " {
		t.Errorf("prompt %q after a broken reload", got)
	}

	text, err := os.ReadFile(w.path("totpd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	moved := strings.Replace(string(text), "run/login.sock", "run/other.sock", 1)
	moved = strings.Replace(moved, "prompt = 7", `prompt = "Third: "`, 1)
	if err := os.WriteFile(w.path("totpd.toml"), []byte(moved), 0o644); err != nil {
		t.Fatal(err)
	}
	r.Process.Signal(syscall.SIGHUP)
	r.logLine(t, "listen.login has changed and takes effect after a restart")
	if got := prompt(); got != "Third: " {
		t.Errorf("prompt %q after a reload that needs a restart", got)
	}

	during.answer(code(t, 0))
	if _, got, err := during.next(); got != wire.Accepted {
		t.Errorf("begun before the reloads: %v, %v", got, err)
	}
}
