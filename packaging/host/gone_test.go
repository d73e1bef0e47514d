package host

import (
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestDaemonGone takes the daemon of a whole host away: it is stopped, it can't be started, its settings are broken.
// systemd holds the socket all the time. Whoever logs in reads what is the matter within 3 s, with a reference by which
// root finds the cause; over ssh once PAM has ended the failed login, which Debian's pam_unix delays by 1 to 3 s.
// What the daemon finds afterwards were no logins.
func TestDaemonGone(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	ann, visitor := s.enrolled("ann"), s.person("visitor")
	shell := visitor.login() // while it can
	shell.answer(password, visitor.Password)
	shell.see(visitor.prompt())
	su := func() *screen {
		shell.answer(visitor.prompt(), "su - ann")
		return shell
	}
	for _, c := range []struct {
		name, take, back string
		byDaemon         bool // it says so itself
	}{
		{"stopped", "systemctl kill --signal=STOP totpd.service", "systemctl kill --signal=CONT totpd.service", false},
		{"not executable", "chmod a-x /usr/libexec/totpd/totpd; systemctl kill --signal=KILL totpd.service", "chmod a+x /usr/libexec/totpd/totpd", false},
		{"broken settings", "echo broken >>/etc/totpd/totpd.toml; systemctl restart totpd.service || :", "sed -i '/^broken$/d' /etc/totpd/totpd.toml", true},
	} {
		s.script(c.take)
		for _, way := range []struct {
			name   string
			open   func() *screen
			within time.Duration
		}{
			{"su", su, 3 * time.Second},
			{"ssh", func() *screen { return ann.ssh() }, 6 * time.Second},
		} {
			l := way.open()
			l.answer(password, ann.Password)
			began := time.Now()
			reference := regexp.MustCompile(`(?s)codes can't be checked right now: .*reference\s+([0-9A-Z]{4}-[0-9A-Z]{4})`)
			said := reference.FindStringSubmatch(l.see(reference.String()))[1]
			took := time.Since(began)
			t.Logf("%s, %s: told after %v", c.name, way.name, took.Round(10*time.Millisecond))
			if took > way.within {
				t.Errorf("%s, %s: told after %v, want %v at most", c.name, way.name, took, way.within)
			}
			l.never(code)
			if line := s.script("journalctl --grep " + said); !strings.Contains(line, said) {
				t.Errorf("the reference finds %s", line)
			} else if !c.byDaemon && !strings.Contains(line, "pam_totpd("+map[string]string{"su": "su-l", "ssh": "sshd"}[way.name]+":auth): denied: ") {
				t.Errorf("the reference finds %s", line)
			}
			if !c.byDaemon {
				if out := s.script("totpctl log --reference " + said + " 2>&1 || :"); !strings.Contains(out, "journalctl --grep "+said) {
					t.Errorf("totpctl log --reference says %s", out)
				}
			}
		}
		s.script(c.back)
		s.script("for i in $(seq 100); do totpctl users >/dev/null 2>&1 && exit; sleep 0.1; done; exit 1")
		ann.goes(ways[0])
	}
	log := s.run("totpctl", "log", "ann")
	if n := strings.Count(log, "login broken off: the login program had given up before the answer"); n != 4 {
		t.Errorf("%d logins are told of that nobody waited for, want the 2 of the stopped daemon, and 2 that systemd held:\n%s", n, log)
	}
	for _, wrong := range []string{"without a code", "at the question"} {
		if strings.Contains(log, wrong) {
			t.Errorf("a login that was refused is called one %q:\n%s", wrong, log)
		}
	}
}
