package host

import (
	"path/filepath"
	"regexp"
	"testing"
)

// turnOn turns the second factor on for ssh, the console, su and sudo.
func (s *site) turnOn() {
	s.t.Helper()
	s.run("totpctl", "setup", "--service=sshd,login,su,sudo", "--ssh=any+code", "--yes")
}

// lockable brings a screen locker. Its PAM service has the common stack alone.
func (s *site) lockable() {
	s.t.Helper()
	s.must(s.Copy(filepath.Join(top(s.t), "build/locker"), "/usr/local/bin"))
	s.script("printf '@include common-auth\n@include common-account\n' >/etc/pam.d/locker")
}

// TestSetup is root at a terminal, who looks first, turns the second factor on for every service, reboots,
// and takes it back. Every way into the host asks for a code then, and none does afterwards, to the byte.
func TestSetup(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.lockable()
	plain := s.person("ann")
	before := s.etc()
	s.run("totpctl", "setup", "--service=all", "--ssh=any+code", "--dry-run")
	s.unchanged(before)

	root, prompt := s.root()
	root.answer(prompt, "totpctl setup --service all --ssh any+code")
	root.see(`^\+auth.*pam_totpd\.so`)
	root.answer(`Apply these changes\? \[y/N\] ?$`, "y")
	root.see(`Keep this root shell open`)
	kept := s.enrolled("kept")
	s.must(s.Reboot())
	kept.goes(ways[0])
	for _, w := range ways {
		name := regexp.MustCompile(`\W`).ReplaceAllString(w.name, "")
		plain.goes(w)
		s.enrolled(name + "1").goes(w) // each with codes of now, so that none waits for the next
		s.enrolled(name + "2").refused(w)
	}

	root, prompt = s.root()
	root.answer(prompt, "totpctl setup --undo")
	root.answer(`Take it back\? \[y/N\] ?$`, "y")
	root.see(`Taken back: logins are as they were`)
	s.unchanged(before)
	l := s.enrolled("eve").ssh()
	l.see(sshPassword)
	l.must(l.Press("C-c"))
}

// root opens a root shell at a terminal of the host, and returns its prompt, too.
func (s *site) root() (*screen, string) {
	s.t.Helper()
	return s.open(s.Terminal("bash", "--norc", "--noediting")...), `# ?$`
}

// unchanged compares /etc, but for the accounts that the test makes, with what it was.
func (s *site) unchanged(before map[string]string) {
	s.t.Helper()
	after := s.etc()
	accounts := regexp.MustCompile(`^/etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$`)
	for path, was := range before {
		if after[path] != was && !accounts.MatchString(path) {
			s.t.Errorf("%s is %q, was %q", path, after[path], was)
		}
		delete(after, path)
	}
	for path := range after {
		s.t.Errorf("%s is new", path)
	}
}

// TestSSHModes has each of the things that ssh can ask for. A login begins with a key or with the
// password; then it is let in, asked for a code, or refused.
func TestSSHModes(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	const in, asked, refused = "let in", "asked for a code", "refused"
	for mode, want := range map[string]struct{ key, password string }{
		"any+code":             {asked, asked},
		"password+code":        {refused, asked},
		"key+code":             {asked, refused},
		"key-or-password+code": {in, asked},
	} {
		t.Log(mode)
		s.run("totpctl", "setup", "--service=sshd", "--ssh="+mode, "--yes")
		p := s.enrolled("ann" + regexp.MustCompile(`\W`).ReplaceAllString(mode, ""))
		finish := func(l *screen, how string) {
			t.Helper()
			switch how {
			case in:
				p.welcomed(l)
			case asked:
				l.see(code)
				l.never(`[Pp]assword:`)
				l.answer(code, p.code())
				p.welcomed(l)
			case refused:
				l.ends(255)
			}
		}
		methods := "publickey,keyboard-interactive"
		if want.key == refused { // else the client goes on with the password
			methods = "publickey"
		}
		finish(p.ssh("-i", p.key(), "-o", "PreferredAuthentications="+methods), want.key)
		l := p.ssh("-o", "PubkeyAuthentication=no")
		if want.password != refused {
			l.answer(password, p.Password)
		}
		finish(l, want.password)
	}
}
