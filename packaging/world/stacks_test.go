package world

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"
)

// What each directory of contrib/stacks promises, with a real sshd: who comes in with what.
var promises = []struct {
	mode                      string
	key, password, keyAndCode bool // lets in with a key alone, with password and code, with key and code
}{
	{mode: "any+code", password: true, keyAndCode: true},
	{mode: "password+code", password: true},
	{mode: "key+code", keyAndCode: true},
	{mode: "key-or-password+code", key: true, password: true},
}

func TestStacks(t *testing.T) {
	inWorld(t)
	for _, kind := range []string{"debian", "fedora"} {
		for i, p := range promises {
			t.Run(kind+"/"+p.mode, func(t *testing.T) {
				name := kind[:3] + string(rune('a'+i))
				server := startStack(t, kind, p.mode, "sshd-"+name)
				enrolled, plain := newPerson(t, "enr"+name), newPlainPerson(t, "pla"+name)
				tryPassword(t, server, enrolled, plain, p.password)
				tryKey(t, server, enrolled, plain, p.key, p.keyAndCode)
			})
		}
	}
}

// startStack starts an sshd with the files of an example.
func startStack(t *testing.T, kind, mode, service string) *Server {
	t.Helper()
	dir := filepath.Join(stacksDir, kind)
	stack := authLines(t, filepath.Join(dir, mode, "sshd"))
	settings := must(os.ReadFile(filepath.Join(dir, mode, "00-totpd.conf")))(t)
	included := map[string]string{"common-auth": commonAuth(t)}
	if kind == "fedora" {
		included = map[string]string{"totpd-password-auth": authLines(t, filepath.Join(dir, "totpd-password-auth")), "postlogin": "# nothing of auth\n"}
	}
	for name, text := range included {
		if err := WritePAM(name, text); err != nil {
			t.Fatal(err)
		}
	}
	return must(here.StartSSHD(service, stack+pamRest, string(settings)))(t)
}

// commonAuth is Debian's.
func commonAuth(t *testing.T) string {
	t.Helper()
	for _, f := range must(txtar.ParseFile(debianFile))(t).Files {
		if f.Name == "etc/pam.d/common-auth" {
			return string(f.Data)
		}
	}
	t.Fatalf("no common-auth in %s", debianFile)
	return ""
}

// authLines are what a file says about auth; the rest needs things that the world hasn't.
func authLines(t *testing.T, name string) string {
	t.Helper()
	var b strings.Builder
	for line := range strings.Lines(string(must(os.ReadFile(name))(t))) {
		if strings.HasPrefix(line, "auth") || strings.HasPrefix(line, "@include common-auth") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func tryPassword(t *testing.T, server *Server, enrolled, plain *person, letsIn bool) {
	t.Helper()
	if !letsIn {
		s := ssh(t, server, enrolled.Name)
		s.ends(255)
		s.never(passwordPrompt)
		s.never(codePrompt)
		return
	}
	s := ssh(t, server, enrolled.Name)
	s.answer(passwordPrompt, "not the password")
	s.ends(255)
	s.never(codePrompt)
	s = ssh(t, server, enrolled.Name)
	s.answer(passwordPrompt, enrolled.Password)
	s.answer(codePrompt, enrolled.code(t))
	s.see(`^welcome, ` + enrolled.Name + `$`)
	s = ssh(t, server, plain.Name)
	s.answer(passwordPrompt, plain.Password)
	s.see(`^welcome, ` + plain.Name + `$`)
}

func tryKey(t *testing.T, server *Server, enrolled, plain *person, alone, withCode bool) {
	t.Helper()
	key := makeKey(t, enrolled.Name)
	batch := []string{"-i", key, "-o", "BatchMode=yes"}
	s := ssh(t, server, enrolled.Name, batch...)
	if !alone {
		s.ends(255)
	} else {
		s.see(`^welcome, ` + enrolled.Name + `$`)
	}
	if !withCode {
		return
	}
	s = ssh(t, server, enrolled.Name, "-i", key)
	s.see(codePrompt)
	s.never(passwordPrompt)
	s.answer(codePrompt, enrolled.code(t))
	s.see(`^welcome, ` + enrolled.Name + `$`)
	s = ssh(t, server, enrolled.Name, "-i", key)
	for range 3 {
		s.answer(codePrompt, enrolled.wrongCode(t))
	}
	s.ends(255)
	s.never(`^welcome`)
	s = ssh(t, server, plain.Name, "-i", makeKey(t, plain.Name))
	s.see(`^welcome, ` + plain.Name + `$`)
}

// Should AuthenticationMethods get lost, PAM itself still wants password and code of who has no key.
func TestStackOfKeysWithoutItsSettings(t *testing.T) {
	inWorld(t)
	if err := WritePAM("common-auth", commonAuth(t)); err != nil {
		t.Fatal(err)
	}
	stack := authLines(t, filepath.Join(stacksDir, "debian/key+code/sshd"))
	server := must(here.StartSSHD("sshd-lost", stack+pamRest, ""))(t)
	enrolled, plain := newPerson(t, "lostenr"), newPlainPerson(t, "lostpla")
	tryPassword(t, server, enrolled, plain, true)
}
