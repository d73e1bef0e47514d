package host

import (
	"strings"
	"testing"

	"github.com/totpd/totpd/packaging/world"
)

// TestRootWithoutDaemon is about people whose phones are gone while the daemon is down, doesn't start, or
// hangs: nobody gets in meanwhile, root takes their second factor away without the daemon, and once it is
// back they log in with the password. And root unlocks and resets without it.
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
	// Who has typed wrong codes, and who has a new phone.
	l := ann.ssh()
	l.answer(password, ann.Password)
	for range 3 {
		l.answer(code, ann.wrongCode())
	}
	l.ends(255)
	eve := s.enrolled("eve")
	said := s.script(`systemctl stop totpd.socket totpd.service
		totpctl --offline unlock ann; totpctl --offline reset eve --yes; systemctl start totpd.socket`)
	for _, want := range []string{"ann may log in again at once (3 wrong codes forgotten)", "the next login as eve enrols"} {
		if !strings.Contains(said, want) {
			t.Errorf("no %q: %s", want, said)
		}
	}
	l = ann.ssh()
	l.answer(password, ann.Password)
	l.answer(code, ann.code())
	ann.welcomed(l)
	l = eve.ssh()
	l.answer(password, eve.Password)
	eve.enrols(l)
	eve.welcomed(l)
}

// TestOtherDatabase: an upgrade takes over the accounts of a version that stored them in another way, and leaves
// a copy. A daemon refuses a database that a later version wrote, and says so; nobody gets in unchecked.
func TestOtherDatabase(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	ann := s.person("ann")
	s.person("eve")
	var err error
	ann.phone, err = world.NewPhone("otpauth://totp/ann?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP")
	s.must(err)
	s.must(s.Copy("testdata/schema1.sql", "/root"))
	s.script(`systemctl stop totpd.socket totpd.service
		cd /var/lib/totpd; rm totpd.*
		grep -o '[0-9a-f]\{64\}' /root/schema1.sql >totpd.key
		sqlite3 totpd.db </root/schema1.sql
		chmod 600 totpd.*; chown totpd: totpd.*
		systemctl start totpd.socket`)
	login := func(c string) *screen {
		t.Helper()
		l := ann.ssh()
		l.answer(password, ann.Password)
		l.answer(code, c)
		return l
	}
	used := ann.code()
	ann.welcomed(login(used))
	login(used).see(`used already`)
	// By hand, as the manual has the way back, and once more without the daemon.
	const unlocked = "eve may log in again at once (3 wrong codes forgotten)"
	said := s.run("totpctl", "unlock", "eve")
	s.run("totpctl", "reset", "ann", "--yes")
	said += s.script(`systemctl stop totpd.socket totpd.service
		cd /var/lib/totpd; rm -f totpd.db-wal totpd.db-shm
		install -o totpd -g totpd -m 0600 totpd.db.before-3 totpd.db; rm totpd.db.before-3
		totpctl --offline unlock eve
		systemctl start totpd.socket`)
	if strings.Count(said, unlocked) != 2 {
		t.Errorf("root is told %q", said)
	}
	ann.welcomed(login(ann.code()))
	if modes := s.script("cd /var/lib/totpd; stat -c '%a %U %n' *.before-*"); modes != "600 totpd totpd.db.before-3\n" {
		t.Errorf("the copy is %s", modes)
	}

	s.script(`systemctl stop totpd.service; sqlite3 /var/lib/totpd/totpd.db 'PRAGMA user_version = 99'`)
	l := ann.ssh()
	l.answer(password, ann.Password)
	l.ends(255)
	l.never(code)
	s.script("journalctl --unit=totpd --grep='a later totpd has written it, in schema 99'")
}
