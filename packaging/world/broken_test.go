package world

import (
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// told is what README promises: whoever can't log in, as the daemon is gone, reads so within this time.
const told = 3 * time.Second

// sorry waits for the module's own text, and holds it and its line in the system log to that promise. It returns the
// reference that both have.
func (s *screen) sorry(began time.Time, mark int) string {
	s.t.Helper()
	s.see(`codes can't be checked right now: try again later`)
	if took := time.Since(began); took > told {
		s.t.Errorf("told after %v, want %v at most", took, told)
	}
	s.see(`reference [0-9A-Z]{4}-[0-9A-Z]{4}\)`)
	reference := regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}\)`).FindString(s.Screen())
	reference = strings.TrimSuffix(reference, ")")
	s.t.Log(must(here.Syslog.Wait(mark, `pam_totpd\(.*denied: .*reference=`+reference))(s.t))
	return reference
}

// TestDaemonGone takes the daemon away in every way there is. Each login is denied, in time, with a text and a line
// in the system log that have the same reference, in a terminal and over ssh. It works again once the daemon is back.
// A daemon that was only stopped then finds what it has missed, and takes it for no login.
func TestDaemonGone(t *testing.T) {
	w := inWorld(t)
	restart := func() error {
		if err := daemon.Stop(syscall.SIGKILL); err != nil {
			return err
		}
		d, err := w.StartTotpd(settings)
		if err == nil {
			daemon = d
		}
		return err
	}
	for _, way := range []struct {
		name, user string
		take, back func() error
	}{
		{"stopped", "gil", func() error { return daemon.Signal(syscall.SIGSTOP) }, func() error { return daemon.Signal(syscall.SIGCONT) }},
		{"killed, its socket left", "greta", func() error { return daemon.Stop(syscall.SIGKILL) }, restart},
		{"socket missing", "gus", func() error { return os.Remove(LoginSock) }, restart},
		{"ended", "gwen", func() error { return daemon.Stop(syscall.SIGTERM) }, restart},
	} {
		t.Run(way.name, func(t *testing.T) {
			p, plain := newPerson(t, way.user), newPlainPerson(t, way.user+"-plain")
			if err := way.take(); err != nil {
				t.Fatal(err)
			}
			heard := len(Log("totpd"))
			defer func() { // also after a failure: other tests need it
				if err := way.back(); err != nil {
					t.Fatal(err)
				}
				s := open(t, Locker, "locker", way.user)
				s.answer(passwordPrompt, p.Password)
				s.answer(codePrompt, p.code(t))
				s.see(`^welcome, ` + way.user + `$`)
				s.ends(0)
				if way.name == "stopped" {
					heardNoLogin(t, heard, way.user, 2)
					heardNoLogin(t, heard, plain.Name, 1)
				}
			}()
			for _, how := range []struct {
				who    Person
				open   func() *screen
				status int
			}{
				{p.Person, func() *screen { return open(t, Locker, "locker", p.Name) }, 1},
				{p.Person, func() *screen { return ssh(t, sshd, p.Name) }, 255},
				{plain.Person, func() *screen { return ssh(t, sshd, plain.Name) }, 255},
			} {
				s, mark := how.open(), w.Syslog.Mark()
				s.answer(passwordPrompt, how.who.Password)
				s.sorry(time.Now(), mark)
				s.ends(how.status)
				s.never(codePrompt)
			}
		})
	}
}

// heardNoLogin holds that of what the daemon says about a user from there on, n lines say that nobody waited any more,
// and none speaks of a login without a code, or one that was broken off.
func heardNoLogin(t *testing.T, from int, user string, n int) {
	t.Helper()
	ofUser := regexp.MustCompile(`kind=login user=` + user + ` .*`)
	var lost, others []string
	for _, line := range ofUser.FindAllString(Log("totpd")[from:], -1) {
		switch {
		case strings.Contains(line, "result=abandoned reason=not_delivered "):
			lost = append(lost, line)
		case !strings.Contains(line, "result=accepted "):
			others = append(others, line)
		}
	}
	if len(lost) != n || len(others) != 0 {
		t.Errorf("%s: not delivered %q, want %d; and %q", user, lost, n, others)
	}
}

// TestDaemonStopsDuringADialogue freezes the daemon while a person types the code. The code was not judged, and is good
// for the next login.
func TestDaemonStopsDuringADialogue(t *testing.T) {
	w := inWorld(t)
	p := newPerson(t, "midas")
	s := open(t, Locker, "locker", "midas")
	s.answer(passwordPrompt, p.Password)
	s.see(codePrompt)
	mark, heard, code := w.Syslog.Mark(), len(Log("totpd")), p.code(t)
	if err := daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.answer(codePrompt, code)
	s.sorry(began, mark)
	s.ends(1)
	if err := daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	s = open(t, Locker, "locker", "midas")
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, code)
	s.see(`^welcome, midas$`)
	s.ends(0)
	heardNoLogin(t, heard, "midas", 1)
}

// TestCallerIsNotRoot is a screen locker: a PAM program that runs as the user it asks about.
func TestCallerIsNotRoot(t *testing.T) {
	p := newPerson(t, "lock")
	s := open(t, as("lock", Locker, "locker", "lock")...)
	s.answer(passwordPrompt, p.Password)
	s.answer(codePrompt, p.code(t))
	s.see(`^welcome, lock$`)
	s.ends(0)

	// Whoever isn't root learns nothing about others, and can't try codes for them.
	if err := WritePAM("locker-code", CodeOnly); err != nil {
		t.Fatal(err)
	}
	newPlainPerson(t, "mallory")
	s = open(t, as("mallory", Locker, "locker-code", "lock")...)
	for range 3 {
		if status, ended := s.ended(); ended {
			if status == 0 {
				t.Fatal("let in")
			}
			break
		}
		if _, err := s.Wait(codePrompt, time.Second); err == nil {
			s.answer(codePrompt, p.code(t))
		}
	}
	s.ends(1)
	s.never(`welcome`)
}
