package host

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// polkitPassword answers pkttyagent, which throws away what was typed before it switched the echo off.
func (s *screen) polkitPassword(message, text string) {
	s.t.Helper()
	s.see(message)
	s.see(password)
	time.Sleep(500 * time.Millisecond)
	s.answer(password, text)
}

// TestHelpdesk: members of a group help users with their own password, by the rule in contrib; others
// don't without an administrator's; nobody does without polkit, but root always.
func TestHelpdesk(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	s.must(s.Copy(filepath.Join(top(t), "contrib/polkit/60-totpd-helpdesk.rules"), "/etc/polkit-1/rules.d"))
	carol, dave, adam := s.person("carol"), s.person("dave"), s.person("adam")
	s.script("groupadd helpdesk; usermod -aG helpdesk carol; usermod -aG sudo adam")
	alice := s.enrolled("alice")
	l := alice.ssh()
	l.answer(password, alice.Password)
	for range 3 {
		l.answer(code, alice.wrongCode())
	}
	reference := regexp.MustCompile(`reference ([0-9A-Z]{4}-[0-9A-Z]{4})`)
	found := reference.FindStringSubmatch(l.see(reference.String()))[1]

	c := carol.login()
	c.answer(password, carol.Password)
	c.answer(carol.prompt(), "totpctl users")
	c.polkitPassword(`AUTHENTICATING FOR org\.totpd\.manage\.users`, carol.Password)
	c.see(`^alice +"token"`)
	c.answer(carol.prompt(), "totpctl unlock alice")
	c.polkitPassword(`unlock alice`, "wrong")
	c.see(`totpctl: unlock alice: only root may do this, and polkit says no`)
	c.answer(carol.prompt(), "clear; totpctl unlock alice")
	c.see(`required to unlock alice`)
	c.see(password)
	c.must(c.Press("C-c"))
	c.see(`totpctl: unlock alice: interrupted: nothing was changed`)
	c.answer(carol.prompt(), "stty -a | grep -qw -- -echo || echo sane")
	c.see(`^sane$`)
	c.answer(carol.prompt(), "totpctl unlock root")
	c.see(`totpctl: unlock root: only root may do this, and polkit says no`)
	c.answer(carol.prompt(), "clear; totpctl log alice --reference "+found)
	c.polkitPassword(`history of logins`, carol.Password)
	c.see(`alice: login refused: wrong code, by sshd`)
	c.answer(carol.prompt(), "clear; totpctl unlock alice")
	c.polkitPassword(`unlock alice`, carol.Password)
	c.see(`alice may log in again at once \(3 wrong codes forgotten\)`)
	s.script("journalctl --unit=totpd --grep='kind=authorize user=alice result=accepted reason=polkit .* action=org.totpd.manage.unlock'")
	c.answer(carol.prompt(), "clear; totpctl log alice")
	c.polkitPassword(`history of logins`, carol.Password)
	c.see(`alice: unlock done, asked by carol`)
	c.answer(carol.prompt(), "clear; totpctl bypass alice --for 1h")
	c.polkitPassword(`alice`, carol.Password)
	l = alice.ssh()
	l.answer(password, alice.Password)
	l.answer(code, regexp.MustCompile(`(?m)^[0-9A-Z]{5}-[0-9A-Z]{5}$`).FindString(c.see(`^This lets alice in once`)))
	alice.welcomed(l)
	// Not what would let them in with the password alone, without an administrator's password.
	c.answer(carol.prompt(), "clear; totpctl reset alice --yes")
	c.see(`Authenticating as: adam`)
	c.polkitPassword(`reset the second factor of alice`, carol.Password)
	c.see(`totpctl: reset alice: only root may do this, and polkit says no`)
	s.script("totpctl status alice | grep '^second factor: *on$'")

	d := dave.login()
	d.answer(password, dave.Password)
	d.answer(dave.prompt(), "totpctl users")
	d.see(`Authenticating as: adam`)
	d.polkitPassword(`AUTHENTICATING FOR org\.totpd\.manage\.users`, dave.Password)
	d.see(`totpctl: users: only root may do this, and polkit says no`)
	d.answer(dave.prompt(), "clear; totpctl users")
	d.polkitPassword(`AUTHENTICATING FOR org\.totpd\.manage\.users`, adam.Password)
	d.see(`^USER +DEVICES`)

	as := []string{"setpriv", "--reuid=carol", "--regid=carol", "--init-groups", "--"}
	if out := s.fails(append(as, "totpctl", "users")...); !strings.Contains(out, "a password is needed, and nobody could be asked for it") {
		t.Errorf("without a terminal: %s", out)
	}
	s.script("systemctl mask --now polkit.service")
	if out := s.fails(append(as, "totpctl", "users")...); !strings.Contains(out, "totpctl: users: only root may do this\n") {
		t.Errorf("without polkit: %s", out)
	}
	s.run("totpctl", "users")
}

// TestEvents: a user and root follow, on the system bus, what happens to a second factor; another user
// hears nothing of it.
func TestEvents(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	alice, bob := s.enrolled("alice"), s.person("bob")
	follow := func(p *person, options ...string) *screen {
		return p.terminal(append([]string{"totpctl", "events"}, options...)...)
	}
	hers, his := follow(alice), follow(bob)
	all := s.open(s.Terminal("totpctl", "events", "--json")...)
	for who, ear := range map[string]*screen{"events of alice": hers, "events of bob": his, "everybody's events": all} {
		ear.see("Waiting for " + who)
	}
	l := alice.login()
	l.answer(password, alice.Password)
	for range 3 {
		l.answer(code, alice.wrongCode())
	}
	reference := regexp.MustCompile(`reference ([0-9A-Z]{4}-[0-9A-Z]{4})`)
	found := reference.FindStringSubmatch(l.see(reference.String()))[1]
	hers.see(`alice: login refused: wrong code, by login \(reference ` + found + `\)`)
	all.see(`"event":"refused","user":"alice","service":"login"`)
	// Across a restart of the daemon.
	s.run("systemctl", "restart", "totpd.service")
	s.script("totpctl disable alice --yes")
	hers.see(`alice: second factor taken away`)
	all.see(`"event":"disabled","user":"alice"`)
	alice.enrol()
	hers.see(`alice: second factor set up: token`)
	his.never(`alice`)
	his.see(`Waiting for events of bob`)
}
