package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

// TestKeys needs root, who gives nobody a second factor.
func TestKeys(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	r := w.start(t)
	w.give(t, "nobody")
	r.end(t, syscall.SIGTERM)
	right, err := os.ReadFile(w.path("totpd.key"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(w.path("totpd.key")); err != nil {
		t.Fatal(err)
	}
	if said := w.fails(t); !strings.Contains(said, "is missing") || !strings.Contains(said, "backup") {
		t.Errorf("missing key: %s", said)
	}
	if _, err := os.Stat(w.path("totpd.key")); !os.IsNotExist(err) {
		t.Error("another key was made")
	}
	other := newWorld(t)
	other.start(t).end(t, syscall.SIGTERM)
	wrong, err := os.ReadFile(other.path("totpd.key"))
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{"wrong": wrong, "empty": nil, "cut": right[:20]} {
		if err := os.WriteFile(w.path("totpd.key"), content, 0o600); err != nil {
			t.Fatal(err)
		}
		said := w.fails(t)
		if !strings.Contains(said, "totpd.key") || strings.Contains(said, strings.TrimSpace(string(right[:20]))) {
			t.Errorf("%s key: %s", name, said)
		}
		if after, _ := os.ReadFile(w.path("totpd.key")); string(after) != string(content) {
			t.Errorf("%s key was overwritten", name)
		}
	}
	// As a credential of systemd's, with no key file at all.
	if err := os.Remove(w.path("totpd.key")); err != nil {
		t.Fatal(err)
	}
	credentials := w.path("credentials")
	if err := os.Mkdir(credentials, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(credentials, "totpd.key"), right, 0o400); err != nil {
		t.Fatal(err)
	}
	r = w.start(t, func(cmd *exec.Cmd) { cmd.Env = append(os.Environ(), "CREDENTIALS_DIRECTORY="+credentials) })
	if got := w.login(t, "nobody", code(t, 0)); got != wire.Accepted {
		t.Errorf("with the credential: %v\n%s", got, r.log)
	}
}
