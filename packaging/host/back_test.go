package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestWayBack is a host on which everything that can keep people out goes wrong after setup: a key that root is
// given later, a rule that requires a code of everybody, a module that doesn't exist, a line that jumps over the
// password, settings that totpd can't read. Setup and doctor see it, and the way back works each time.
func TestWayBack(t *testing.T) {
	t.Parallel()
	s := boot(t)
	before := s.etc()
	s.install()

	// What is only tried is no login.
	s.script("printf '[[rule]]\\nrequire = \"required\"\\n' >>/etc/totpd/totpd.toml; systemctl reload totpd")
	s.run("totpctl", "setup", "--service=sshd,sudo,su", "--ssh=any+code", "--dry-run")
	if log := s.run("totpctl", "log"); strings.Contains(log, "nobody") {
		t.Errorf("a trial left in the history: %s", log)
	}
	s.script("journalctl -q TOTPD_KIND=trial TOTPD_USER=nobody | grep -q .; ! journalctl -q TOTPD_KIND=login TOTPD_KIND=enrol | grep nobody")

	// The rule requires a code: what is taken back doesn't.
	s.run("totpctl", "setup", "--service=sshd,sudo", "--ssh=any+code", "--yes")
	s.run("totpctl", "setup", "--undo", "--yes")
	s.script("! grep -r totpd /etc/pam.d/sshd /etc/pam.d/sudo /etc/ssh")
	s.script("sed -i '/^\\[\\[rule\\]\\]/,$d' /etc/totpd/totpd.toml; systemctl reload totpd")

	// A key that root is given after setup asks for the code, or for nothing where root has none.
	s.run("totpctl", "setup", "--service=sshd,sudo", "--ssh=any+code", "--yes")
	file := filepath.Join(t.TempDir(), "root")
	s.must(run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", file))
	public, err := os.ReadFile(file + ".pub")
	s.must(err)
	_, err = s.RunInput(string(public), "sh", "-ec", "umask 077; mkdir -p /root/.ssh; cat >/root/.ssh/authorized_keys")
	s.must(err)
	root := &person{host: s}
	root.Name = "root"
	l := root.ssh("-i", file)
	l.see(`welcome, root`)
	root.enrol()
	l = root.ssh("-i", file)
	l.answer(code, root.code())
	l.see(`welcome, root`)
	root.ssh("-o", "PubkeyAuthentication=no").ends(255)
	s.run("totpctl", "disable", "root", "--yes")

	// A module that doesn't exist is seen.
	s.script("sed -i '1i auth required pam_corpdir.so' /etc/pam.d/common-auth")
	if found := s.doctor(); len(found) == 0 || found[0].ID != "stack-unloadable" {
		t.Errorf("doctor found %+v", found)
	}
	if said := s.fails("totpctl", "setup", "--service=su", "--yes"); !strings.Contains(said, "nobody gets in through su, with or without a code: there is no ") {
		t.Errorf("setup said: %s", said)
	}

	// All of it at once, and without a daemon: the package can be removed.
	s.script("sed -i '1i auth [success=2 default=ignore] pam_access.so' /etc/pam.d/common-auth; echo 'tires = 3' >>/etc/totpd/totpd.toml; " +
		"systemctl stop totpd.socket totpd.service; rm -r /var/lib/totpd/*")
	s.run("dpkg", "--purge", "totpd")
	s.script("sed -i -e /pam_access/d -e /pam_corpdir/d /etc/pam.d/common-auth")
	after := s.etc()
	for _, path := range []string{"/etc/pam.d/sshd", "/etc/pam.d/sudo", "/etc/pam.d/common-auth", "/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/00-totpd.conf"} {
		if after[path] != before[path] {
			t.Errorf("%s is %q, was %q", path, after[path], before[path])
		}
	}
}
