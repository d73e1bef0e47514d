package host

import (
	"path/filepath"
	"regexp"
	"testing"

	"github.com/totpd/totpd/packaging/world"
)

// The prompts of an enrolment in a login, and the question after a right code.
const (
	choice     = `your choice: ?$`
	firstCode  = `code shown by the app: ?$`
	noted      = `press Enter once you have written them down: ?$`
	rememberIt = `remember this computer for 30 days\? y/N: ?$`
)

// rules appends to the settings, which the daemon then goes by.
func (s *site) rules(text string) {
	s.t.Helper()
	_, err := s.RunInput(text, "sh", "-ec", "cat >>/etc/totpd/totpd.toml; /usr/libexec/totpd/totpd -check >/dev/null; systemctl reload totpd.service")
	s.must(err)
}

// enrols is an enrolment inside a login, behind the password: the QR code is scanned from the screen, and the
// recovery codes are noted.
func (p *person) enrols(l *screen) (recoveryCodes []string) {
	l.t.Helper()
	offered := regexp.MustCompile(`(\d\d) shows a QR code, if the background of this window is dark`)
	l.answer(choice, offered.FindStringSubmatch(l.see(offered.String()))[1])
	l.see(firstCode)
	uri, err := l.ReadQR(world.Dark, filepath.Join(l.t.TempDir(), "photo.png"))
	l.must(err)
	p.phone, err = world.NewPhone(uri)
	l.must(err)
	l.answer(firstCode, p.code())
	recoveryCodes = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b`).FindAllString(l.see(noted), -1)
	if len(recoveryCodes) != 10 {
		l.t.Fatalf("%d recovery codes", len(recoveryCodes))
	}
	l.answer(noted, "")
	return recoveryCodes
}

// TestMustEnrol is about a rule that asks everybody for a code, but for service accounts. Whoever has no device
// gets one inside the first login, with ssh and on the console, and goes on with a code, or with a recovery
// code when the phone is lost.
func TestMustEnrol(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	s.rules(`
[[rule]]
groups = ["service-accounts"]
require = "exempt"

[[rule]]
require = "required"
`)
	s.script("echo 'LoginGraceTime 600' >/etc/ssh/sshd_config.d/01-time.conf; systemctl reload ssh")
	ella, emil, robot := s.person("ella"), s.person("emil"), s.person("robot")
	s.script("groupadd service-accounts; usermod -aG service-accounts robot")

	robot.welcomed(robot.ssh("-i", robot.key()))
	l := ella.ssh()
	l.answer(password, ella.Password)
	codes := ella.enrols(l)
	ella.welcomed(l)
	s.script("totpctl log ella | grep 'enrolment done, phone, by sshd, from " + s.ClientAddr + " (reference'")
	l = ella.ssh()
	l.answer(password, ella.Password)
	l.answer(code, ella.code())
	ella.welcomed(l)
	l = ella.ssh()
	l.answer(password, ella.Password)
	l.answer(code, codes[7])
	l.see(`9 recovery codes are left`)
	ella.welcomed(l)

	l = emil.console()
	l.answer(password, emil.Password)
	emil.enrols(l)
	l.see(emil.prompt())
	l.leave()
	emil.goes(ways[0])

	if found := s.doctor(); len(found) != 0 {
		t.Errorf("a healthy host: %+v", found)
	}
	s.quiet()
}

// TestRememberedComputer: where a rule allows it, one is asked for a code once, from one computer and in one
// terminal session.
func TestRememberedComputer(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	s.rules("\n[[rule]]\nrequire = \"required\"\nremember = 30\ngrace = 5\n")
	rene := s.enrolled("rene")
	s.script("adduser --quiet rene sudo; echo 'Defaults timestamp_timeout=0' >/etc/sudoers.d/always")
	key := rene.key()
	l := rene.ssh("-i", key)
	l.answer(code, rene.code())
	l.answer(rememberIt, "y")
	rene.welcomed(l)
	rene.welcomed(rene.ssh("-i", key))
	l = rene.ssh() // without the key
	l.answer(password, rene.Password)
	l.see(code)
	l.must(l.Press("C-c"))

	// In one terminal session sudo asks once, and in another one at once.
	const prompt = `^\$ ?$`
	one := s.open(append(s.SSH("rene", "-i", key, "-t"), "env PS1='$ ' bash --norc")...)
	for _, l := range []*screen{one, rene.terminal("env", "PS1=$ ", "bash", "--norc")} {
		for _, asked := range []bool{true, false} {
			l.answer(prompt, "sudo id -un")
			l.answer(`\[sudo\] password for rene: ?$`, rene.Password)
			if asked {
				l.answer(code, rene.code())
			}
			l.see(`^root$`)
		}
	}

	one.answer(prompt, "totpctl remembered")
	from := regexp.QuoteMeta(s.ClientAddr)
	one.see(`^[0-9a-f]{8} +` + from + ` +ssh key SHA256:`)
	one.answer(prompt, "totpctl forget")
	one.see(`^Forgotten: ` + from)
	l = rene.ssh("-i", key)
	l.see(code)
	l.must(l.Press("C-c"))
	s.quiet()
}
