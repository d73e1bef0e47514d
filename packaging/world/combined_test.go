package world

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/msteinert/pam/v2"
)

// onePrompt is a stack of one prompt.
const onePrompt = "auth required pam_totpd.so prompt=combined\nauth required pam_unix.so try_first_pass nodelay\n" + pamRest

// bothPrompt is that of pam_totpd, sshPrompt that of the ssh client for sshd's method password.
const (
	bothPrompt = `Password and one-time code: ?$`
	sshPrompt  = `password: ?$`
)

// quickly has the PAM service totpd refuse a wrong password at once.
func quickly(t *testing.T) {
	t.Helper()
	inWorld(t)
	const service = "auth requisite pam_unix.so%s\naccount required pam_unix.so\n"
	if err := WritePAM("totpd", fmt.Sprintf(service, " nodelay")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := WritePAM("totpd", fmt.Sprintf(service, "")); err != nil {
			t.Error(err)
		}
	})
}

// failures are the wrong codes that count against somebody.
func failures(t *testing.T, user string) int {
	t.Helper()
	var status struct{ Failures *int }
	out, err := run(Totpctl, "status", user, "--json")
	if err == nil {
		err = json.Unmarshal([]byte(out), &status)
	}
	if err != nil || status.Failures == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return *status.Failures
}

// sshd's own password method has one prompt, and answers whatever PAM asks with what was typed at it.
func TestCombinedSSHPasswordMethod(t *testing.T) {
	quickly(t)
	server := must(here.StartSSHD("sshd-one", onePrompt, "PasswordAuthentication yes\nKbdInteractiveAuthentication no\n"))(t)
	t.Run("right", func(t *testing.T) {
		p := newPerson(t, "olga")
		s := ssh(t, server, "olga")
		s.answer(sshPrompt, p.Password+p.code(t))
		s.see(`^welcome, olga$`)
		s.ends(0)
	})
	t.Run("who has not enrolled", func(t *testing.T) {
		p := newPlainPerson(t, "omar")
		s := ssh(t, server, "omar")
		s.answer(sshPrompt, p.Password)
		s.see(`^welcome, omar$`)
		s = ssh(t, server, "omar")
		s.answer(sshPrompt, "not the password")
		s.ends(255)
	})
	t.Run("wrong code", func(t *testing.T) {
		p := newPerson(t, "otto")
		s := ssh(t, server, "otto")
		s.answer(sshPrompt, p.Password+p.wrongCode(t))
		s.ends(255)
		if n := failures(t, "otto"); n != 1 {
			t.Errorf("%d failures", n)
		}
		for _, typed := range []string{p.Password, p.code(t)} {
			s := ssh(t, server, "otto")
			s.answer(sshPrompt, typed)
			s.ends(255)
		}
		if n := failures(t, "otto"); n != 1 {
			t.Errorf("%d failures, one of them without a code", n)
		}
	})
	t.Run("a stranger uses up nothing", func(t *testing.T) {
		p := newPerson(t, "odin")
		for range 10 {
			s := ssh(t, server, "odin", "-o", "NumberOfPasswordPrompts=3")
			for range 3 {
				s.answer(sshPrompt, "not the password"+p.wrongCode(t))
			}
			s.ends(255)
		}
		if n := failures(t, "odin"); n != 0 {
			t.Errorf("%d failures", n)
		}
		if n := strings.Count(Log("totpd"), "user=odin result=abandoned reason=before_code"); n != 30 {
			t.Errorf("%d lines of logins without a code", n)
		}
		s := ssh(t, server, "odin")
		s.answer(sshPrompt, p.Password+p.code(t))
		s.see(`^welcome, odin$`)
	})
	t.Run("the next try of a connection", func(t *testing.T) {
		p := newPerson(t, "opal")
		s := ssh(t, server, "opal", "-o", "NumberOfPasswordPrompts=3")
		s.answer(sshPrompt, "not the password"+p.wrongCode(t))
		s.answer(sshPrompt, p.Password+p.wrongCode(t))
		s.answer(sshPrompt, p.Password+p.code(t))
		s.see(`^welcome, opal$`)
	})
	t.Run("a name that is nobody's", func(t *testing.T) {
		s := ssh(t, server, "nobodyknows")
		s.answer(sshPrompt, "any123456")
		s.ends(255)
	})
}

func TestCombinedSSHKeyboardInteractive(t *testing.T) {
	quickly(t)
	server := must(here.StartSSHD("sshd-oki", onePrompt, ""))(t)
	p := newPerson(t, "oona")
	s := ssh(t, server, "oona")
	s.answer(bothPrompt, p.Password+" "+p.code(t))
	s.see(`^welcome, oona$`)
	s.ends(0)
	plain := newPlainPerson(t, "owen")
	s = ssh(t, server, "owen")
	s.answer(passwordPrompt, plain.Password)
	s.see(`^welcome, owen$`)
}

// combinedServices gives some services one prompt, until the test ends.
func combinedServices(t *testing.T, names ...string) {
	t.Helper()
	quickly(t)
	for _, name := range names {
		if err := WritePAM(name, onePrompt); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := WritePAM(name, PasswordThenCode); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCombinedConsole(t *testing.T) {
	combinedServices(t, "login", "su")
	p := newPerson(t, "otis")
	s := open(t, "login")
	s.answer(`login: ?$`, "otis")
	s.answer(bothPrompt, p.Password+p.wrongCode(t))
	s.see(`Login incorrect`)
	s.answer(`login: ?$`, "otis")
	s.answer(bothPrompt, p.Password+p.code(t))
	s.answer(`otis@e2e.*\$ ?$`, "id -un")
	s.see(`^otis$`)

	newPlainPerson(t, "bob")
	for name, command := range map[string]string{"odette": "su odette -c 'id -un'", "odile": "su --pty odile -c 'id -un'"} {
		p := newPerson(t, name)
		s := shell(t, "bob")
		s.enter(command)
		s.answer(bothPrompt, p.Password+p.code(t))
		s.see(`^` + name + `$`)
		s.see(`^ready\$ ?$`)
	}
}

// One line on standard input has to be enough, as for Ansible's become.
func TestCombinedSudoFromAPipe(t *testing.T) {
	combinedServices(t, "sudo")
	p, plain := newPerson(t, "oskar"), newPlainPerson(t, "orla")
	for _, c := range []struct {
		user, typed string
		status      string
	}{
		{"oskar", p.Password + p.code(t), "root"},
		{"oskar", p.Password + p.wrongCode(t), "refused"},
		{"oskar", p.Password, "refused"},
		{"orla", plain.Password, "root"},
	} {
		allowSudo(t, c.user)
		argv := as(c.user, "sudo", "-S", "id", "-un")
		out, err := runWithInput(c.typed+"\n", argv[0], argv[1:]...)
		got := "refused"
		if err == nil {
			got = lastLine(out)
		}
		if got != c.status {
			t.Errorf("%s: %s, %v\n%s", c.user, got, err, out)
		}
	}
	// Ansible waits for a prompt of its own, which sudo shows in place of the module's if it is told to.
	const own = "[sudo via ansible, key=abcdef] password:"
	if err := WriteFile("/etc/sudoers", "Defaults passprompt_override, timestamp_timeout=0\noskar ALL=(ALL) ALL\n", 0o440); err != nil {
		t.Fatal(err)
	}
	argv := as("oskar", "sudo", "-S", "-p", own, "id", "-un")
	if out, err := runWithInput(p.Password+p.code(t)+"\n", argv[0], argv[1:]...); err != nil || !strings.Contains(out, own) {
		t.Errorf("%v\n%s", err, out)
	}
}

// lastLine is the last one, without the prompts that sudo leaves before it.
func lastLine(out string) string {
	lines := strings.Split(strings.TrimSpace(out), "\n")
	_, word, found := strings.Cut(lines[len(lines)-1], ": ")
	if !found {
		word = lines[len(lines)-1]
	}
	return word
}

// Display managers and xrdp have one field, and answer every question with it; what isn't a question they show
// or drop.
func TestCombinedOneField(t *testing.T) {
	combinedServices(t, "locker")
	p, plain := newPerson(t, "ophelia"), newPlainPerson(t, "orson")
	for _, c := range []struct {
		user, typed string
		letsIn      bool
		asked       int
	}{
		{"ophelia", p.Password + p.code(t), true, 1},
		{"ophelia", p.Password + p.wrongCode(t), false, 1},
		{"ophelia", "not the password" + p.code(t), false, 1},
		{"orson", plain.Password, true, 1},
		{"orson", "not the password", false, 1},
	} {
		asked := 0
		tx, err := pam.StartFunc("locker", c.user, func(style pam.Style, _ string) (string, error) {
			if style == pam.PromptEchoOff || style == pam.PromptEchoOn {
				asked++
				return c.typed, nil
			}
			return "", nil
		})
		if err != nil {
			t.Fatal(err)
		}
		err = tx.Authenticate(0)
		if (err == nil) != c.letsIn || asked != c.asked {
			t.Errorf("%s: %v after %d questions", c.user, err, asked)
		}
		if err := tx.End(); err != nil {
			t.Error(err)
		}
	}
}

// Who isn't root, as a screen locker, can't ask whether the password is right: the code is judged, and the
// password by the modules that follow.
func TestCombinedLocker(t *testing.T) {
	combinedServices(t, "locker")
	p := newPerson(t, "oleg")
	for _, c := range []struct {
		typed  string
		letsIn bool
	}{{p.Password + p.code(t), true}, {"not the password" + p.code(t), false}, {p.Password + p.wrongCode(t), false}} {
		argv := as("oleg", Locker, "locker", "oleg")
		out, err := runWithInput(c.typed+"\n", argv[0], argv[1:]...)
		if (err == nil) != c.letsIn {
			t.Errorf("%v\n%s%s", err, out, Logs(10))
		}
	}
	if n := failures(t, "oleg"); n != 1 {
		t.Errorf("%d failures", n)
	}
}

// The examples of contrib/stacks for one prompt, with a real sshd: by its own password method and by
// keyboard-interactive.
func TestCombinedStacks(t *testing.T) {
	quickly(t)
	for _, kind := range []string{"debian", "fedora"} {
		t.Run(kind, func(t *testing.T) {
			dir := stacksDir + "/" + kind + "/one-prompt/"
			included := map[string]string{"common-auth": commonAuth(t)}
			if kind == "fedora" {
				included = map[string]string{
					"password-auth": "auth sufficient pam_unix.so nullok\nauth required pam_deny.so\n",
					"postlogin":     "# nothing of auth\n",
				}
			}
			for name, text := range included {
				if err := WritePAM(name, text); err != nil {
					t.Fatal(err)
				}
			}
			settings := must(os.ReadFile(dir + "00-totpd.conf"))(t)
			server := must(here.StartSSHD("sshd-1"+kind[:3], authLines(t, dir+"sshd")+pamRest, string(settings)))(t)
			enrolled, plain := newPerson(t, "one"+kind[:3]), newPlainPerson(t, "two"+kind[:3])
			for method, prompts := range map[string][2]string{
				"password":             {sshPrompt, sshPrompt},
				"keyboard-interactive": {bothPrompt, passwordPrompt},
			} {
				option := "PreferredAuthentications=" + method
				s := ssh(t, server, enrolled.Name, "-o", option)
				s.answer(prompts[0], enrolled.Password+enrolled.code(t))
				s.see(`^welcome, ` + enrolled.Name + `$`)
				s = ssh(t, server, enrolled.Name, "-o", option)
				s.answer(prompts[0], enrolled.Password+enrolled.wrongCode(t))
				s.ends(255)
				s = ssh(t, server, plain.Name, "-o", option)
				s.answer(prompts[1], plain.Password)
				s.see(`^welcome, ` + plain.Name + `$`)
			}
			s := ssh(t, server, enrolled.Name, "-i", makeKey(t, enrolled.Name), "-o", "BatchMode=yes")
			s.ends(255)
		})
	}
}

// With one prompt and a key that stands for the password, whoever goes on with sshd's password method after the
// key types both all the same.
func TestCombinedAfterAKey(t *testing.T) {
	quickly(t)
	if err := WritePAM("common-auth", commonAuth(t)); err != nil {
		t.Fatal(err)
	}
	server := must(here.StartSSHD("sshd-1key",
		"auth [success=done ignore=ignore default=die] pam_totpd.so with_key\nauth required pam_totpd.so prompt=combined\n@include common-auth\n"+pamRest,
		"PasswordAuthentication yes\nAuthenticationMethods publickey,keyboard-interactive password keyboard-interactive\n"))(t)
	p := newPerson(t, "onekey")
	key := makeKey(t, "onekey")
	s := ssh(t, server, "onekey", "-i", key)
	s.answer(codePrompt, p.code(t))
	s.see(`^welcome, onekey$`)
	s = ssh(t, server, "onekey", "-i", key, "-o", "PreferredAuthentications=publickey,password")
	s.answer(sshPrompt, p.Password+p.code(t))
	s.see(`^welcome, onekey$`)
	s = ssh(t, server, "onekey")
	s.answer(bothPrompt, p.Password+p.code(t))
	s.see(`^welcome, onekey$`)
}
