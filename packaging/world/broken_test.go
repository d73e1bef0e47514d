package world

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// deadline is the module's, in these tests; a refusal may take a little longer.
const deadline = 2 * time.Second

// TestDaemonGone takes the daemon away in every way there is. Each login is denied before the deadline
// with a line in the system log, and works again once the daemon is back.
func TestDaemonGone(t *testing.T) {
	w := inWorld(t)
	if err := WritePAM("locker-quick", strings.Replace(PasswordThenCode, "pam_totpd.so", "pam_totpd.so timeout=2", 1)); err != nil {
		t.Fatal(err)
	}
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
			p := newPerson(t, way.user)
			mark := w.Syslog.Mark()
			if err := way.take(); err != nil {
				t.Fatal(err)
			}
			defer func() { // also after a failure: other tests need it
				if err := way.back(); err != nil {
					t.Fatal(err)
				}
				s := open(t, Locker, "locker-quick", way.user)
				s.answer(passwordPrompt, p.Password)
				s.answer(codePrompt, p.code(t))
				s.see(`^welcome, ` + way.user + `$`)
				s.ends(0)
			}()
			s := open(t, Locker, "locker-quick", way.user)
			s.answer(passwordPrompt, p.Password)
			began := time.Now()
			s.ends(1)
			if took := time.Since(began); took > deadline+1500*time.Millisecond {
				t.Errorf("denied after %v, want %v at most", took, deadline)
			}
			s.never(codePrompt)
			line := must(w.Syslog.Wait(mark, `pam_totpd`))(t)
			t.Log(line)
		})
	}
}

// TestDaemonStopsDuringADialogue freezes the daemon while a person types the code.
func TestDaemonStopsDuringADialogue(t *testing.T) {
	w := inWorld(t)
	if err := WritePAM("locker-quick", strings.Replace(PasswordThenCode, "pam_totpd.so", "pam_totpd.so timeout=2", 1)); err != nil {
		t.Fatal(err)
	}
	p := newPerson(t, "midas")
	s := open(t, Locker, "locker-quick", "midas")
	s.answer(passwordPrompt, p.Password)
	s.see(codePrompt)
	mark := w.Syslog.Mark()
	if err := daemon.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	s.answer(codePrompt, p.code(t))
	s.ends(1)
	took := time.Since(began)
	if err := daemon.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if took > deadline+1500*time.Millisecond {
		t.Errorf("denied after %v, want %v at most", took, deadline)
	}
	must(w.Syslog.Wait(mark, `pam_totpd`))(t)
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
