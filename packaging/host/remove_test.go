package host

import (
	"regexp"
	"strings"
	"testing"
)

// TestRemove removes the package from a host where it is set up for ssh, and where a line that somebody
// wrote by hand names the module too. At that line the removal stops, says where it is, and changes nothing:
// every login goes on and asks for its code. Once the line is gone, so is the package, and people log in as
// before it came. Purging leaves nothing.
func TestRemove(t *testing.T) {
	t.Parallel()
	s := boot(t)
	ann := s.person("ann")
	before, files := s.etc(), s.files()
	s.install()
	ann.enrol()
	s.run("totpctl", "setup", "--service=sshd", "--ssh=any+code", "--yes")
	const line = "auth required pam_totpd.so"
	s.script("sed -i '/^@include common-auth/a " + line + "' /etc/pam.d/login")

	for _, verb := range []string{"--remove", "--purge"} {
		said := s.fails("dpkg", verb, "totpd")
		if !strings.Contains(said, "totpctl: setup: nothing was changed") {
			t.Errorf("dpkg %s doesn't say that it changed nothing: %s", verb, said)
		}
		if !regexp.MustCompile(`/etc/pam\.d/login:\d+: .*` + line).MatchString(said) {
			t.Errorf("dpkg %s doesn't say which line stops it: %s", verb, said)
		}
		s.run("systemctl", "is-active", "totpd.service", "totpd.socket", "totpd-password.socket")
		l := ann.login()
		l.answer(password, ann.Password)
		l.answer(code, ann.code())
		l.see(ann.prompt())
		l = ann.ssh()
		l.answer(password, ann.Password)
		l.answer(code, ann.code())
		ann.welcomed(l)
	}

	s.script("sed -i '/pam_totpd/d' /etc/pam.d/login")

	// sshd's settings of ours, edited, would go on to ask for two things where no code is asked for any more.
	const ours = "/etc/ssh/sshd_config.d/00-totpd.conf"
	s.script("cp " + ours + " /run/kept; sed -i 's/^AuthenticationMethods.*/AuthenticationMethods publickey,keyboard-interactive/' " + ours)
	if said := s.fails("dpkg", "--remove", "totpd"); !strings.Contains(said, "totpd: not removed: do what is said above") {
		t.Errorf("dpkg --remove says: %s", said)
	}
	s.script("cp /run/kept " + ours + "; rm /run/kept")
	s.run("dpkg", "--remove", "totpd")
	s.fails("systemctl", "is-active", "totpd.service", "totpd.socket", "totpd-password.socket")
	s.run("test", "-s", "/var/lib/totpd/totpd.db") // the accounts: a removal may be a mistake
	l := ann.login()
	l.answer(password, ann.Password)
	l.see(ann.prompt())
	l = ann.ssh()
	l.answer(sshPassword, ann.Password)
	ann.welcomed(l)

	s.run("dpkg", "--purge", "totpd")
	for path, now := range s.etc() {
		// The user of the daemon stays, as users of packages do.
		if before[path] != now && !regexp.MustCompile(`^/etc/(passwd|group|shadow|gshadow)-?$`).MatchString(path) {
			t.Errorf("a purge leaves %s: %q, was %q", path, now, before[path])
		}
	}
	for path := range s.files() {
		if !files[path] {
			t.Errorf("a purge leaves %s", path)
		}
	}
	s.script("! systemctl list-units --all --plain --no-legend 'totpd*' | grep .")
}

// files returns all files that a package may bring or make; those in /etc are etc's. timedate1, which the daemon
// asks, goes on for half a minute.
func (s *site) files() map[string]bool {
	s.t.Helper()
	all := map[string]bool{}
	out := s.script(`find /usr /opt /srv /run /var -xdev \
		\( -path /run/systemd -o -path /run/user -o -path /run/credentials -o -path /var/log -o -path /var/cache \
		-o -path /run/agetty.reload -o -path /run/motd.dynamic -o -path /var/lib/dpkg -o -path /var/lib/systemd \
		-o -path '/var/tmp/systemd-private-*-systemd-timedated.service-*' \) -prune -o -print`)
	for path := range strings.Lines(out) {
		all[strings.TrimSpace(path)] = true
	}
	return all
}

// TestUpgrade goes from an older version to the one that was built, and back. Accounts, settings and the
// daemon's state are kept, and codes that were used stay used.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.installVersion("0.0.0~0")
	s.turnOn()
	ann := s.enrolled("ann")
	s.script("sed -i '1i # by hand' /etc/totpd/totpd.toml /etc/pam.d/totpd; rm /etc/totpd/store-made") // as earlier versions
	for _, step := range []struct {
		name    string
		install func()
	}{
		{"older", func() {}},
		{"upgrade", func() { s.install(); s.run("test", "-e", "/etc/totpd/store-made") }},
		{"downgrade", func() { s.installVersion("0.0.0~0") }},
	} {
		step.install()
		s.script("grep -c '# by hand' /etc/totpd/totpd.toml /etc/pam.d/totpd; systemctl is-active totpd.service totpd.socket")
		c := ann.code()
		l := ann.ssh()
		l.answer(password, ann.Password)
		l.answer(code, c)
		ann.welcomed(l)
		l = ann.ssh()
		l.answer(password, ann.Password)
		l.answer(code, c)
		l.see(`used already`)
	}
}
