package host

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/wire"
)

// strangers has a user of the host begin logins as others, which the daemon refuses: one after the other, as fast as
// it can. Like the module it hangs up at the verdict.
func (s *site) strangers(user, as string, n int) {
	s.t.Helper()
	frame, err := wire.AppendOpen(nil, &wire.Open{User: as, Service: "sshd"})
	s.must(err)
	s.run("setpriv", "--reuid="+user, "--regid="+user, "--clear-groups", "perl", "-MSocket", "-e", fmt.Sprintf(`
for (1..%d) {
	socket(my $s, PF_UNIX, SOCK_STREAM, 0) or die "socket: $!";
	connect($s, sockaddr_un("/run/totpd/login.sock")) or die "connect: $!";
	syswrite($s, pack("H*", "%s"));
	sysread($s, my $text, 4096);
}`, n, hex.EncodeToString(frame)))
}

// TestGuessesAreInTheJournal has a user cause thousands of refusals, more than get a line each, beside wrong codes of
// somebody else. Then journald stands still: logins go on, and afterwards the lines are there.
func TestGuessesAreInTheJournal(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	alice := s.enrolled("alice")
	s.person("mallory")

	guesses := func(want int) {
		t.Helper()
		n := 0
		for deadline := time.Now().Add(patience); n < want && time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
			s.run("journalctl", "--sync")
			out := s.run("journalctl", "--output=cat", "TOTPD_REASON=wrong_code", "TOTPD_USER=alice")
			n = strings.Count(out, "\n")
		}
		if n != want {
			t.Errorf("%d wrong codes are in the journal, not %d", n, want)
		}
	}
	wrong := func() {
		t.Helper()
		l := alice.ssh()
		l.answer(password, alice.Password)
		l.answer(code, alice.wrongCode())
		l.answer(code, alice.code())
		alice.welcomed(l)
	}
	s.strangers("mallory", "alice", 4000)
	wrong()
	s.strangers("mallory", "alice", 4000)
	guesses(1)
	mallory := strings.TrimSpace(s.run("id", "-u", "mallory"))
	out := s.run("journalctl", "--output=cat", "TOTPD_REASON=not_own_login", "TOTPD_CALLER_UID="+mallory)
	if n := strings.Count(out, "\n"); n < 1000 || n > 1200 {
		t.Errorf("mallory has %d lines", n)
	}
	const suppressed = "MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e" // journald's own line about lines that it dropped
	if out := s.script("journalctl --quiet --output=cat " + suppressed + " || true"); strings.Contains(out, "totpd.service") {
		t.Error(out)
	}

	// With a journald that doesn't read, and more lines than it has room for.
	s.run("systemctl", "kill", "--signal=STOP", "systemd-journald.service")
	time.Sleep(1100 * time.Millisecond) // for some of mallory's lines to be due again
	s.strangers("alice", "mallory", 2000)
	began := time.Now()
	wrong()
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("a login took %v", took)
	}
	s.run("systemctl", "kill", "--signal=CONT", "systemd-journald.service")
	guesses(2)
	s.run("systemctl", "is-active", "totpd.service")
}
