package main

import (
	"fmt"
	"os/exec"
	"strings"
	"time"

	"github.com/totpd/totpd/packaging/world"
)

// config is the daemon's, in the demo. One answer for each login keeps the story short.
const config = "[login]\ntries = 1\n"

// rules are those of the world.
const rules = "[[rule]]\nusers = [\"bob\"]\nrequire = \"required\"\n"

// inWorld tells the story with real sshd, ssh, PAM and users.
func inWorld(w *world.World, hold bool) int {
	fmt.Println("A throwaway world: private mounts and processes, /etc, /var and /usr overlaid in memory.")
	fmt.Println("Nothing of this machine changes.")
	s := &site{story: newStory(), terms: w.Terminals, photos: "/tmp", log: func() string { return world.Log("totpd") }}
	var sshd *world.Server
	bob := &site{story: s.story, terms: s.terms, photos: s.photos, log: s.log, welcome: `^welcome, bob$`}
	s.step("two users are made, each with a password: alice, and bob, whom a rule will require to have a second factor", func() (err error) {
		if s.user, err = w.AddPerson("alice"); err == nil {
			bob.user, err = w.AddPerson("bob")
		}
		return err
	})
	s.step("totpd is started, and says that it is ready", func() error {
		_, err := w.StartTotpd(config + rules)
		return err
	})
	s.step("sshd is started on 127.0.0.1; its PAM stack is pam_unix, then pam_totpd", func() (err error) {
		sshd, err = w.StartSSHD("sshd", world.PasswordThenCode, "")
		return err
	})
	var shell *world.Terminal
	s.step("alice logs in by ssh; not enrolled yet, the password is all that is asked", func() (err error) {
		s.login = append(sshd.Client("alice"), "echo welcome, $(id -un)")
		s.welcome = `^welcome, alice$`
		shell, err = s.talk(sshd.Client("alice", "-tt"), s.password())
		if err != nil {
			return err
		}
		_, err = shell.Wait(`alice@demo.*\$ ?$`, patience)
		return err
	})
	s.step("types 'totpctl enrol' there, and the password", func() error {
		if err := shell.Type("clear; totpctl enrol"); err != nil {
			return err
		}
		if _, err := shell.Wait(`Password of alice: ?$`, patience); err != nil {
			return err
		}
		return shell.Type(s.user.Password)
	})
	s.step("a QR reader reads the code off the terminal's screen, as a phone would", func() error { return s.scan(shell) })
	s.step("types the code that the phone shows, which activates it", func() error { return s.confirm(shell) })
	s.withCode()
	s.withoutPhone()
	s.step("root helps: totpctl disable alice --yes", func() error {
		out, err := exec.Command(world.Totpctl, "disable", "alice", "--yes").CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
	s.step("alice logs in with the password alone", func() error { return s.accepted(s.password()) })
	if s.err == nil {
		bob.login = append(sshd.Client("bob"), "echo welcome, $(id -un)")
	}
	bob.mustEnrol()
	status := s.end(w.Terminals, world.Logs(40))
	if hold && status == 0 {
		s.hold(w, sshd)
	}
	return status
}

// hold leaves the world to a person.
func (s *site) hold(w *world.World, sshd *world.Server) {
	fmt.Printf(`
The world stays up for your own phone and ssh client, until Ctrl-C or for an hour:

  ssh -p %d -o UserKnownHostsFile=/dev/null %s@127.0.0.1      password: %s
  then there: totpctl enrol                     (scan the code, type the phone's code)
  then log in again; you are asked for a code

  As root of the world:  nsenter -t %d -m -p -u -i bash       (totpctl users; totpctl disable %s)

What totpd decides:
`, sshd.Port, s.user.Name, s.user.Password, w.OuterPID, s.user.Name)
	hour := time.After(time.Hour)
	seen := len(world.Log("totpd"))
	for {
		select {
		case <-s.stop:
			fmt.Println("\nThe world is gone.")
			return
		case <-hour:
			fmt.Println("The hour is over; the world is gone.")
			return
		case <-time.After(200 * time.Millisecond):
			log := world.Log("totpd")
			if end := strings.LastIndexByte(log, '\n') + 1; end > seen {
				fmt.Print(log[seen:end])
				seen = end
			}
		}
	}
}
