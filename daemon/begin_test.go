package main

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/wire"
)

// run runs the daemon's program with an option that ends it.
func (w *world) run(options ...string) (said string, status int) {
	cmd := exec.Command(filepath.Join(bin, "totpd"), append([]string{"-config", w.path("totpd.toml")}, options...)...)
	out, _ := cmd.CombinedOutput()
	return string(out), cmd.ProcessState.ExitCode()
}

// A store is made once, by a command. One that is missing later turns everybody away, enrolled or not, and no
// other one is made in its place.
func TestStoreIsMadeOnce(t *testing.T) {
	needRoot(t)
	for name, c := range map[string]struct {
		lose func(w *world) error
		said string // by -init
	}{
		"the database": {func(w *world) error { return os.Remove(w.path("totpd.db")) }, "there has been one, since there is"},
		"all but the key": {func(w *world) error {
			return errors.Join(os.Remove(w.path("totpd.db")), os.Remove(w.path("totpd.db.commits")), os.Remove(w.path("totpd.db.lock")))
		}, "there has been one, since there is"},
		"all of it, as where nothing is mounted": {func(w *world) error {
			return errors.Join(os.Remove(w.path("totpd.db")), os.Remove(w.path("totpd.db.commits")), os.Remove(w.path("totpd.db.lock")), os.Remove(w.path("totpd.key")))
		}, "made an empty store"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			held := w.hold(t)
			r := w.start(t, held)
			w.give(t, "nobody")
			if said, status := w.run("-init"); status != 0 || !strings.Contains(said, "there is a store at ") {
				t.Errorf("%d: %s", status, said)
			}
			if err := r.end(t, syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
			if err := c.lose(w); err != nil {
				t.Fatal(err)
			}
			r = w.launch(t, held)
			for _, user := range []string{"nobody", "root"} {
				begun := time.Now()
				if got := w.login(t, user, "000000"); got != wire.Unavailable || time.Since(begun) > 3*time.Second {
					t.Errorf("%s: %v after %v", user, got, time.Since(begun))
				}
			}
			r.logLine(t, "totpd.db: the database is missing: mount its file system, restore a backup (totpctl restore FILE)")
			r.end(t, syscall.SIGTERM)
			if _, err := os.Stat(w.path("totpd.db")); err == nil {
				t.Error("the daemon has made another store")
			}
			said, status := w.run("-init")
			if !strings.Contains(said, c.said) || (status == 0) != strings.HasPrefix(c.said, "made") {
				t.Errorf("%d: %s", status, said)
			}
			if status == 0 {
				return
			}
			if said, status = w.run("-accept-loss"); status != 0 || !strings.HasPrefix(said, `{"new":true,"accounts":0}`) {
				t.Fatalf("%d: %s", status, said)
			}
			w.start(t, held)
		})
	}
}

// A store that is removed under a daemon turns everybody away at once.
func TestStoreIsRemovedUnderTheDaemon(t *testing.T) {
	needRoot(t)
	w := newWorld(t)
	r := w.start(t)
	w.give(t, "nobody")
	files, err := filepath.Glob(w.path("totpd.db*"))
	for _, f := range files {
		err = errors.Join(err, os.Remove(f))
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range []string{"nobody", "root"} {
		if got := w.login(t, user, code(t, 0)); got != wire.Unavailable {
			t.Errorf("%s: %v", user, got)
		}
	}
	r.logLine(t, "the database file or its log was removed or replaced")
	r.end(t, syscall.SIGTERM)
	if said := w.fails(t); !strings.Contains(said, "the database is missing") {
		t.Error(said)
	}
}
