package host

import (
	"strings"
	"testing"
)

// TestUsersChange renames users, makes them anew and exchanges them. Nobody loses the second factor by that, and nobody
// inherits one; doctor names each case with the command that resolves it.
func TestUsersChange(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	shut := func(p *person, reason string) {
		t.Helper()
		for _, answer := range []string{p.Password} {
			l := p.ssh("-o", "NumberOfPasswordPrompts=1")
			l.answer(password, answer)
			l.ends(255)
			l.never("welcome")
		}
		if out := s.run("journalctl", "--output=cat", "TOTPD_USER="+p.Name, "TOTPD_REASON="+reason); !strings.Contains(out, "totpctl adopt "+p.Name) {
			t.Errorf("%s: the journal has %q", p.Name, out)
		}
	}
	in := func(p *person) {
		t.Helper()
		l := p.ssh()
		l.answer(password, p.Password)
		l.answer(code, p.code())
		p.welcomed(l)
	}
	finds := func(id, remedy string) {
		t.Helper()
		for _, f := range s.doctor() {
			if f.ID == id && strings.Contains(f.Remedy, remedy) {
				return
			}
		}
		t.Errorf("doctor finds no %s with %q: %+v", id, remedy, s.doctor())
	}

	// A new name: no way in with the password alone, until the account has followed.
	alice := s.enrolled("alice")
	in(alice)
	s.script("systemctl stop user@$(id -u alice).service; while pgrep -u alice; do sleep 0.1; done >&2") // usermod waits for nobody
	s.run("usermod", "--login", "alicia", "--home", "/home/alicia", "--move-home", "alice")
	alicia := &person{Person: alice.Person, phone: alice.phone, host: s}
	alicia.Name = "alicia"
	shut(alicia, "renamed")
	finds("people-renamed", "totpctl adopt alicia alice")
	if out := s.fails("setpriv", "--reuid=alicia", "--regid=alice", "--init-groups", "totpctl", "status"); !strings.Contains(out, "under your former name") {
		t.Errorf("totpctl says %s", out)
	}
	s.run("totpctl", "adopt", "alicia", "alice", "--yes")
	in(alicia)

	// A new user with an old name, another uid: the old one's phone counts for nothing, nor does its lack.
	bob := s.enrolled("bob")
	s.run("userdel", "--remove", "bob")
	s.run("useradd", "--uid", "4321", "--create-home", "--shell", "/bin/bash", "bob")
	_, err := s.RunInput("bob:"+bob.Password+"\n", "chpasswd")
	s.must(err)
	s.script("touch /home/bob/.hushlogin")
	shut(bob, "other_uid")
	finds("people-uid", "totpctl adopt bob")
	s.run("totpctl", "reset", "bob", "--yes")
	s.run("systemctl", "restart", "totpd") // nothing is forgotten
	bob.enrol()
	in(bob)

	// A deleted user's uid, given to a new one.
	carol := s.enrolled("carol")
	uid := strings.TrimSpace(s.run("id", "-u", "carol"))
	s.run("userdel", "--remove", "carol")
	dora := s.person("dora")
	if strings.TrimSpace(s.run("id", "-u", "dora")) != uid {
		s.run("usermod", "--uid", uid, "dora")
	}
	shut(dora, "renamed")
	s.run("totpctl", "disable", carol.Name, "--yes")
	l := dora.ssh()
	l.answer(password, dora.Password)
	dora.welcomed(l)

	// Two names with one uid are two users, as they were.
	s.run("useradd", "--non-unique", "--uid", "4321", "--home-dir", "/home/bob", "--shell", "/bin/bash", "bobby")
	_, err = s.RunInput("bobby:"+bob.Password+"\n", "chpasswd")
	s.must(err)
	in(bob)
	bobby := &person{Person: bob.Person, host: s}
	bobby.Name = "bobby"
	l = bobby.ssh()
	l.answer(password, bob.Password)
	l.see(`^welcome, bob`)
	l.ends(0)
}
