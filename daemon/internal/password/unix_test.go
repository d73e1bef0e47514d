package password_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/password"
)

// inside says that this process is the one that TestUnixPasswords started in a private /etc.
const inside = "TOTPD_TEST_PRIVATE_ETC"

// privateEtc lays a throwaway directory over /etc, in a mount namespace that ends with the process.
// The hash is that of "open sesame". "expired" has an account that ended in 1970, "old" a password that
// had to be changed then.
const privateEtc = `set -e
mount --make-rprivate /
mount -t tmpfs none "$1"
mkdir "$1/upper" "$1/work"
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/upper,workdir=$1/work" /etc
printf 'auth required pam_unix.so nullok nodelay\naccount required pam_unix.so\n' > /etc/pam.d/totpd
hash='$6$totpd$q1M/anAkLbEIlIMN2CwKxvEpSGQQoVHszG1WAJbvVfGvzPSBYujVt2n21ShCKW0h8J.TRJ2.nqbYp0SEtz7jy.'
add() { echo "$1:x:$2:$2::/nonexistent:/bin/sh" >> /etc/passwd; echo "$1:$3" >> /etc/shadow; }
add zoe     61001 "$hash:19000:0:99999:7:::"
add locked  61002 "!$hash:19000:0:99999:7:::"
add expired 61003 "$hash:19000:0:99999:7::1:"
add old     61004 "$hash:1:0:1:7:::"
add empty   61005 ":19000:0:99999:7:::"
shift
exec "$@"
`

// TestUnixPasswords needs root: it asks the real pam_unix about users of a private /etc.
func TestUnixPasswords(t *testing.T) {
	if os.Getenv(inside) != "" {
		unixPasswords(t)
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	if out, err := exec.Command("unshare", "-m", "true").CombinedOutput(); err != nil {
		t.Skipf("no mount namespaces here: %v: %s", err, out)
	}
	helper, err := build()
	if err != nil {
		t.Fatal(err)
	}
	// The Checker starts the totpd-password that lies beside the executable it runs in.
	dir := t.TempDir()
	for from, to := range map[string]string{os.Args[0]: "tests", helper: "totpd-password"} {
		if err := os.Link(from, filepath.Join(dir, to)); err != nil {
			if out, err := exec.Command("cp", from, filepath.Join(dir, to)).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
	}
	cmd := exec.Command("unshare", "-m", "sh", "-c", privateEtc, "sh", t.TempDir(),
		filepath.Join(dir, "tests"), "-test.run=^TestUnixPasswords$", "-test.v")
	cmd.Env = append(os.Environ(), inside+"=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestUnixPasswords") {
		t.Errorf("%v\n%s", err, out)
	}
	if testing.Verbose() {
		t.Logf("%s", out)
	}
}

func unixPasswords(t *testing.T) {
	checker := password.New("/nonexistent/password.sock", false)
	for _, tt := range []struct {
		user, password string
		want           password.Verdict
	}{
		{"zoe", "open sesame", password.Right},
		{"zoe", "open sesamE", password.Wrong},
		{"zoe", " ", password.Wrong},
		{"locked", "open sesame", password.Wrong},
		{"expired", "open sesame", password.Wrong},
		{"old", "open sesame", password.Wrong},
		{"empty", "x", password.Wrong},
		{"nobody-of-this-name", "open sesame", password.Wrong},
		{"root", "open sesame", password.Wrong},
	} {
		begun := time.Now()
		answer, err := checker.Check(t.Context(), tt.user, []byte(tt.password))
		if err != nil || answer.Verdict != tt.want {
			t.Errorf("%s with %q: %v, %v", tt.user, tt.password, answer, err)
		}
		t.Logf("%s: %v %s, %v", tt.user, answer.Verdict, answer.Reason, time.Since(begun))
	}
}
