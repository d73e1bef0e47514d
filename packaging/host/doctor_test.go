package host

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// finding is one of totpctl doctor's.
type finding struct{ ID, Severity, Text, Place, Remedy string }

// doctor returns the errors and warnings. That the clock isn't synchronised is left out: a container has
// the machine's.
func (s *site) doctor() []finding {
	s.t.Helper()
	out := s.script("totpctl doctor --json || [ $? = 1 ]")
	var report struct{ Findings []finding }
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		s.t.Fatalf("%v: %s", err, out)
	}
	return slices.DeleteFunc(report.Findings, func(f finding) bool {
		return f.Severity == "note" || f.ID == "clock-unsynchronised"
	})
}

// TestDoctor plants one fault after the other on a healthy host. Each is found, and typing the remedy
// mends it; where the remedy is for a person to think about, mend is what the person does.
func TestDoctor(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	ann := s.enrolled("ann")
	if found := s.doctor(); len(found) != 0 {
		t.Fatalf("a healthy host: %+v", found)
	}
	s.enrolled("bea")
	s.must(s.Copy(hangingNames(t), "/usr/lib/"+runtimeTriplet(t)))
	// The first file of settings counts: before totpctl setup's comes somebody else's.
	const first, reload = "printf ", " >/etc/ssh/sshd_config.d/00-a.conf; systemctl reload ssh"
	for _, fault := range []struct{ id, plant, mend string }{
		{"module-owner", "chmod o+w /usr/lib/*/security/pam_totpd.so", ""},
		{"module-foreign", "cd /usr/lib/*/security; cp -p pam_totpd.so /root; cp pam_permit.so pam_totpd.so", "cp -p /root/pam_totpd.so /usr/lib/*/security"},
		{"stack-before-password", "sed -i '1i auth required pam_totpd.so' /etc/pam.d/chsh", ""},
		{"stack-optional", "sed -i 's/required  pam_totpd/optional  pam_totpd/' /etc/pam.d/su", ""},
		{"stack-argument", "sed -i 's/pam_totpd.so$/& colour=red/' /etc/pam.d/sudo", "sed -i 's/ colour=red//' /etc/pam.d/sudo"},
		{"stack-totpd", "echo 'auth required pam_totpd.so' >>/etc/pam.d/totpd", ""},
		{"sshd-kbdint", first + `'KbdInteractiveAuthentication no\nAuthenticationMethods any\n'` + reload, ""},
		{"sshd-usepam", first + `'UsePAM no\nAuthenticationMethods any\n'` + reload, ""},
		{"sshd-password", first + `'PasswordAuthentication yes\nAuthenticationMethods any\n'` + reload, ""},
		{"sshd-stale", "sleep 1; touch /etc/ssh/sshd_config", ""},
		{"unit-stopped", "systemctl stop totpd.socket totpd.service", ""},
		{"unit-disabled", "systemctl disable totpd.socket", ""},
		{"unit-masked", "systemctl mask --now totpd-password.socket", ""},
		{"socket-mode", "chmod 600 /run/totpd/login.sock", ""},
		{"config-broken", "echo 'tires = 3' >>/etc/totpd/totpd.toml", "sed -i /tires/d /etc/totpd/totpd.toml; systemctl reload-or-restart totpd"},
		{"store-open", "chmod 644 /var/lib/totpd/totpd.db", ""},
		{"key-open", "chmod 644 /var/lib/totpd/totpd.key", ""},
		{"key-missing", "mv /var/lib/totpd/totpd.key /root", "mv /root/totpd.key /var/lib/totpd"},
		{"daemon-silent", "systemctl kill --signal=STOP totpd.service", ""},
		{"store-unwritable", `systemd-run --quiet --unit=holder sh -c '(echo "BEGIN IMMEDIATE;"; exec sleep 600) | sqlite3 /var/lib/totpd/totpd.db'; sleep 1`, ""},
		{"daemon-names", "cp /etc/nsswitch.conf /root; sed -i 's/^passwd:.*/passwd: files hang/' /etc/nsswitch.conf", "cp /root/nsswitch.conf /etc"},
		{"people-broken", `sqlite3 /var/lib/totpd/totpd.db "UPDATE account SET record = 'x' WHERE user = 'bea'"`, ""},
		{"store-owner", "chown root /var/lib/totpd", ""},
		{"key-owner", "chown daemon /var/lib/totpd/totpd.key", ""},
		{"socket-missing", "rm /run/totpd/login.sock", ""},
		{"socket-open", "chmod 666 /run/totpd/password.sock", ""},
		{"stack-jump", "sed -i '1i auth [success=1 default=ignore] pam_access.so' /etc/pam.d/sudo", ""},
		{"stack-other", "cd /usr/lib/*/security; cp pam_permit.so pam_google_authenticator.so; echo 'auth required pam_google_authenticator.so' >>/etc/pam.d/su", ""},
	} {
		s.script(fault.plant)
		found := s.doctor()
		i := slices.IndexFunc(found, func(f finding) bool { return f.ID == fault.id })
		if i < 0 {
			t.Fatalf("%s isn't found, but %+v", fault.id, found)
		}
		t.Logf("%s: %s: %s\nremedy: %s", fault.id, found[i].Place, found[i].Text, found[i].Remedy)
		mend := found[i].Remedy
		if fault.mend != "" {
			mend = fault.mend
		}
		s.script(mend)
		left := s.doctor()
		for range 3 { // of several faults, each has its remedy
			if len(left) == 0 {
				break
			}
			t.Logf("then %s: %s\nremedy: %s", left[0].ID, left[0].Text, left[0].Remedy)
			s.script(left[0].Remedy)
			left = s.doctor()
		}
		if len(left) != 0 {
			t.Fatalf("%s isn't mended: %+v", fault.id, left)
		}
	}
	l := ann.ssh()
	l.answer(password, ann.Password)
	l.answer(code, ann.code())
	ann.welcomed(l)
}

// hangingNames is a source for nsswitch.conf(5) that doesn't answer, like a directory that can't be reached.
func hangingNames(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	const source = `#include <pwd.h>
#include <unistd.h>
int _nss_hang_getpwnam_r(const char *name, struct passwd *pw, char *buffer, size_t size, int *error);
int _nss_hang_getpwnam_r(const char *name, struct passwd *pw, char *buffer, size_t size, int *error) { sleep(15); return 0; }
`
	if err := os.WriteFile(filepath.Join(dir, "hang.c"), []byte(source), 0o644); err != nil {
		t.Fatal(err)
	}
	library := filepath.Join(dir, "libnss_hang.so.2")
	if out, err := exec.Command("gcc", "-shared", "-fPIC", "-o", library, filepath.Join(dir, "hang.c")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return library
}

// runtimeTriplet names the directory of this machine's libraries.
func runtimeTriplet(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("gcc", "-print-multiarch").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}
