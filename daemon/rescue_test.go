package main

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

// The plain SQL of the documents, as root in a rescue shell: beside the daemon, which sees it at once,
// and without one. What the daemon needs to open later stays its own.
func TestRescueShell(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	const owner = 65534
	w.chown(t, owner)
	asOwner := func(c *exec.Cmd) {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner, Gid: owner}}
	}
	sqlite3 := func(statement string) string {
		t.Helper()
		out, err := exec.Command("sqlite3", w.path("totpd.db"), statement).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v: %s", statement, err, out)
		}
		return string(out)
	}
	ownersOwn := func() {
		t.Helper()
		files, err := os.ReadDir(w.dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			info, err := f.Info()
			if err != nil {
				t.Fatal(err)
			}
			if strings.HasPrefix(f.Name(), "totpd.db") && info.Sys().(*syscall.Stat_t).Uid != owner {
				t.Errorf("%s is the owner's no more", f.Name())
			}
		}
	}
	daemon := w.start(t, asOwner)
	for _, user := range []string{"games", "man", "nobody"} {
		w.give(t, user)
	}
	if got := w.login(t, "games", "000000"); got == wire.NotDue {
		t.Fatal("no code is asked for")
	}
	if got := sqlite3("SELECT user FROM account"); got != "games\nman\nnobody\n" {
		t.Errorf("the accounts are %q", got)
	}
	sqlite3("DELETE FROM account WHERE user='games'")
	if got := w.login(t, "games", ""); got != wire.NotDue {
		t.Errorf("deleted beside the daemon: %v", got)
	}
	ownersOwn()

	// Stopped, and killed, which leaves the log.
	daemon.end(t, syscall.SIGTERM)
	sqlite3("DELETE FROM account WHERE user='nobody'")
	ownersOwn()
	daemon = w.start(t, asOwner)
	if got := w.login(t, "nobody", ""); got != wire.NotDue {
		t.Errorf("deleted without a daemon: %v", got)
	}
	w.give(t, "nobody")
	daemon.end(t, syscall.SIGKILL)
	sqlite3("DELETE FROM account WHERE user='nobody'")
	ownersOwn()
	w.start(t, asOwner)
	if got := w.login(t, "nobody", ""); got != wire.NotDue {
		t.Errorf("deleted after a crash: %v", got)
	}
	if got := w.login(t, "man", code(t, 0)); got != wire.Accepted {
		t.Errorf("somebody else: %v", got)
	}
}

// A daemon that finds a later version's store ends at once, says what to do, and leaves it as it is.
func TestLaterStoreIsRefused(t *testing.T) {
	w := newWorld(t)
	w.start(t).end(t, syscall.SIGTERM)
	if out, err := exec.Command("sqlite3", w.path("totpd.db"), "PRAGMA user_version = 4").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	before, err := os.ReadFile(w.path("totpd.db"))
	if err != nil {
		t.Fatal(err)
	}
	want := "totpd: open store " + w.path("totpd.db") + ": a later totpd has written it, in schema 4, and this one knows schema 3: " +
		"install the later one again, or put back a copy from before it\n"
	if got := w.fails(t); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if after, err := os.ReadFile(w.path("totpd.db")); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was changed, %v", err)
	}
}
