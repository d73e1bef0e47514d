package world

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// The tests of this package share one world, one daemon and one sshd. Each makes its own users, so no
// test sees another's failures and locks.
var (
	here    *World
	daemon  *Daemon
	sshd    *Server
	noWorld error
)

// settings of the shared daemon: tests fail on purpose more often than a person may.
const settings = "[throttle]\nfree = 20\n" + rules + mustEnrol + remembering

func TestMain(m *testing.M) {
	top, err := FindTop(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	before := machineState()
	here, noWorld = Enter(Options{Top: top, Name: "e2e", Afterwards: func(status int) int {
		after := machineState()
		for _, change := range before.changes(after) {
			fmt.Printf("--- FAIL: TestMachineUnchanged\n    the world changed the machine: %s\n", change)
			status = 1
		}
		return status
	}})
	switch {
	case noWorld == nil:
		if err := start(); err != nil {
			fmt.Fprintln(os.Stderr, err, "\n"+Logs(40))
			os.Exit(1)
		}
	case !errors.Is(noWorld, ErrForbidden) && !errors.Is(noWorld, ErrNotBuilt):
		fmt.Fprintln(os.Stderr, noWorld)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func start() (err error) {
	for _, service := range []string{"login", "su", "su-l", "sudo", "sudo-i", "locker"} {
		if err := WritePAM(service, PasswordThenCode); err != nil {
			return err
		}
	}
	if daemon, err = here.StartTotpd(settings); err != nil {
		return err
	}
	sshd, err = here.StartSSHD("sshd", PasswordThenCode, "")
	return err
}

// inWorld skips a test where there is no world. 'make test' as root forbids that.
func inWorld(t *testing.T) *World {
	t.Helper()
	if noWorld != nil {
		if os.Getenv("TOTPD_E2E_REQUIRED") != "" {
			t.Fatal(noWorld)
		}
		t.Skip(noWorld)
	}
	return here
}

// state is what must not change on the machine: path or topic, and what was there.
type state map[string]string

func machineState() state {
	s := state{}
	for _, root := range []string{
		"/etc/pam.d", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/subuid", "/etc/sudoers", "/etc/ssh",
		"/etc/totpd", "/home", "/run/totpd", "/run/utmp", "/var/lib/totpd", "/var/log/lastlog",
		"/usr/libexec/totpd", "/usr/bin/totpctl", "/usr/sbin/sshd",
	} {
		s[root] = "absent"
		_ = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return nil
			}
			if info, err := d.Info(); err == nil {
				s[path] = fmt.Sprint(info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
			}
			if text, err := os.ReadFile(path); err == nil {
				s[path] += fmt.Sprintf(" %x", sha256.Sum256(text))
			}
			return nil
		})
	}
	for _, name := range []string{"/dev/log", "/proc/sys/kernel/hostname"} {
		text, err := os.ReadFile(name)
		s[name] = fmt.Sprint(string(text), errors.Is(err, fs.ErrNotExist))
	}
	s["mounts"] = mounts()
	return s
}

// mounts returns the mounts where the world has some of its own: proc_pid_mountinfo(5).
func mounts() string {
	text, _ := os.ReadFile("/proc/self/mountinfo")
	var b strings.Builder
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch point := fields[4]; {
		case strings.Contains(point, "/build/"), strings.HasPrefix(point, "/dev"),
			point == "/etc", point == "/var", point == "/usr", point == "/var/log", point == "/home",
			point == "/root", point == "/run", point == "/tmp", point == "/proc":
			fmt.Fprintln(&b, strings.Join(fields[2:], " "))
		}
	}
	return b.String()
}

func (s state) changes(after state) []string {
	var all []string
	for name, was := range s {
		if after[name] != was {
			all = append(all, name)
		}
	}
	for name := range after {
		if _, known := s[name]; !known {
			all = append(all, name)
		}
	}
	return all
}

// person is a user of one test, with an authenticator.
type person struct {
	Person
	phone *Phone
}

// patience is for what takes well under a second, on a loaded machine too.
const patience = 15 * time.Second

// newPerson makes a user and gives the user a second factor the short way, as root.
func newPerson(t *testing.T, name string) *person {
	t.Helper()
	p := newPlainPerson(t, name)
	uri := "otpauth://totp/e2e:" + name + "?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=e2e"
	var err error
	if p.phone, err = NewPhone(uri); err != nil {
		t.Fatal(err)
	}
	if out, err := runWithInput(uri+"\n", Totpctl, "enrol", name, "--uri", "-"); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return p
}

// newPlainPerson makes a user without a second factor.
func newPlainPerson(t *testing.T, name string) *person {
	t.Helper()
	p, err := inWorld(t).AddPerson(name)
	if err != nil {
		t.Fatal(err)
	}
	return &person{Person: p}
}

// code is one that will be accepted; wrongCode one that won't.
func (p *person) code(t *testing.T) string {
	t.Helper()
	return must(p.phone.Code())(t)
}

func (p *person) wrongCode(t *testing.T) string {
	t.Helper()
	return must(p.phone.WrongCode())(t)
}

func must[V any](v V, err error) func(*testing.T) V {
	return func(t *testing.T) V {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// screen is a terminal in a test: whatever goes wrong fails the test and shows the screen and the logs.
type screen struct {
	*Terminal
	t *testing.T
}

func open(t *testing.T, argv ...string) *screen {
	t.Helper()
	name := fmt.Sprintf("%s-%d", strings.NewReplacer("/", "-", ".", "-", ":", "-").Replace(t.Name()), time.Now().UnixNano())
	term, err := inWorld(t).Open(name, argv...)
	if err != nil {
		t.Fatal(err)
	}
	s := &screen{term, t}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("--- screen\n%s\n%s", s.Screen(), Logs(25))
		}
		_ = term.Close()
	})
	return s
}

// see waits for a pattern.
func (s *screen) see(pattern string) string {
	s.t.Helper()
	return must(s.Wait(pattern, patience))(s.t)
}

// answer waits for a prompt and types what it asks for, on a screen emptied of what was before.
func (s *screen) answer(prompt, text string) {
	s.t.Helper()
	s.see(prompt)
	if err := errors.Join(s.Clear(), s.Type(text)); err != nil {
		s.t.Fatal(err)
	}
}

// ends waits for the program's end and compares its exit status.
func (s *screen) ends(want int) {
	s.t.Helper()
	if got := must(s.End(patience))(s.t); got != want {
		s.t.Fatalf("exit status %d, want %d", got, want)
	}
}

// never fails if the screen shows a pattern.
func (s *screen) never(pattern string) {
	s.t.Helper()
	if screen := s.Screen(); regexp.MustCompile("(?m)" + pattern).MatchString(screen) {
		s.t.Fatalf("the screen shows %q", pattern)
	}
}

// The prompts.
const (
	passwordPrompt = `Password: ?$`
	codePrompt     = `One-time code: ?$`
)
