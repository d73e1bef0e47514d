package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/cli/internal/system"
	"github.com/totpd/totpd/daemon/control"
)

// The daemon that the tests run, as "-check" and for real.
var daemon string

func TestMain(m *testing.M) {
	system.Booted = func() bool { return true }
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "doctor")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		daemon = filepath.Join(dir, "totpd")
		build := exec.Command("go", "build", "-ldflags", "-X main.version=1.2.3", "-o", daemon, "./daemon")
		build.Dir = "../../.."
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build the daemon: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// host is a directory tree with everything that a healthy host has, a daemon, and a system bus with what
// is asked there.
type host struct {
	*testing.T
	root string
	Host
	bus  *bus
	stop func() // the daemon
	pid  int    // its
}

// Files of a healthy host, as Debian has them.
var healthyFiles = map[string]string{
	"etc/passwd": "root:x:0:0::/root:/bin/sh\n",
	"etc/shadow": "root:*:1::::::\n",
	"etc/pam.d/common-auth": "auth [success=1 default=ignore] pam_unix.so nullok\n" +
		"auth requisite pam_deny.so\nauth required pam_permit.so\n",
	"etc/pam.d/common-account": "account required pam_unix.so\n",
	"etc/pam.d/other":          "@include common-auth\n@include common-account\n",
	"etc/pam.d/sshd":           "# ssh\n@include common-auth\nauth required pam_totpd.so\naccount required pam_nologin.so\n@include common-account\n",
	"etc/pam.d/login":          "auth optional pam_faildelay.so delay=3000000\nauth requisite pam_nologin.so\n@include common-auth\nauth required pam_totpd.so\nauth optional pam_group.so\n@include common-account\n",
	"etc/pam.d/su":             "auth sufficient pam_rootok.so\n@include common-auth\nauth required pam_totpd.so\n@include common-account\n",
	"etc/pam.d/su-l":           "auth include su\naccount include su\n",
	"etc/pam.d/sudo":           "@include common-auth\nauth required pam_totpd.so debug\n@include common-account\n",
	"etc/pam.d/sudo-i":         "@include common-auth\nauth required pam_totpd.so\n@include common-account\n",
	"etc/pam.d/passwd":         "@include common-password\n",
	"etc/pam.d/totpd":          "auth requisite pam_unix.so\naccount required pam_unix.so\n",
	"etc/ssh/sshd_config":      "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\n",
	"etc/ssh/sshd_config.d/totpd.conf": "UsePAM yes\nKbdInteractiveAuthentication yes\nPasswordAuthentication no\n" +
		"AuthenticationMethods publickey,keyboard-interactive keyboard-interactive\n" +
		"Match User root\n\tPermitRootLogin yes\n\tAuthenticationMethods publickey,keyboard-interactive\n",
	"etc/totpd/totpd.toml": "[code]\nissuer = \"test\"\n",
	// As in sshd, the first value of a keyword counts, and one below "Match User NAME" more than the others. Only the
	// test modes are needed.
	"usr/sbin/sshd": `#!/bin/sh
root=${0%/usr/sbin/sshd}
for f in "$root"/etc/ssh/sshd_config.d/*.conf "$root/etc/ssh/sshd_config"; do
	awk -v f="$f" 'tolower($1) == "nonsense" { print f ": line " NR ": Bad configuration option: " $1 | "cat >&2"; exit 255 }' "$f" || exit 255
done
user=$(echo "$*" | sed -n 's/.*-C user=\([^,]*\).*/\1/p')
awk -v user="$user" '
	FNR == 1 { block = 0 }
	tolower($1) == "match" { block = user != "" && tolower($2) == "user" && $3 == user ? 2 : 1; next }
	block == 1 { next }
	{ k = tolower($1) }
	/^[ \t]*[A-Za-z]/ && block == 2 && !(k in own) { $1 = k; own[k] = $0 }
	/^[A-Za-z]/ && block == 0 && !(k in all) { $1 = k; all[k] = $0 }
	END {
		for (k in own) all[k] = own[k]
		for (k in all) { seen[k] = 1; print all[k] }
		split("usepam no:kbdinteractiveauthentication yes:passwordauthentication yes:pubkeyauthentication yes:permitrootlogin prohibit-password:authenticationmethods any:logingracetime 120", d, ":")
		for (i in d) { split(d[i], w, " "); if (!seen[w[1]]) print d[i] }
	}' "$root"/etc/ssh/sshd_config.d/*.conf "$root/etc/ssh/sshd_config"
`,
}

// newHost makes a healthy host.
func newHost(t *testing.T) *host {
	t.Helper()
	root, err := os.MkdirTemp("", "h") // short: paths of sockets are
	if err != nil {
		t.Fatal(err)
	}
	h := &host{T: t, root: root, bus: newBus(t)}
	t.Cleanup(func() { os.RemoveAll(root) })
	for path, text := range healthyFiles {
		h.write(path, text)
	}
	h.run("chmod 0755 usr/sbin/sshd && mkdir -p var/lib/totpd run/totpd run/systemd/system usr/libexec/totpd && chmod 0700 var/lib/totpd && chmod 0755 . run run/totpd")
	modules := "usr/lib/x86_64-linux-gnu/security"
	if native() == "aarch64" {
		modules = "usr/lib/aarch64-linux-gnu/security"
	}
	h.run("mkdir -p " + modules + " && cp /" + modules + "/pam_permit.so " + modules + "/ && cp /" + modules + "/pam_permit.so " + modules + "/pam_totpd.so")
	h.run("for m in /" + modules + "/pam_*.so; do test -e " + modules + "/${m##*/} || ln -s $m " + modules + "/; done; cd " + modules + " && ln -s pam_permit.so pam_sss.so && ln -s pam_permit.so pam_fprintd.so")
	h.run("cp " + daemon + " usr/libexec/totpd/totpd")
	h.startDaemon()
	password, err := net.Listen("unix", h.path("run/totpd/password.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { password.Close() })
	h.run("chmod 0600 run/totpd/password.sock")
	h.Host = Host{
		Root: root, Bus: h.bus.address, Version: "1.2.3", UID: os.Geteuid(), Now: time.Now(),
		RootUID: uint32(os.Geteuid()),
		Lookup: func(name string) (*user.User, error) {
			if name == somebody { // a user of this host, with an account
				return user.Lookup(name)
			}
			return &user.User{Username: name, Uid: strconv.Itoa(os.Geteuid())}, nil
		},
		Offline:     func() *control.Client { return control.NewClient("/nowhere") },
		Load:        func(_ context.Context, path string) error { return TryModule(path) },
		Space:       func(string) (Space, error) { return Space{Free: 1 << 30, Inodes: 1000, Left: 900}, nil },
		KernelClock: func() (bool, error) { return false, errors.New("not asked in tests") },
	}
	return h
}

func (h *host) path(p string) string { return filepath.Join(h.root, p) }

func (h *host) write(path, text string) {
	h.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(h.path(path)), 0o755), os.WriteFile(h.path(path), []byte(text), 0o644)); err != nil {
		h.Fatal(err)
	}
}

func (h *host) run(command string) {
	h.Helper()
	cmd := exec.Command("sh", "-ec", command)
	cmd.Dir = h.root
	if out, err := cmd.CombinedOutput(); err != nil {
		h.Fatalf("%s: %v\n%s", command, err, out)
	}
}

// startDaemon starts the daemon on the host's paths and waits until it listens.
func (h *host) startDaemon() {
	h.Helper()
	config := strings.ReplaceAll("[listen]\nlogin='R/run/totpd/login.sock'\ncontrol='R/run/totpd/control.sock'\npassword='R/run/totpd/password.sock'\n"+
		"[store]\npath='R/var/lib/totpd/totpd.db'\n[key]\nfile='R/var/lib/totpd/totpd.key'\n", "R", h.root)
	h.write("daemon.toml", config)
	h.run(daemon + " -config daemon.toml -init")
	cmd := exec.Command(daemon, "-config", h.path("daemon.toml"))
	cmd.Env = []string{"PATH=/usr/bin:/bin"}
	var log strings.Builder
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		h.Fatal(err)
	}
	h.pid = cmd.Process.Pid
	h.stop = func() {
		if h.stop != nil {
			h.stop = nil
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	h.Cleanup(func() {
		if h.stop != nil {
			h.stop()
		}
	})
	client := control.NewClient(h.path("run/totpd/control.sock"))
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if _, err := client.Version(h.Context()); err == nil {
			return
		}
		if time.Now().After(deadline) {
			h.Fatalf("the daemon doesn't listen: %s", log.String())
		}
	}
}

func (h *host) examine() Report {
	h.Helper()
	return Examine(h.Context(), h.Host)
}

// systemctl is what a tree has no systemd for; sshd -t would look at the machine's own files.
var systemctl = regexp.MustCompile(` *(&& |; )?(/usr/sbin/sshd -t|(?:systemctl|mount) [^&;#]*)`)

// heal does what a remedy says, but for what only systemd can do.
func (h *host) heal(remedy string) {
	h.Helper()
	command := systemctl.ReplaceAllString(remedy, " ")
	for _, dir := range []string{"etc", "usr", "var", "run"} {
		command = regexp.MustCompile(`(^|[ >])/`+dir+`/`).ReplaceAllString(command, "${1}"+h.root+"/"+dir+"/")
	}
	me := strconv.Itoa(os.Geteuid())
	command = strings.NewReplacer("root:root", me, "totpd:totpd", me).Replace(command)
	h.run(command)
}

func listing(r Report) string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "  %s %s: %s\n    at %s\n    remedy: %s\n", f.Severity, f.ID, f.Text, f.Place, f.Remedy)
	}
	for _, l := range r.Unseen {
		fmt.Fprintf(&b, "  unseen: %s: %s\n", l.Topic, l.Text)
	}
	return b.String()
}
