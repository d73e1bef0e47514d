package plan

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/stack"
)

// The programs that look after the stack that services share.
const (
	PAMAuthUpdate = "pam-auth-update"
	Authselect    = "authselect"
)

// addCommon works out how all services come to ask: by the host's own program for that.
func (p *Plan) addCommon(ctx context.Context, h *Host) {
	var r *Refusal
	switch {
	case h.has("/usr/sbin/pam-auth-update"):
		r = p.addDebian(ctx, h)
	case h.has("/usr/bin/authselect"):
		r = p.addAuthselect(h)
	default:
		r = &Refusal{"--service all", "this host has neither pam-auth-update nor authselect", "name the services: --service " + strings.Join(Offered(h), ",")}
	}
	if r != nil {
		p.refuse(r)
	}
}

func (h *Host) has(path string) bool {
	_, err := os.Stat(filepath.Join(h.Root, path))
	return err == nil
}

// debianFiles are what pam-auth-update writes.
var debianFiles = []string{"common-auth", "common-account", "common-password", "common-session", "common-session-noninteractive"}

// addDebian has pam-auth-update make its files in a copy.
func (p *Plan) addDebian(ctx context.Context, h *Host) *Refusal {
	const where = "/usr/sbin/pam-auth-update"
	script, err := os.ReadFile(filepath.Join(h.Root, where))
	if err != nil || !strings.Contains(string(script), "'--root'") || !strings.Contains(string(script), "'--enable'") {
		return &Refusal{where, "this one can't be tried on a copy (Debian 12's can)", "by hand, with a root shell kept open: pam-auth-update --enable totpd"}
	}
	entries, err := h.Tree.Stack("common-auth", stack.Auth)
	if err == nil && slices.ContainsFunc(entries, func(e stack.Entry) bool { return e.Ours() }) {
		return nil // it is there; listCommon judges it
	}
	after, said, err := DebianCopy(ctx, h, "--enable", "totpd")
	if err != nil {
		return &Refusal{where, err.Error(), "nothing was changed"}
	}
	for _, name := range debianFiles {
		host := pamDir + "/" + name
		now, err := h.Journal.Read(host)
		if err != nil {
			return &Refusal{host, err.Error(), "nothing was changed"}
		}
		if f := (change.File{Path: host, Now: now, Base: now, After: after[host]}); f.Changes() {
			p.Shared = append(p.Shared, f)
		}
	}
	entries, err = p.Tree(h).Stack("common-auth", stack.Auth)
	if err != nil || !slices.ContainsFunc(entries, func(e stack.Entry) bool { return e.Ours() }) {
		return &Refusal{pamDir + "/common-auth", "pam-auth-update leaves it as it is: " + said,
			"name the services instead: --service " + strings.Join(Offered(h), ",")}
	}
	p.Tools = append(p.Tools, PAMAuthUpdate)
	return nil
}

// DebianCopy runs pam-auth-update on a copy of what it reads and returns the files that it makes, by the
// host's path, and what it says.
func DebianCopy(ctx context.Context, h *Host, args ...string) (map[string][]byte, string, error) {
	dir, err := h.scratch("pam")
	if err != nil {
		return nil, "", err
	}
	for _, d := range []string{pamDir, "/var/lib/pam", "/usr/share/pam-configs"} {
		if err := copyFiles(filepath.Join(h.Root, d), filepath.Join(dir, d)); err != nil {
			return nil, "", err
		}
	}
	cmd := exec.CommandContext(ctx, filepath.Join(h.Root, "/usr/sbin/pam-auth-update"), append([]string{"--root", dir}, args...)...)
	cmd.Env = DebconfIn(dir)
	out, err := cmd.CombinedOutput()
	said := ownWords(string(out))
	if err != nil {
		return nil, said, fmt.Errorf("on a copy: %w: %s", err, firstWords(string(out)))
	}
	files := map[string][]byte{}
	for _, name := range debianFiles {
		text, err := os.ReadFile(filepath.Join(dir, pamDir, name))
		if err != nil {
			return nil, said, err
		}
		files[pamDir+"/"+name] = text
	}
	return files, said, nil
}

// ownWords are pam-auth-update's among those of debconf, which misses its database.
func ownWords(out string) string {
	var all []string
	for line := range strings.Lines(out) {
		if text, own := strings.CutPrefix(line, PAMAuthUpdate+": "); own {
			all = append(all, strings.TrimSpace(text))
		}
	}
	return strings.Join(all, " ")
}

// DebconfIn is an environment that keeps debconf's answers out of the host's database.
func DebconfIn(dir string) []string {
	return []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive",
		"DEBCONF_NONINTERACTIVE_SEEN=true", "DEBCONF_DB_REPLACE=File{filename:" + filepath.Join(dir, "debconf") + "}"}
}

// firstWords are enough of a program's complaint.
func firstWords(out string) string {
	words := strings.Fields(out)
	return strings.Join(words[:min(len(words), 30)], " ")
}

// copyFiles copies the regular files of a directory.
func copyFiles(from, to string) error {
	if err := os.MkdirAll(to, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(from, e.Name()))
		if err != nil {
			continue // a directory, or a link that leads nowhere
		}
		if err := os.WriteFile(filepath.Join(to, e.Name()), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}
