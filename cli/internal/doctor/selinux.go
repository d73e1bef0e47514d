package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// SELinux is how far it watches totpd.
type SELinux struct {
	Mode   string `json:"mode"`             // enforcing or permissive
	Loaded *bool  `json:"loaded,omitempty"` // our policy module
	Domain string `json:"domain,omitempty"` // the daemon's context
}

// lookSELinux looks at the policy, at the labels of our files and at the daemon's domain.
func (x *exam) lookSELinux() {
	mode, err := os.ReadFile(x.path("/sys/fs/selinux/enforce"))
	if err != nil {
		return // a host without SELinux
	}
	s := &SELinux{Mode: "permissive"}
	if strings.TrimSpace(string(mode)) == "1" {
		s.Mode = "enforcing"
	}
	x.report.Facts.SELinux = s
	if s.Loaded = x.policyLoaded(); s.Loaded == nil {
		x.unseen("selinux", "which policy modules are loaded is for root to see")
	} else if !*s.Loaded {
		x.found("selinux-policy", "", "make -C /usr/share/totpd/selinux install && systemctl restart totpd.socket totpd-password.socket totpd  # needs make and selinux-policy-devel (Debian: selinux-policy-dev)",
			"SELinux is %s and doesn't know totpd: login programs may be kept from the daemon's sockets", s.Mode)
		return
	}
	x.judgeLabels()
	if s.Domain = x.context("current"); s.Domain != "" && s.Loaded != nil && !strings.Contains(s.Domain, ":totpd_t:") {
		x.found("selinux-domain", serviceUnit, "restorecon -RFv "+labelled+" && "+x.restartDaemon(false),
			"the daemon runs as %s, not in its own domain totpd_t", s.Domain)
	}
	x.fine("selinux", "%s, totpd's policy module is loaded", s.Mode)
}

// labelled are the paths that have labels of their own.
const labelled = "/usr/libexec/totpd /etc/totpd /var/lib/totpd /run/totpd"

// policyLoaded looks into the module store, which root alone may: nil then. It is quicker than semodule -l.
func (x *exam) policyLoaded() *bool {
	loaded := false
	seen := false
	for _, pattern := range []string{"/var/lib/selinux/*/active/modules", "/etc/selinux/*/active/modules"} {
		stores, _ := filepath.Glob(x.path(pattern))
		for _, dir := range stores {
			if _, err := os.ReadDir(dir); err == nil {
				seen = true
			}
			found, _ := filepath.Glob(filepath.Join(dir, "*", "totpd"))
			loaded = loaded || len(found) > 0
		}
	}
	if !seen {
		return nil
	}
	return &loaded
}

// judgeLabels has restorecon say what it would relabel.
func (x *exam) judgeLabels() {
	out, err := x.run("/usr/sbin/restorecon", append([]string{"-n", "-v", "-R"}, strings.Fields(labelled)...)...)
	if err != nil && out.out == "" {
		return // not there, or not for us
	}
	var wrong []string
	for line := range strings.Lines(out.out) {
		if rest, found := strings.CutPrefix(line, "Would relabel "); found {
			path, _, _ := strings.Cut(rest, " ")
			wrong = append(wrong, path)
		}
	}
	if len(wrong) > 0 {
		x.found("selinux-label", wrong[0], "restorecon -RFv "+labelled, "wrong SELinux labels: %s", few(wrong))
	}
}

// context is how a security module calls the daemon's process.
func (x *exam) context(file string) string {
	u := x.units[serviceUnit]
	if u == nil || u.MainPID == 0 {
		return ""
	}
	text, err := os.ReadFile(x.path(fmt.Sprintf("/proc/%d/attr/%s", u.MainPID, file)))
	if err != nil {
		return ""
	}
	return strings.TrimRight(string(text), "\x00\n")
}
