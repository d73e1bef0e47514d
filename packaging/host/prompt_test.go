package host

import (
	"encoding/json"
	"testing"
)

// failures are the wrong codes that count against the person.
func (p *person) failures() int {
	p.host.t.Helper()
	var status struct{ Failures int }
	p.host.must(json.Unmarshal([]byte(p.host.run("totpctl", "status", p.Name, "--json")), &status))
	return status.Failures
}

// TestOnePrompt: at the one prompt of sshd's own password method, password and code are typed together. Nobody
// uses up somebody's tries without the password, and what setup did it takes back.
func TestOnePrompt(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	olga, otto, omar := s.enrolled("olga"), s.enrolled("otto"), s.person("omar")
	key, before := otto.key(), s.etc()
	s.run("totpctl", "setup", "--service=sshd", "--ssh=any+code", "--one-prompt", "--yes")
	open := func(p *person) *screen {
		t.Helper()
		// sshd may be about to listen anew.
		return p.ssh("-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=2", "-o", "ConnectionAttempts=3")
	}
	// Strangers, all at once.
	var strangers []*screen
	for range 6 {
		strangers = append(strangers, open(olga))
	}
	for range 2 {
		for _, l := range strangers {
			l.answer(sshPassword, "not the password"+olga.wrongCode())
		}
	}
	for _, l := range strangers {
		l.ends(255)
	}
	if n := olga.failures(); n != 0 {
		t.Errorf("%d failures after wrong passwords", n)
	}
	l := open(olga)
	l.answer(sshPassword, olga.Password+olga.wrongCode())
	l.see(sshPassword)
	if n := olga.failures(); n != 1 {
		t.Errorf("%d failures after a wrong code", n)
	}
	l.answer(sshPassword, olga.Password+olga.code())
	olga.welcomed(l)

	l = open(omar) // who has not enrolled
	l.answer(sshPassword, omar.Password)
	omar.welcomed(l)
	l = otto.ssh("-i", key)
	l.answer(code, otto.code())
	otto.welcomed(l)
	l = otto.ssh()
	l.answer(`Password and one-time code: ?$`, otto.Password+otto.code())
	otto.welcomed(l)
	if found := s.doctor(); len(found) != 0 {
		t.Errorf("a healthy host: %+v", found)
	}

	s.run("totpctl", "setup", "--undo", "--yes")
	s.unchanged(before)
	l = open(olga)
	l.answer(sshPassword, olga.Password)
	olga.welcomed(l)
}
