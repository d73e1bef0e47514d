package host

import (
	"strings"
	"testing"
	"time"
)

// TestPasswordSocket: the socket of totpd-password is root's and the daemon's alone. Both ask there, and with one
// prompt nobody gets in without it who is asked for a code.
func TestPasswordSocket(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	if out := s.run("stat", "-c", "%U:%G %a", "/run/totpd/password.sock"); strings.TrimSpace(out) != "root:totpd 660" {
		t.Errorf("the socket is %s", out)
	}
	p := s.enrolled("ann")
	s.person("bob")
	out, err := s.RunInput("not-it\n", "setpriv", "--reuid=bob", "--regid=bob", "--init-groups", "totpctl", "enrol", "--json")
	if err == nil || !strings.Contains(out, "wrong password") {
		t.Errorf("%v: %s", err, out)
	}
	s.run("totpctl", "setup", "--service=sshd,sudo", "--ssh=password+code", "--one-prompt", "--yes")
	open := func() *screen {
		t.Helper()
		return p.ssh("-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no", "-o", "ConnectionAttempts=3")
	}
	l := open()
	l.answer(sshPassword, p.Password+p.code())
	p.welcomed(l)
	if found := s.doctor(); len(found) != 0 {
		t.Errorf("doctor says: %+v", found)
	}
	s.run("systemctl", "stop", "totpd-password.socket")
	l = open()
	l.answer(sshPassword, p.Password+p.code())
	l.ends(255)
	if len(s.doctor()) == 0 {
		t.Error("doctor finds nothing")
	}
	s.run("systemctl", "start", "totpd-password.socket")
	l = open()
	l.answer(sshPassword, p.Password+p.code())
	p.welcomed(l)

	// One that can't be started leaves its socket with systemd. The person is told nearly as soon.
	s.script("systemctl stop totpd-password.service; chmod a-x /usr/libexec/totpd/totpd-password")
	l = p.ssh("-o", "PreferredAuthentications=keyboard-interactive", "-o", "PubkeyAuthentication=no")
	l.answer(`Password and one-time code: ?$`, p.Password+p.code())
	began := time.Now()
	l.see(`codes can't be checked right now: .*reference`)
	if took := time.Since(began); took > 7*time.Second {
		t.Errorf("told after %v", took)
	}
	s.journalHas("sshd:auth", "totpd-password does not take questions")
	s.script("chmod a+x /usr/libexec/totpd/totpd-password; systemctl start totpd-password.socket")
}

// guesses has 300 loops of su as mallory, each with a wrong password for ann, in a unit called guesses.
const guesses = `
cat >/home/mallory/guess <<'END'
for i in $(seq 300); do
	while sleep 0.1; do echo wrong123456 | setsid su ann -c true; done &
done >/dev/null 2>&1
wait
END
systemd-run --quiet --unit=guesses --uid=mallory --property=TasksMax=infinity sh /home/mallory/guess
`

// waits leaves 300 su of mallory's at the prompt, in a unit called waits.
const waits = `
cat >/home/mallory/wait <<'END'
for i in $(seq 300); do
	sleep 1000 | setsid su ann -c true &
done >/dev/null 2>&1
wait
END
systemd-run --quiet --unit=waits --uid=mallory --property=TasksMax=infinity sh /home/mallory/wait
until test $(pgrep --exact su | wc -l) -ge 300; do sleep 0.2; done
sleep 2
`

// TestOneUserKeepsNobodyOut: who leaves logins at the prompt, where no password is needed to get that far, or guesses
// passwords all the time, keeps nobody from logging in or enrolling.
func TestOneUserKeepsNobodyOut(t *testing.T) {
	s := boot(t)
	s.install()
	ann, bob := s.enrolled("ann"), s.person("bob")
	s.person("mallory")
	s.run("totpctl", "setup", "--service=sshd,su", "--ssh=password+code", "--one-prompt", "--yes")
	logsIn := func() {
		t.Helper()
		began := time.Now()
		l := ann.ssh("-o", "PreferredAuthentications=password", "-o", "PubkeyAuthentication=no", "-o", "ConnectionAttempts=3")
		l.answer(sshPassword, ann.Password+ann.code())
		ann.welcomed(l)
		t.Logf("a login took %v", time.Since(began).Round(time.Millisecond))
	}

	first := s.open(s.Terminal("setpriv", "--reuid=mallory", "--regid=mallory", "--init-groups", "su", "ann", "-c", "echo as $(id -un)")...)
	first.see(`Password and one-time code: ?$`)
	s.script(waits)
	logsIn()
	if out := s.script(`journalctl --quiet --unit=totpd --grep='too many at once: .* the last of "local mallory"' || :`); out == "" {
		t.Error("the journal has no word of it")
	}
	// The oldest of all was hung up on. It begins again.
	first.answer(`Password and one-time code: ?$`, ann.Password+ann.code())
	first.see(`^as ann$`)
	first.never(`one-time code`)
	s.run("systemctl", "kill", "--signal=KILL", "waits.service")

	s.script(guesses)
	time.Sleep(10 * time.Second)
	for range 2 {
		logsIn()
		began := time.Now()
		out, err := s.RunInput(bob.Password+"\n", "setpriv", "--reuid=bob", "--regid=bob", "--init-groups", "totpctl", "enrol", "--json")
		if !strings.Contains(out, "otpauth://") {
			t.Errorf("enrol: %v: %s", err, out)
		}
		t.Logf("an enrolment took %v", time.Since(began).Round(time.Millisecond))
	}
	if n := ann.failures(); n != 0 {
		t.Errorf("%d failures after wrong passwords", n)
	}
	s.run("systemctl", "kill", "--signal=KILL", "guesses.service")
	n := strings.TrimSpace(s.script("journalctl --quiet --grep='pam_totpd.*the password is wrong' | wc -l"))
	if t.Logf("%s guesses were answered", n); len(n) < 2 {
		t.Error("nobody guessed")
	}
	if out := s.script("journalctl --quiet --unit=totpd-password.service --priority=warning || :"); out != "" {
		t.Errorf("totpd-password says: %s", out)
	}
}
