package host

import "testing"

// turnOn turns the second factor on for ssh, the console, su and sudo, as an administrator does.
func (s *site) turnOn() {
	s.t.Helper()
	s.run("totpctl", "setup", "--service", "sshd,login,su,sudo", "--ssh", "any+code", "--yes")
}

// sameEtc compares /etc with what it was.
func (s *site) sameEtc(before map[string]string, after string) {
	s.t.Helper()
	now := s.etc()
	for path := range before {
		if now[path] != before[path] {
			s.t.Errorf("%s, %s is %q, was %q", after, path, now[path], before[path])
		}
	}
	for path := range now {
		if _, known := before[path]; !known {
			s.t.Errorf("%s, there is %s", after, path)
		}
	}
}

// TestSetup turns the second factor on and off again, service by service and all at once.
func TestSetup(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	ann, bea := s.person("ann"), s.person("bea")
	annKey, beaKey := ann.key(), bea.key()
	before := s.etc()
	s.run("totpctl", "setup", "--service", "all", "--ssh", "any+code", "--dry-run")
	s.sameEtc(before, "after a look")

	s.turnOn()
	ann.enrol()
	bea.enrol()
	ann.tries(annKey, true, true)
	s.run("totpctl", "setup", "--ssh", "key+code", "--yes")
	bea.tries(beaKey, false, true)
	s.run("totpctl", "setup", "--undo", "--yes")
	s.sameEtc(before, "taken back")
	ann.welcomed(ann.ssh("-i", annKey))

	// By pam-auth-update, and taken back by the removal of the package.
	s.run("totpctl", "setup", "--service", "all", "--ssh", "key-or-password+code", "--yes")
	cat := s.enrolled("cat")
	l := cat.login()
	l.answer(password, cat.Password)
	l.answer(code, cat.code())
	l.see(cat.prompt())
	l.leave()
	ann.welcomed(ann.ssh("-i", annKey, "-o", "BatchMode=yes"))
	s.run("dpkg", "--remove", "totpd")
	l = cat.login()
	l.answer(password, cat.Password)
	l.see(cat.prompt())
	s.run("sh", "-c", "! grep -r '^[^#]*pam_totpd' /etc/pam.d && ! ls /etc/ssh/sshd_config.d/*totpd*")
	p := cat.ssh()
	p.answer(sshPassword, cat.Password)
	cat.welcomed(p)
}

// tries goes in by ssh with the password and with the key, each time with a code, or is kept out.
func (p *person) tries(key string, byPassword, byKey bool) {
	p.host.t.Helper()
	s := p.ssh()
	if byPassword {
		s.answer(password, p.Password)
		s.answer(code, p.code())
		p.welcomed(s)
	} else {
		s.ends(255)
		s.never(password)
	}
	s = p.ssh("-i", key)
	if byKey {
		s.answer(code, p.code())
		p.welcomed(s)
	} else {
		s.ends(255)
	}
}
