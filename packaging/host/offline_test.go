package host

import (
	"testing"
)

// TestRootWithoutDaemon is about three people whose phones are gone while the daemon is down, doesn't
// start, or hangs: nobody gets in meanwhile, root takes their second factor away without the daemon, and
// once it is back they log in with the password.
func TestRootWithoutDaemon(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	ann := s.enrolled("ann") // keeps her phone
	for _, c := range []struct{ name, gone, help, back string }{
		{"down", "systemctl stop totpd.socket totpd.service",
			"totpctl --offline disable down --yes", "systemctl start totpd.socket"},
		{"sql", "systemctl stop totpd.socket totpd.service",
			`sqlite3 /var/lib/totpd/totpd.db "DELETE FROM account WHERE user='sql'"`, "systemctl start totpd.socket"},
		{"broken", "mv /var/lib/totpd/totpd.key /root; systemctl restart totpd.service || true",
			"totpctl --offline disable broken --yes", "mv /root/totpd.key /var/lib/totpd; systemctl restart totpd.service"},
		{"hangs", "systemctl kill --signal=STOP totpd.service",
			"totpctl --offline disable hangs --yes", "systemctl kill --signal=CONT totpd.service"},
	} {
		t.Log(c.name)
		lost := s.enrolled(c.name)
		s.script(c.gone)
		l := lost.ssh()
		l.answer(password, lost.Password)
		l.ends(255)
		l.never(code)
		s.script(c.help)
		s.script(c.back)
		l = lost.ssh()
		l.answer(password, lost.Password)
		lost.welcomed(l)
	}
	l := ann.ssh()
	l.answer(password, ann.Password)
	l.answer(code, ann.code())
	ann.welcomed(l)
}

// TestNewerDatabase: a daemon refuses a database that a later version wrote, and says so; nobody gets in
// unchecked.
func TestNewerDatabase(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	ann := s.enrolled("ann")
	s.script(`systemctl stop totpd.service; sqlite3 /var/lib/totpd/totpd.db 'PRAGMA user_version = 99'`)
	l := ann.ssh()
	l.answer(password, ann.Password)
	l.ends(255)
	l.never(code)
	s.script("journalctl --unit=totpd --grep='a later totpd has written it, in schema 99'")
}
