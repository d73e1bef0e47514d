package host

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/packaging/world"
)

// patience is for what takes well under a second, on a loaded machine too.
const patience = 30 * time.Second

// The prompts.
const (
	sshPassword = `password: ?$` // of sshd's own method
	password    = `Password: ?$` // of PAM
	code        = `One-time code: ?$`
)

// person is a user of a host, with an authenticator once enrolled.
type person struct {
	world.Person
	phone *world.Phone
	host  *site
}

// person makes a user with a home and a password.
func (s *site) person(name string) *person {
	s.t.Helper()
	p := &person{Person: world.Person{Name: name, Password: strings.ToLower(rand.Text()[:12])}, host: s}
	s.run("useradd", "--create-home", "--shell", "/bin/bash", name)
	_, err := s.RunInput(name+":"+p.Password+"\n", "chpasswd")
	s.must(err)
	s.script("touch /home/" + name + "/.hushlogin") // a terminal shows the story alone
	return p
}

// enrolled makes a user with a second factor, the short way, as root.
func (s *site) enrolled(name string) *person {
	s.t.Helper()
	p := s.person(name)
	p.enrol()
	return p
}

func (p *person) enrol() {
	p.host.t.Helper()
	uri := fmt.Sprintf("otpauth://totp/%s?secret=%s&issuer=test", p.Name, (rand.Text() + rand.Text())[:32])
	_, err := p.host.RunInput(uri+"\n", "totpctl", "enrol", p.Name, "--uri", "-")
	p.host.must(err)
	p.phone, err = world.NewPhone(uri)
	p.host.must(err)
}

// code is one that will be accepted; wrongCode one that won't.
func (p *person) code() string {
	p.host.t.Helper()
	c, err := p.phone.Code()
	p.host.must(err)
	return c
}

func (p *person) wrongCode() string {
	p.host.t.Helper()
	c, err := p.phone.WrongCode()
	p.host.must(err)
	return c
}

// key gives the person a key pair, and returns the private key's file in the lab.
func (p *person) key() string {
	p.host.t.Helper()
	file := filepath.Join(p.host.t.TempDir(), p.Name)
	p.host.must(run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file))
	public, err := os.ReadFile(file + ".pub")
	p.host.must(err)
	_, err = p.host.RunInput(string(public), "setpriv", "--reuid="+p.Name, "--regid="+p.Name, "--clear-groups", "sh", "-ec",
		"cd /home/"+p.Name+"; umask 077; mkdir .ssh; cat >.ssh/authorized_keys")
	p.host.must(err)
	return file
}

// screen is a terminal in a test: whatever goes wrong fails the test, which then shows the screen.
type screen struct {
	*world.Terminal
	t    *testing.T
	name string
}

// open opens a terminal in the lab.
func (s *site) open(argv ...string) *screen {
	s.t.Helper()
	name := fmt.Sprintf("%s-%d", filepath.Base(argv[0]), len(s.terminals))
	term, err := s.Open(name, argv...)
	s.must(err)
	s.terminals = append(s.terminals, &screen{term, s.t, name})
	return s.terminals[len(s.terminals)-1]
}

// ssh starts a client, which runs one command on the host.
func (p *person) ssh(options ...string) *screen {
	p.host.t.Helper()
	return p.host.open(append(p.host.SSH(p.Name, options...), "echo welcome, $(id -un)")...)
}

// login begins a login at a new terminal of the host.
func (p *person) login() *screen {
	p.host.t.Helper()
	s := p.host.open(p.host.Getty("tty")...)
	s.answer(`login: ?$`, p.Name)
	return s
}

// prompt is the one of the person's shell on the host.
func (p *person) prompt() string { return p.Name + `@` + p.host.Name + `:.*\$ ?$` }

// see waits for a pattern.
func (s *screen) see(pattern string) string {
	s.t.Helper()
	text, err := s.Wait(pattern, patience)
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// answer waits for a prompt and types what it asks for, on a screen emptied of what was before.
func (s *screen) answer(prompt, text string) {
	s.t.Helper()
	s.see(prompt)
	s.must(errors.Join(s.Clear(), s.Type(text)))
}

// ends waits for the program's end and compares its exit status.
func (s *screen) ends(want int) {
	s.t.Helper()
	got, err := s.End(patience)
	if err != nil {
		s.t.Fatal(err)
	}
	if got != want {
		s.t.Fatalf("exit status %d, want %d", got, want)
	}
}

func (s *screen) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// leave ends what is in a terminal, as somebody who types Ctrl-D does.
func (s *screen) leave() {
	s.t.Helper()
	s.must(s.Press("C-d"))
}

// never fails if the screen shows a pattern.
func (s *screen) never(pattern string) {
	s.t.Helper()
	if regexp.MustCompile("(?m)" + pattern).MatchString(s.Screen()) {
		s.t.Fatalf("the screen shows %q", pattern)
	}
}

// welcomed ends an ssh login that lets in.
func (p *person) welcomed(s *screen) {
	s.t.Helper()
	s.see(`^welcome, ` + p.Name + `$`)
	s.ends(0)
}
