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

// mute are services whose clients can show no second prompt.
var mute = strings.Fields(`apache2 cups cyrus dovecot exim exim4 ftp freeradius httpd imap imap4 kasan ldap mailman mysql
	netatalk nginx openvpn pam-openvpn pop pop3 postgresql ppp proftpd pure-ftpd radiusd samba saslauthd sieve smtp
	smtpd squid vsftpd webmin xrdp-sesman`)

// listCommon judges every service that shares the common stack, and names those that now ask too.
func (p *Plan) listCommon(h *Host) {
	tree := p.Tree(h)
	names, err := tree.Services()
	if err != nil {
		p.refuse(&Refusal{pamDir, err.Error(), "nothing was changed"})
		return
	}
	var also, silent []string
	if entries, err := tree.Stack(stack.Other, stack.Auth); err == nil && slices.ContainsFunc(entries, stack.Entry.AsksCode) {
		also = append(also, "every service without a file of its own")
	}
	for _, name := range names {
		if never[name] != "" && name != "totpd" || strings.HasPrefix(name, "common-") || strings.HasPrefix(name, "totpd-") ||
			slices.ContainsFunc(p.Services, func(s Service) bool { return s.Name == name }) {
			continue
		}
		entries, err := tree.Stack(name, stack.Auth)
		if err != nil || len(entries) == 0 || entries[0].Service == stack.Other || !slices.ContainsFunc(entries, stack.Entry.AsksCode) {
			continue
		}
		if name == "totpd" {
			p.refuse(&Refusal{pamDir + "/totpd", "it includes the common stack: " + never["totpd"], "give it lines of its own, as the package has them"})
			continue
		}
		p.judgeShared(name, entries)
		if slices.Contains(mute, name) {
			silent = append(silent, name)
		}
		also = append(also, name)
	}
	if len(also) > 0 {
		p.note("these ask for a code too, by the common stack: %s", strings.Join(also, ", "))
	}
	if len(silent) > 0 {
		p.note("whoever has enrolled can't use these any longer, for they can show no second prompt: %s", strings.Join(silent, ", "))
	}
}

// judgeShared refuses where the shared line does harm in one service.
func (p *Plan) judgeShared(name string, entries []stack.Entry) {
	for _, f := range stack.Judge(entries) {
		if note, bad := weigh(entries, f); bad != "" {
			p.refuse(&Refusal{whereOf(pamDir+"/"+name, entries, f), name + ": " + bad, "name the services instead: --service sshd,login,su,sudo"})
		} else {
			p.same(name, note)
		}
	}
	onePrompt := slices.ContainsFunc(entries, func(e stack.Entry) bool { return !e.Sub && e.Role() == stack.Combined })
	p.Services = append(p.Services, Service{Name: name, OnePrompt: onePrompt})
}
