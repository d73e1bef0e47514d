package host

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	crowd  = 200 // users, each with an own secret and one login
	atOnce = 20
)

// askpass answers the prompts of an ssh client without a terminal: the password, and after a person's look
// at the phone the code of now; for each prompt after that the code of the next step.
const askpass = `#!/bin/sh
case $1 in
*[Pp]assword:*) echo "$PASSWORD" ;;
*code:*)
	sleep 1
	echo . >>"$ASKED"
	steps=$(($(wc -l <"$ASKED") - 1))
	echo "$SECRET" | oathtool --totp -b -N "now + $((30 * steps)) seconds" - ;;
*) exit 1 ;;
esac
`

// TestNoLoginFails takes the daemon away in the middle of two hundred logins by ssh: killed, stopped,
// restarted, and upgraded by dpkg. None of the logins fails.
func TestNoLoginFails(t *testing.T) {
	s := boot(t)
	s.install()
	newer := s.repack("9.0")
	s.turnOn()
	// More clients at once than sshd's default lets wait to be let in.
	s.script("echo 'MaxStartups 100' >/etc/ssh/sshd_config.d/crowd.conf; systemctl reload ssh")
	secrets := s.crowd()
	helper := filepath.Join(t.TempDir(), "askpass")
	s.must(os.WriteFile(helper, []byte(askpass), 0o755))

	var done, failed atomic.Int32
	next := make(chan int)
	var all sync.WaitGroup
	for range atOnce {
		all.Go(func() {
			for i := range next {
				if err := s.crowdLogin(helper, i, secrets[i]); err != nil && failed.Add(1) <= 10 {
					t.Errorf("after %d logins: %v", done.Load(), err)
				}
				done.Add(1)
			}
		})
	}
	go func() {
		for i := range crowd {
			next <- i
		}
		close(next)
	}()
	finished := make(chan struct{})
	go func() { all.Wait(); close(finished) }()

	began := time.Now()
	disturbed := s.disturb(finished, &done, []disturbance{
		{"kill", "systemctl kill --signal=KILL totpd.service"},
		{"stop and start", "systemctl stop totpd.service; sleep 1; systemctl start totpd.service"},
		{"restart", "systemctl restart totpd.service"},
		{"upgrade", "dpkg --install " + newer},
	})
	<-finished
	t.Logf("%d of %d logins failed, in %v; %v", failed.Load(), crowd, time.Since(began).Round(time.Second), disturbed)
	if version := s.run("dpkg-query", "--show", "--showformat=${Version}", "totpd"); version != "9.0" {
		t.Errorf("version %s is installed", version)
	}
}

// disturbance is something that an administrator does to the daemon.
type disturbance struct{ name, script string }

// disturb does one thing after the other, again and again, until the logins are finished. Each must have
// been done while logins went on. It returns how often.
func (s *site) disturb(finished <-chan struct{}, done *atomic.Int32, all []disturbance) map[string]int {
	s.t.Helper()
	count := map[string]int{}
	for i := 0; ; i++ {
		select {
		case <-finished:
			for _, d := range all {
				if count[d.name] == 0 {
					s.t.Errorf("all logins were over before: %s", d.name)
				}
			}
			return count
		// systemd takes a unit that starts five times in ten seconds for broken.
		case <-time.After(2500 * time.Millisecond):
		}
		d := all[i%len(all)]
		before := done.Load()
		if out, err := s.Run("sh", "-ec", d.script); err != nil {
			s.t.Errorf("%s: %v: %s", d.name, err, out)
		}
		if before < crowd-atOnce {
			count[d.name]++
		}
	}
}

// crowd makes users who have the same password and each an own secret, and returns the secrets.
func (s *site) crowd() []string {
	s.t.Helper()
	var users, passwords, uris strings.Builder
	var secrets []string
	for i := range crowd {
		secrets = append(secrets, (rand.Text() + rand.Text())[:32])
		fmt.Fprintf(&users, "useradd --create-home user%d\n", i)
		fmt.Fprintf(&passwords, "user%d:together\n", i)
		fmt.Fprintf(&uris, "user%d otpauth://totp/user%d?secret=%s&issuer=test\n", i, i, secrets[i])
	}
	for _, c := range []struct {
		input string
		argv  []string
	}{
		{users.String(), []string{"sh", "-e"}},
		// Not Debian's yescrypt, which would be most of the work of this test.
		{passwords.String(), []string{"chpasswd", "--crypt-method=SHA512"}},
		{uris.String(), []string{"sh", "-ec", `while read -r user uri; do echo "$uri" | totpctl enrol "$user" --uri -; done`}},
	} {
		_, err := s.RunInput(c.input, c.argv...)
		s.must(err)
	}
	return secrets
}

// crowdLogin logs one of the users in by ssh.
func (s *site) crowdLogin(helper string, i int, secret string) error {
	user := fmt.Sprintf("user%d", i)
	argv := append(s.SSH(user, "-o", "PreferredAuthentications=keyboard-interactive"), "id -un")
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), "SSH_ASKPASS="+helper, "SSH_ASKPASS_REQUIRE=force", "PASSWORD=together", "SECRET="+secret,
		"ASKED="+filepath.Join(filepath.Dir(helper), user))
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != user+"\n" {
		return fmt.Errorf("%s is not let in, after %v: %v: %s", user, time.Since(began).Round(time.Millisecond), err, out)
	}
	return nil
}
