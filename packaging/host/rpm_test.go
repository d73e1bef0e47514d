package host

import (
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
)

// TestRPM installs the rpm with rpm's own tools: its scripts run under a real systemd, a login asks for a
// code, and a removal stops at a line that still names the module. The host is Debian all the same, so
// what the package depends on isn't asked for, and libpam gets the module's whole path.
func TestRPM(t *testing.T) {
	t.Parallel()
	s := boot(t)
	ann := s.person("ann")
	files := s.files()
	file := built(t, "totpd-*."+map[string]string{"amd64": "x86_64", "arm64": "aarch64"}[runtime.GOARCH]+".rpm")
	s.must(s.Copy(file, "/root"))
	before := s.etc()
	const rpm = "rpm --force-debian --nodeps "
	s.script(rpm + "--install /root/" + filepath.Base(file))
	for path, now := range s.etc() {
		if before[path] != now && !mayChange.MatchString(path) {
			t.Errorf("the installation changed %s: %q to %q", path, before[path], now)
		}
	}
	if wrong := s.script("rpm --verify --nodeps totpd || :"); wrong != "" {
		t.Errorf("the files are not as the package has them:\n%s", wrong)
	}
	list := s.script("rpm --query --list totpd | xargs stat -c '%A %U:%G %n'")
	for line := range strings.Lines(list) {
		if !regexp.MustCompile(`^(drwxr-xr-x|-rw-r--r--|-rwxr-xr-x) root:root /`).MatchString(line) {
			t.Errorf("mode or owner: %s", line)
		}
	}
	s.runs()
	ann.enrol()
	const line = "auth required /usr/lib64/security/pam_totpd.so"
	s.script("sed -i '/^@include common-auth/a " + line + "' /etc/pam.d/login")
	asked := func() {
		t.Helper()
		l := ann.login()
		l.answer(password, ann.Password)
		l.answer(code, ann.code())
		l.see(ann.prompt())
	}
	asked()
	if said := s.fails("sh", "-c", rpm+"--erase totpd"); !strings.Contains(said, "/etc/pam.d/login:") || !strings.Contains(said, line) {
		t.Errorf("rpm doesn't say which line stops it: %s", said)
	}
	asked()
	s.script("sed -i '/pam_totpd/d' /etc/pam.d/login; " + rpm + "--erase totpd")
	s.fails("systemctl", "is-active", "totpd.service", "totpd.socket", "totpd-password.socket")
	// Accounts stay; some folders are other packages', but not on Debian.
	stays := regexp.MustCompile(`^/var/lib/(totpd|rpm)(/|$)|^/usr/lib64/security$|^/usr/share/licenses$|^/usr/share/(fish|zsh|man)(/[a-z0-9_-]*(\.d)?)?$`)
	for path := range s.files() {
		if !files[path] && !stays.MatchString(path) {
			t.Errorf("an erased package leaves %s", path)
		}
	}
	l := ann.login()
	l.answer(password, ann.Password)
	l.see(ann.prompt())
}
