package host

import (
	"regexp"
	"strings"
	"testing"
)

// mayChange matches what the installation may add to /etc, or change there: the files of the package, its
// user, and which of its units are on.
var mayChange = regexp.MustCompile(`^/etc/(totpd(/.*)?|pam\.d/totpd|(passwd|group|shadow|gshadow)-?|\.pwd\.lock|` +
	`apparmor\.d(/.*)?|systemd/system/[a-z-]+\.target\.wants(/totpd[a-z-]*\.(service|socket))?)$`)

// TestInstall installs the package. The daemon runs, and no login changes: neither a file that one
// depends on, nor what sshd does, nor what anybody is asked. That holds for who enrols, too.
func TestInstall(t *testing.T) {
	t.Parallel()
	s := boot(t)
	ann, eve := s.person("ann"), s.person("eve")
	files, sshd := s.etc(), s.run("sshd", "-T")
	s.install()
	for path, now := range s.etc() {
		if files[path] != now && !mayChange.MatchString(path) {
			t.Errorf("the installation changed %s: %q to %q", path, files[path], now)
		}
		delete(files, path)
	}
	for path := range files {
		t.Errorf("the installation removed %s", path)
	}
	if now := s.run("sshd", "-T"); now != sshd {
		t.Errorf("sshd has other settings: %s", now)
	}
	s.runs()

	eve.enrol()
	for _, p := range []*person{ann, eve} {
		p.welcomed(p.ssh("-i", p.key()))
		l := p.ssh()
		l.answer(sshPassword, p.Password)
		p.welcomed(l)
		l = p.login()
		l.answer(password, p.Password)
		l.answer(p.prompt(), "su "+p.Name+" -c 'echo as $(id -un)'")
		l.answer(password, p.Password)
		l.see(`^as ` + p.Name + `$`)
	}
}

// etc returns what is in /etc: for each path its mode, its owner, and its content or where it points to.
func (s *site) etc() map[string]string {
	s.t.Helper()
	all := map[string]string{}
	out := s.script(`find /etc -printf '%p|%M %u %g %l|' \( -type f -exec sha256sum {} \; -o -printf '\n' \)`)
	for line := range strings.Lines(out) {
		path, what, _ := strings.Cut(line, "|")
		all[path] = strings.TrimSpace(what)
	}
	return all
}
