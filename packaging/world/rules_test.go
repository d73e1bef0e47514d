package world

import (
	"os"
	"regexp"
	"testing"
)

// rules are those of the shared daemon, each for the users of one test.
const rules = `
[[rule]]
groups = ["robots"]
from = ["127.0.0.0/8"]
require = "exempt"

[[rule]]
users = ["rolf"]
services = ["login"]
from = ["local"]
require = "exempt"

[[rule]]
users = ["rosa"]
require = "required"
enrol_by = 2099-12-31

[[rule]]
users = ["rudi", "ruth"]
require = "required"
enrol_at_login = false

[[rule]]
users = ["renate"]
from = ["0.0.0.0/0", "::/0"]
require = "required"

[[rule]]
users = ["renate"]
services = ["sshd-names"]
require = "exempt"
`

// Service accounts are exempt by group, from one network: not at a terminal.
func TestExemptGroup(t *testing.T) {
	p := newPerson(t, "robin")
	for _, command := range [][]string{{"groupadd", "-f", "robots"}, {"usermod", "-aG", "robots", "robin"}} {
		if _, err := run(command[0], command[1:]...); err != nil {
			t.Fatal(err)
		}
	}
	s := ssh(t, sshd, "robin")
	s.answer(passwordPrompt, p.Password)
	s.see(`^welcome, robin$`)
	s.ends(0)
	s.never(codePrompt)

	s = open(t, "login")
	s.answer(`login: ?$`, "robin")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, p.code(t))
	s.see(`robin@e2e.*\$ ?$`)
}

// At the console one is exempt, and asked over ssh and by su.
func TestExemptAtTheConsole(t *testing.T) {
	p := newPerson(t, "rolf")
	s := open(t, "login")
	s.answer(`login: ?$`, "rolf")
	s.answer(passwordPrompt, p.Password)
	s.see(`rolf@e2e.*\$ ?$`)
	s.never(codePrompt)

	newPlainPerson(t, "roger")
	s = shell(t, "roger")
	s.enter("su rolf")
	s.answer(passwordPrompt, p.Password)
	s.see(codePrompt)
	s = ssh(t, sshd, "rolf")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, p.code(t))
	s.see(`^welcome, rolf$`)
	s.ends(0)
}

// Until the date, who hasn't enrolled gets in, and is told so by sshd and login.
func TestRequiredLater(t *testing.T) {
	p := newPlainPerson(t, "rosa")
	told := regexp.QuoteMeta("a second factor is required from 2100-01-01 on, in ") + `\d+`
	s := ssh(t, sshd, "rosa")
	s.answer(passwordPrompt, p.Password)
	s.see(told)
	s.see(`^welcome, rosa$`)
	s.ends(0)

	s = open(t, "login")
	s.answer(`login: ?$`, "rosa")
	s.answer(passwordPrompt, p.Password)
	s.see(told)
	s.see(`rosa@e2e.*\$ ?$`)

	// Once enrolled, one is asked and not told.
	uri := "otpauth://totp/e2e:rosa?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=e2e"
	p.phone = must(NewPhone(uri))(t)
	if out, err := runWithInput(uri+"\n", Totpctl, "enrol", "rosa", "--uri", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s = ssh(t, sshd, "rosa")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, p.code(t))
	s.see(`^welcome, rosa$`)
	s.ends(0)
	s.never(told)
}

// Where sshd gives a name instead of an address, the rule for all addresses holds, not the milder one behind it.
func TestReverseDNS(t *testing.T) {
	p := newPerson(t, "renate")
	server := must(here.StartSSHD("sshd-names", PasswordThenCode, "UseDNS yes\n"))(t)
	s := ssh(t, server, "renate")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, p.wrongCode(t))
	s.answer(codePrompt, p.code(t))
	s.see(`^welcome, renate$`)
	s.ends(0)
	log, err := os.ReadFile(LogDir + "/totpd")
	if err != nil || !regexp.MustCompile(`user=renate result=accepted.*source=localhost.*nobody can tell whether rule`).Match(log) {
		t.Errorf("the log doesn't say why: %v", err)
	}
}

func TestRequiredNow(t *testing.T) {
	p := newPlainPerson(t, "rudi")
	s := ssh(t, sshd, "rudi")
	s.answer(passwordPrompt, p.Password)
	s.see(`from here you can't enrol`)
	s.never(`welcome`)
}
