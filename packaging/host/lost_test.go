package host

import (
	"strings"
	"testing"
)

// TestLostStore loses a part of the store, then all of it. Neither lets anybody in who was asked for a code before,
// and no package makes another store, until root accepts the loss.
func TestLostStore(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	ann := s.enrolled("ann")
	eve := s.person("eve")
	turnedAway := func(p *person) {
		t.Helper()
		l := p.ssh()
		l.answer(password, p.Password)
		l.ends(255)
		l.never(code)
		l.never("welcome")
	}
	l := ann.ssh()
	l.answer(password, ann.Password)
	l.answer(code, ann.code())
	ann.welcomed(l)

	// The log is gone after a kill: the login just now is not in the database, and its code would be good again.
	s.script(`systemctl kill --signal=KILL totpd.service; systemctl stop totpd.socket totpd.service
		rm /var/lib/totpd/totpd.db-wal /var/lib/totpd/totpd.db-shm; systemctl start totpd.socket totpd-password.socket`)
	turnedAway(ann)
	turnedAway(eve)
	s.script("journalctl --unit=totpd --grep='changes of accounts are lost.*totpctl accept-loss'")
	finds := func(id string) {
		t.Helper()
		if said := s.fails("totpctl", "doctor", "--quiet"); !strings.Contains(said, "totpctl accept-loss") {
			t.Errorf("doctor doesn't say how to mend %s: %s", id, said)
		}
	}
	finds("a lost log")
	if said := s.run("totpctl", "accept-loss", "--yes", "--json"); said != `{"new":false,"accounts":1}`+"\n" {
		t.Errorf("accept-loss says %s", said)
	}
	s.run("systemctl", "restart", "totpd.service") // it would do so by itself, within seconds
	l = eve.ssh()
	l.answer(password, eve.Password)
	eve.welcomed(l)
	l = ann.ssh()
	l.answer(password, ann.Password)
	l.see(code)

	// All is gone, the key too, as where its file system isn't mounted: also for a package that is removed and
	// installed again.
	s.script("systemctl stop totpd.socket totpd.service; mv /var/lib/totpd /root/store; systemctl start totpd.socket totpd.service || true")
	turnedAway(ann)
	turnedAway(eve)
	s.script("systemctl stop totpd.socket totpd.service; dpkg --remove totpd; rm -rf /var/lib/totpd")
	s.install()
	s.fails("test", "-e", "/var/lib/totpd/totpd.db")
	if said := s.fails("/usr/libexec/totpd/totpd", "-init"); !strings.Contains(said, "there has been one, since there is /etc/totpd/store-made") {
		t.Errorf("-init says %s", said)
	}
	finds("a lost database")

	// It is mounted.
	s.script("systemctl stop totpd.socket totpd.service; rmdir /var/lib/totpd 2>/dev/null || rm -r /var/lib/totpd; mv /root/store /var/lib/totpd; systemctl start totpd.socket totpd.service")
	s.turnOn()
	l = ann.ssh()
	l.answer(password, ann.Password)
	l.see(code)
	s.script("systemctl stop totpd.socket totpd.service; rm /var/lib/totpd/totpd.db*; systemctl start totpd.socket totpd-password.socket")
	if said := s.run("totpctl", "accept-loss", "--yes", "--json"); said != `{"new":true,"accounts":0}`+"\n" {
		t.Errorf("accept-loss says %s", said)
	}
	s.run("systemctl", "restart", "totpd.service")
	l = ann.ssh()
	l.answer(password, ann.Password)
	ann.welcomed(l)
}
