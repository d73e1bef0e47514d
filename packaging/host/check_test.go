package host

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSetupIsWatched: after totpctl setup, systemd notices when its work is lost, and the journal and the bus tell
// it; the remedy puts it back, which is told too. Taking it back ends the watch.
func TestSetupIsWatched(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.fails("systemctl", "is-active", "totpd-check.path", "totpd-check.timer")
	s.turnOn()
	s.run("systemctl", "is-active", "totpd-check.path", "totpd-check.timer")
	s.run("systemctl", "is-enabled", "totpd-check.path", "totpd-check.timer")
	s.run("systemctl", "start", "totpd-check.service")
	s.run("totpctl", "setup", "--check")
	ann := s.enrolled("ann")
	s.run("systemd-run", "--quiet", "--unit=ears", "totpctl", "events", "--json")

	waitFor := func(what, command, pattern string, within time.Duration) {
		t.Helper()
		var out string
		for end := time.Now().Add(within); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
			if out = s.script(command); strings.Contains(out, pattern) {
				return
			}
		}
		t.Fatalf("%s: not told within %v: %s\n%s", what, within, out, s.script("systemctl status totpd-check.* --no-pager -n 20 || true"))
	}
	const journal = "journalctl -o cat --no-pager MESSAGE_ID=a1f0c9d27b5e4d0b8f36e2c47d915b0e | tail -n 1"
	waitFor("a listener", "journalctl -u ears -o cat --no-pager", "Waiting for everybody's events", 10*time.Second)
	mend := func(what string) {
		t.Helper()
		found := s.doctor()
		i := slices.IndexFunc(found, func(f finding) bool { return f.ID == "setup-lost" })
		if i < 0 {
			t.Fatalf("%s: setup-lost isn't found, but %+v", what, found)
		}
		t.Logf("%s: %s\nremedy: %s", what, found[i].Text, found[i].Remedy)
		s.script(found[i].Remedy)
		if left := s.doctor(); len(left) > 0 {
			t.Fatalf("%s isn't mended: %+v", what, left)
		}
		waitFor(what+", mended", journal, "result=done reason=in_place", time.Minute)
	}

	// The answer to dpkg's question about a changed file.
	s.script("cp /var/lib/totpd-setup/etc:pam.d:sshd.* /etc/pam.d/sshd")
	waitFor("the file put back", journal, "result=lost", time.Minute)
	waitFor("the file put back", "journalctl -u ears -o cat --no-pager", `"event":"lost"`, 10*time.Second)
	s.run("totpctl", "log", "--json")
	s.fails("totpctl", "setup", "--check")
	if out := s.script("systemctl --failed --no-legend --plain"); !strings.Contains(out, "totpd-check.service") {
		t.Errorf("the unit hasn't failed: %s", out)
	}
	mend("the file put back")
	waitFor("and again", "journalctl -u ears -o cat --no-pager", `"event":"restored"`, 10*time.Second)

	// Configuration management that writes sshd's settings.
	s.script("rm /etc/ssh/sshd_config.d/00-totpd.conf; systemctl reload ssh")
	waitFor("sshd's file gone", journal, "00-totpd.conf: the file is gone", time.Minute)
	mend("sshd's file gone")

	// What the path unit doesn't see, the timer does; also while the daemon can't be told.
	s.script("systemctl stop totpd-check.path; mkdir -p /run/systemd/system/totpd-check.timer.d; printf '[Timer]\nOnUnitInactiveSec=\nOnUnitInactiveSec=3s\n' >/run/systemd/system/totpd-check.timer.d/quick.conf; systemctl daemon-reload; systemctl restart totpd-check.timer; systemctl start totpd-check.service")
	s.script("sed -i 's/^auth  required  pam_totpd/#&/' /etc/pam.d/su")
	waitFor("a line commented out", journal, "/etc/pam.d/su: ", time.Minute)
	mend("a line commented out")
	s.script("systemctl stop totpd.socket totpd.service; sed -i 's/^auth  required  pam_totpd/#&/' /etc/pam.d/su")
	waitFor("without a daemon", "journalctl --no-pager -o cat SYSLOG_IDENTIFIER=totpctl MESSAGE_ID=a1f0c9d27b5e4d0b8f36e2c47d915b0e", "/etc/pam.d/su: ", time.Minute)
	s.script("systemctl start totpd.socket totpd.service; totpctl setup --service=su --yes")
	s.run("totpctl", "setup", "--check")
	l := ann.ssh()
	l.answer(password, ann.Password)
	l.answer(code, ann.code())
	ann.welcomed(l)

	s.run("totpctl", "setup", "--undo", "--yes")
	s.fails("systemctl", "is-active", "totpd-check.path", "totpd-check.timer")
	s.fails("systemctl", "is-enabled", "totpd-check.path", "totpd-check.timer")
}
