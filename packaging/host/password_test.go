package host

import (
	"strings"
	"testing"
)

// TestPasswordSocket: the socket of totpd-password is root's and the daemon's alone. Both ask there, and with one
// prompt nobody gets in without it who is asked for a code.
func TestPasswordSocket(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	if out := s.run("stat", "-c", "%U:%G %a", "/run/totpd/password.sock"); strings.TrimSpace(out) != "root:totpd 660" {
		t.Errorf("the socket is %s", out)
	}
	p := s.enrolled("ann")
	s.person("bob")
	out, err := s.RunInput("not-it\n", "setpriv", "--reuid=bob", "--regid=bob", "--init-groups", "totpctl", "enrol", "--json")
	if err == nil || !strings.Contains(out, "wrong password") {
		t.Errorf("%v: %s", err, out)
	}
	s.run("totpctl", "setup", "--service=sshd,sudo", "--ssh=password+code", "--one-prompt", "--yes")
	open := func() *screen {
		t.Helper()
		return p.ssh("-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no", "-o", "ConnectionAttempts=3")
	}
	l := open()
	l.answer(sshPassword, p.Password+p.code())
	p.welcomed(l)
	if found := s.doctor(); len(found) != 0 {
		t.Errorf("doctor says: %+v", found)
	}
	s.run("systemctl", "stop", "totpd-password.socket")
	l = open()
	l.answer(sshPassword, p.Password+p.code())
	l.ends(255)
	if len(s.doctor()) == 0 {
		t.Error("doctor finds nothing")
	}
	s.run("systemctl", "start", "totpd-password.socket")
	l = open()
	l.answer(sshPassword, p.Password+p.code())
	p.welcomed(l)
}
