package world

import (
	"strings"
	"testing"
)

// as runs a command as somebody without asking PAM.
func as(user string, argv ...string) []string {
	return append([]string{"setpriv", "--reuid", user, "--regid", user, "--init-groups",
		"env", "HOME=/home/" + user, "USER=" + user, "PS1=ready$ "}, argv...)
}

// shell is a shell of somebody's, in which a test types commands.
func shell(t *testing.T, user string) *screen {
	t.Helper()
	// Line editing would switch the terminal's echo off while the shell waits.
	s := open(t, as(user, "bash", "--norc", "--noprofile", "--noediting")...)
	s.see(`^ready\$ ?$`)
	return s
}

// enter types a command at the shell's prompt.
func (s *screen) enter(command string) {
	s.t.Helper()
	s.answer(`ready\$ ?$`, command)
}

func TestLogin(t *testing.T) {
	p := newPerson(t, "lena")
	s := open(t, "login")
	s.answer(`login: ?$`, "lena")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, p.code(t))
	s.answer(`lena@e2e.*\$ ?$`, "tty; id -un")
	s.see(`^/dev/pts/`)
	s.see(`^lena$`)
}

func TestLoginWrongCode(t *testing.T) {
	p := newPerson(t, "lars")
	s := open(t, "login")
	s.answer(`login: ?$`, "lars")
	s.answer(passwordPrompt, p.Password)
	for range 3 {
		s.answer(codePrompt, p.wrongCode(t))
	}
	s.see(`Login incorrect`)
	s.never(`\$ ?$`)
}

// With --pty, su itself reads SIGCHLD by signalfd: a module that takes it hangs su for good.
func TestSu(t *testing.T) {
	newPlainPerson(t, "bob")
	for user, command := range map[string]string{
		"sue": "su sue", "susan": "su - susan", "susi": "su --pty susi", "suzy": "su --pty - suzy",
	} {
		t.Run(command, func(t *testing.T) {
			p := newPerson(t, user) // each with a code of now, so that none waits for the next
			s := shell(t, "bob")
			s.enter(command + " -c 'tty; id -un'")
			s.answer(passwordPrompt, p.Password)
			s.answer(codePrompt, p.code(t))
			s.see(`^/dev/pts/\d+\r?\n^` + user + `$`)
			s.see(`^ready\$ ?$`)
		})
	}
	t.Run("wrong code", func(t *testing.T) {
		p := newPerson(t, "sunny")
		s := shell(t, "bob")
		s.enter("su sunny -c id")
		s.answer(passwordPrompt, p.Password)
		for range 3 {
			s.answer(codePrompt, p.wrongCode(t))
		}
		s.see(`Authentication failure`)
		s.never(`uid=`)
	})
}

func TestSudo(t *testing.T) {
	p := newPerson(t, "sudi")
	allowSudo(t, "sudi")
	const prompt = `\[sudo\] password for sudi: ?$`
	s := shell(t, "sudi")
	s.enter("sudo id -un")
	s.answer(prompt, p.Password)
	s.answer(codePrompt, p.code(t))
	s.see(`^root$`)
	s.enter("sudo id -un")
	s.answer(prompt, p.Password)
	for range 3 {
		s.answer(codePrompt, p.wrongCode(t))
	}
	s.see(`Sorry, try again`)
	s.never(`^root$`)
	s.answer(prompt, p.Password)
	s.answer(codePrompt, p.code(t))
	s.see(`^root$`)
}

func allowSudo(t *testing.T, user string) {
	t.Helper()
	text := "Defaults env_reset, timestamp_timeout=0\n" + user + " ALL=(ALL) ALL\n"
	if err := WriteFile("/etc/sudoers", text, 0o440); err != nil {
		t.Fatal(err)
	}
}

// Ctrl-C at a prompt ends the login, spends nothing, and leaves a terminal that shows what is typed.
func TestInterruptAtThePrompt(t *testing.T) {
	inWorld(t)
	for user, command := range map[string]string{
		"inga": "su inga -c id", "ines": "su --pty ines -c id", "igor": "sudo id",
		"ida": strings.Join(sshd.Client("ida"), " ") + " id",
	} {
		name, _, _ := strings.Cut(command, " -F")
		t.Run(name, func(t *testing.T) {
			p := newPerson(t, user)
			allowSudo(t, user)
			s := shell(t, user)
			s.enter(command)
			s.answer(`[Pp]assword.*: ?$`, p.Password)
			s.see(codePrompt)
			if err := s.Press("C-c"); err != nil {
				t.Fatal(err)
			}
			s.see(`^ready\$ ?$`)
			s.never(`uid=`)
			if echo := must(s.Echo())(t); !echo {
				t.Fatal("the terminal no longer shows what is typed")
			}
			s.enter(command)
			s.answer(`[Pp]assword.*: ?$`, p.Password)
			s.answer(codePrompt, p.code(t))
			s.see(`^uid=`)
			s.see(`^ready\$ ?$`)
		})
	}
}
