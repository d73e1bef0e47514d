package world

import (
	"strings"
	"testing"
)

// remembering are the rules of these tests.
const remembering = `
[[rule]]
users = ["remo", "regina", "rene", "rut"]
require = "required"
remember = 30
grace = 5
`

const rememberPrompt = `remember this computer for 30 days\? y/N: ?$`

// welcomed is a login over ssh that asks for no code.
func welcomed(t *testing.T, server *Server, p *person, options ...string) {
	t.Helper()
	s := ssh(t, server, p.Name, options...)
	if server == sshd {
		s.answer(passwordPrompt, p.Password)
	}
	s.see(`^welcome, ` + p.Name + `$`)
	s.never(codePrompt)
	s.ends(0)
}

// remember is one that asks for a code, is given one and has the computer remembered.
func remember(t *testing.T, server *Server, p *person, options ...string) {
	t.Helper()
	s := ssh(t, server, p.Name, options...)
	if server == sshd {
		s.answer(passwordPrompt, p.Password)
	}
	s.answer(codePrompt, p.code(t))
	s.answer(rememberPrompt, "y")
	s.see(`^welcome, ` + p.Name + `$`)
	s.ends(0)
}

// due is one that asks for a code, and is given none.
func due(t *testing.T, server *Server, p *person, options ...string) {
	t.Helper()
	s := ssh(t, server, p.Name, options...)
	if server == sshd {
		s.answer(passwordPrompt, p.Password)
	}
	s.see(codePrompt)
}

func TestSSHRememberedComputer(t *testing.T) {
	p := newPerson(t, "remo")
	remember(t, sshd, p)
	welcomed(t, sshd, p)
	due(t, sshd, p, "-b", "127.0.0.2") // another address is another computer

	s := shell(t, "remo")
	s.enter("totpctl remembered")
	s.see(`^[0-9a-f]{8} +127\.0\.0\.1 +sshd `)
	s.enter("totpctl forget") // at a terminal of this host
	s.see(`which computer\?`)

	// This one, by what ssh says of itself.
	s = open(t, append(sshd.Client("remo"), "totpctl forget")...)
	s.answer(passwordPrompt, p.Password)
	s.see(`^Forgotten: 127\.0\.0\.1, sshd`)
	s.ends(0)
	remember(t, sshd, p)

	// So does root for others.
	if out, err := run(Totpctl, "forget", "remo"); err != nil || !strings.Contains(out, "Forgotten: 127.0.0.1, sshd") {
		t.Fatal(out, err)
	}
	// Whoever says no is asked again.
	s = ssh(t, sshd, "remo")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, p.code(t))
	s.answer(rememberPrompt, "")
	s.see(`^welcome, remo$`)
	s.ends(0)
	due(t, sshd, p)
}

// With a verified key, key and address make out the computer: another key doesn't, nor no key.
func TestSSHRememberedKey(t *testing.T) {
	p := newPerson(t, "regina")
	server := must(here.StartSSHD("sshd-rkey", CodeOnly, "AuthenticationMethods publickey,keyboard-interactive\n"))(t)
	key := makeKey(t, "regina")
	remember(t, server, p, "-i", key)
	welcomed(t, server, p, "-i", key)
	due(t, server, p, "-i", key, "-b", "127.0.0.2")
	due(t, server, p, "-i", anotherKey(t, "regina"))
	due(t, sshd, p) // without a key
	s := shell(t, "regina")
	s.enter("totpctl remembered")
	s.see(`^[0-9a-f]{8} +127\.0\.0\.1 +ssh key SHA256:`)
	s.enter("totpctl forget --all")
	s.see(`^Forgotten: 127\.0\.0\.1, ssh key SHA256:`)
	due(t, server, p, "-i", key)
}

// anotherKey makes one more key pair that lets the user in.
func anotherKey(t *testing.T, user string) string {
	t.Helper()
	key := runDir + "/key2-" + user
	if _, err := run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", key); err != nil {
		t.Fatal(err)
	}
	if _, err := run("sh", "-c", "cat "+key+".pub >>/home/"+user+"/.ssh/authorized_keys"); err != nil {
		t.Fatal(err)
	}
	return key
}

// A recovery code is for a lost phone: it forgets the computers.
func TestSSHRecoveryCodeForgets(t *testing.T) {
	p := newPlainPerson(t, "rut")
	s := ssh(t, sshd, "rut")
	s.answer(passwordPrompt, p.Password)
	s.answer(choicePrompt, s.number("a key to type"))
	p.phone = s.setupKey()
	codes := s.finish(p)
	s.see(`^welcome, rut$`)
	remember(t, sshd, p)
	welcomed(t, sshd, p)
	s = ssh(t, sshd, "rut", "-b", "127.0.0.2")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, codes[0])
	s.see(`^welcome, rut$`)
	s.never(rememberPrompt)
	due(t, sshd, p)
}

// In one terminal session sudo asks for a code once in a while; in another one, at once.
func TestSudoGrace(t *testing.T) {
	p := newPerson(t, "rene")
	allowSudo(t, "rene")
	const prompt = `\[sudo\] password for rene: ?$`
	first := shell(t, "rene")
	first.enter("sudo id -un")
	first.answer(prompt, p.Password)
	first.answer(codePrompt, p.code(t))
	first.see(`^root$`)
	first.enter("sudo id -un")
	first.answer(prompt, p.Password)
	first.see(`^root$`)
	first.never(codePrompt)

	second := shell(t, "rene")
	second.enter("sudo id -un")
	second.answer(prompt, p.Password)
	second.see(codePrompt)
	second.never(`^root$`)

	// su is another service.
	first.enter("su rene -c 'echo in'")
	first.answer(passwordPrompt, p.Password)
	first.see(codePrompt)
	if err := first.Press("C-c"); err != nil {
		t.Fatal(err)
	}
	// To forget is to be asked again.
	first.enter("totpctl forget --all")
	first.see(`No computer of rene was remembered`)
	first.enter("sudo id -un")
	first.answer(prompt, p.Password)
	first.see(codePrompt)
}
