package world

import (
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// mustEnrol are the rules of these tests.
const mustEnrol = `
[[rule]]
users = ["ella", "edda", "elmo", "enno", "emmy", "ewa", "ezra", "edith", "edna"]
require = "required"

[[rule]]
users = ["eva"]
require = "required"
enrol_from = ["192.0.2.0/24"]
`

const (
	choicePrompt = `your choice: ?$`
	appPrompt    = `code shown by the app: ?$`
	notedPrompt  = `press Enter once you have written them down: ?$`
)

// number returns the number of what the screen offers to show.
func (s *screen) number(what string) string {
	s.t.Helper()
	found := regexp.MustCompile(`(\d\d) shows ` + what).FindStringSubmatch(s.see(choicePrompt))
	if found == nil {
		s.t.Fatalf("%s is not offered", what)
	}
	return found[1]
}

// setupKey returns a phone into which the setup key on the screen was typed.
func (s *screen) setupKey() *Phone {
	s.t.Helper()
	found := regexp.MustCompile(`setup key: ((?:[A-Z2-7]{4} ?)+)`).FindStringSubmatch(s.see(appPrompt))
	if found == nil {
		s.t.Fatal("no setup key")
	}
	return must(NewPhone("otpauth://totp/typed?secret=" + strings.ReplaceAll(found[1], " ", "")))(s.t)
}

// finish types the first code, reads the recovery codes and goes on.
func (s *screen) finish(p *person) (recoveryCodes []string) {
	s.t.Helper()
	s.answer(appPrompt, p.code(s.t))
	recoveryCodes = regexp.MustCompile(`\b[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}\b`).FindAllString(s.see(notedPrompt), -1)
	if len(recoveryCodes) != 10 {
		s.t.Fatalf("%d recovery codes", len(recoveryCodes))
	}
	s.answer(notedPrompt, "")
	return recoveryCodes
}

// An enforced enrolment inside the first login with ssh: the QR code is read back from the client's screen,
// on a dark one and on a light one.
func TestSSHMustEnrol(t *testing.T) {
	for user, c := range map[string]struct {
		what  string
		theme Theme
	}{
		"ella": {"a QR code, if the background of this window is dark", Dark},
		"edda": {"a QR code, if the background is light", Light},
	} {
		t.Run(user, func(t *testing.T) {
			p := newPlainPerson(t, user)
			s := ssh(t, sshd, user)
			s.answer(passwordPrompt, p.Password)
			s.see(`▀{37}$`)
			s.answer(choicePrompt, s.number(c.what))
			s.see(appPrompt)
			uri := must(s.ReadQR(c.theme, "/tmp/photo-"+user+".png"))(t)
			p.phone = must(NewPhone(uri))(t)
			if !strings.Contains(p.phone.Label, ":"+user) {
				t.Errorf("scanned %q", p.phone.Label)
			}
			codes := s.finish(p)
			s.see(`^welcome, ` + user + `$`)
			s.ends(0)

			// The next login asks for a code, and takes a recovery code.
			s = ssh(t, sshd, user)
			s.answer(passwordPrompt, p.Password)
			s.answer(codePrompt, p.code(t))
			s.see(`^welcome, ` + user + `$`)
			s = ssh(t, sshd, user)
			s.answer(passwordPrompt, p.Password)
			s.answer(codePrompt, strings.ToLower(codes[3]))
			s.see(`^welcome, ` + user + `$`)
			for _, secret := range append(codes, p.phone.secret) {
				if strings.Contains(Log("totpd")+Log("syslog"), secret) {
					t.Error("a secret is in a log")
				}
			}
		})
	}
}

// In a locale without UTF-8 the client shows no bar, and one takes the key.
func TestSSHMustEnrolWithoutUTF8(t *testing.T) {
	p := newPlainPerson(t, "elmo")
	s := open(t, append([]string{"LC_ALL=C"}, append(sshd.Client("elmo"), hello)...)...)
	s.answer(passwordPrompt, p.Password)
	s.see(choicePrompt)
	s.never(`▀`)
	s.answer(choicePrompt, s.number("a key to type"))
	p.phone = s.setupKey()
	s.finish(p)
	s.see(`^welcome, elmo$`)
}

// In a narrow window the line that is as wide as the QR code is broken, so one takes the key. A wrong code is
// told what is wrong; an enrolment that is given up changes nothing.
func TestSSHMustEnrolInANarrowWindow(t *testing.T) {
	p := newPlainPerson(t, "enno")
	s := shell(t, "root")
	if err := s.Resize(40, 24); err != nil {
		t.Fatal(err)
	}
	command := strings.Join(sshd.Client("enno"), " ") + " '" + hello + "'"
	s.enter(command)
	s.answer(passwordPrompt, p.Password)
	s.answer(choicePrompt, s.number("a key to type"))
	first := s.setupKey()
	s.never(`[█▀▄]`)
	if err := s.Press("C-c"); err != nil {
		t.Fatal(err)
	}

	s.enter(command)
	s.answer(passwordPrompt, p.Password)
	s.answer(choicePrompt, s.number("a key to type"))
	p.phone = s.setupKey()
	s.answer(appPrompt, must(first.Code())(t))
	s.see(`that code is not right`)
	s.finish(p)
	s.see(`^welcome, enno$`)
}

// login(1) knows how wide its terminal is: it offers no QR code that doesn't fit.
func TestLoginMustEnrol(t *testing.T) {
	for user, columns := range map[string]int{"emmy": 100, "ewa": 30} {
		t.Run(strconv.Itoa(columns), func(t *testing.T) {
			p := newPlainPerson(t, user)
			s := open(t, "login")
			s.see(`login: ?$`)
			if err := s.Resize(columns, 50); err != nil {
				t.Fatal(err)
			}
			s.answer(`login: ?$`, user)
			s.answer(passwordPrompt, p.Password)
			if columns == 100 {
				s.answer(choicePrompt, s.number("a QR code, if the background of this window is dark"))
				s.see(appPrompt)
				p.phone = must(NewPhone(must(s.ReadQR(Dark, "/tmp/photo-"+user+".png"))(t)))(t)
			} else {
				number := s.number("a key to type")
				s.never(`QR`)
				s.answer(choicePrompt, number)
				p.phone = s.setupKey()
			}
			s.finish(p)
			s.see(user + `@e2e.*\$ ?$`)
		})
	}
}

// A stack that goes on after a wrong password gives nobody a device who doesn't know the password.
func TestNobodyEnrolsWithoutThePassword(t *testing.T) {
	p := newPlainPerson(t, "edna")
	server := must(here.StartSSHD("sshd-goes-on", "auth required pam_unix.so nodelay\nauth required pam_totpd.so\n"+pamRest, ""))(t)
	s := ssh(t, server, "edna")
	s.answer(passwordPrompt, "not "+p.Password)
	waitForLog(t, `user=edna result=refused reason=not_proven reference=`)
	s.ends(255)
	s.never(`second factor|your choice`)
	s = ssh(t, server, "edna")
	s.answer(passwordPrompt, p.Password)
	s.answer(choicePrompt, s.number("a key to type"))
	p.phone = s.setupKey()
	s.finish(p)
	s.see(`^welcome, edna$`)
}

// A client that can't answer is refused with what to do: sshd's password method answers no question but the
// password's. It keeps the words for itself, so they are looked for in the journal.
func TestPasswordMethodCannotEnrol(t *testing.T) {
	p := newPlainPerson(t, "ezra")
	server := must(here.StartSSHD("sshd-words", PasswordThenCode, "PasswordAuthentication yes\n"))(t)
	s := ssh(t, server, "ezra", "-o", "PreferredAuthentications=password")
	s.answer(`password: ?$`, p.Password)
	s.ends(255)
	s.never(`welcome`)
	waitForLog(t, `user=ezra result=refused reason=no_choice reference=`)
	if strings.Contains(Log("totpd"), p.Password) {
		t.Error("the password is in the log")
	}
}

// waitForLog waits until the daemon has said something.
func waitForLog(t *testing.T, pattern string) {
	t.Helper()
	re := regexp.MustCompile(pattern)
	for deadline := time.Now().Add(patience); !re.MatchString(Log("totpd")); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("the daemon's log has no %q", pattern)
		}
	}
}

// A daemon that is killed in the middle leaves nothing behind: with the next one, the same login begins anew
// with another key. One that is killed after the first code leaves the device.
func TestDaemonIsKilledDuringAnEnrolment(t *testing.T) {
	w := inWorld(t)
	restart := func() {
		t.Helper()
		if err := daemon.Stop(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		daemon = must(w.StartTotpd(settings))(t)
	}
	p := newPlainPerson(t, "edith")
	s := ssh(t, sshd, "edith")
	s.answer(passwordPrompt, p.Password)
	number := s.number("a key to type")
	restart()
	s.answer(choicePrompt, number) // the numbers are others now
	s.answer(choicePrompt, s.number("a key to type"))
	first := s.setupKey()
	restart()
	s.answer(appPrompt, must(first.Code())(t))
	s.answer(choicePrompt, s.number("a key to type"))
	p.phone = s.setupKey()
	if p.phone.secret == first.secret {
		t.Fatal("a key is used again")
	}
	s.answer(appPrompt, p.code(t))
	s.see(notedPrompt)
	restart()
	s.answer(notedPrompt, "")
	s.answer(codePrompt, p.code(t))
	s.see(`^welcome, edith$`)
	s.ends(0)
}

// From a network that the rule doesn't name, one is told that it is the wrong one.
func TestSSHCannotEnrolFromHere(t *testing.T) {
	p := newPlainPerson(t, "eva")
	s := ssh(t, sshd, "eva")
	s.answer(passwordPrompt, p.Password)
	s.see(`from here you can't enrol`)
	s.see(`reference [0-9A-Z]{4}-[0-9A-Z]{4}`)
	s.ends(255)
	s.never(`your choice`)
}
