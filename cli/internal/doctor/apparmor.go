package doctor

import (
	"cmp"
	"os"
	"strings"
)

// AppArmor is how far it watches totpd.
type AppArmor struct {
	Profile string `json:"profile,omitempty"` // how the daemon's is applied: enforce, complain; empty: not loaded
	Label   string `json:"label,omitempty"`   // of the daemon's process
}

const apparmorProfile = "/etc/apparmor.d/usr.libexec.totpd.totpd"

// lookAppArmor looks whether the profile that the package brings is loaded and applied.
func (x *exam) lookAppArmor() {
	enabled, err := os.ReadFile(x.path("/sys/module/apparmor/parameters/enabled"))
	if err != nil || !strings.HasPrefix(string(enabled), "Y") || !x.exists(apparmorProfile) {
		return
	}
	a := &AppArmor{}
	x.report.Facts.AppArmor = a
	profiles, err := os.ReadFile(x.path("/sys/kernel/security/apparmor/profiles"))
	if err != nil {
		x.unseen("apparmor", "which profiles are loaded is for root to see")
		return
	}
	for line := range strings.Lines(string(profiles)) {
		name, mode, _ := strings.Cut(strings.TrimSpace(line), " (")
		if name == daemonProgram || name == daemonUser {
			a.Profile = strings.TrimSuffix(mode, ")")
		}
	}
	switch a.Profile {
	case "":
		x.found("apparmor-profile", apparmorProfile, "apparmor_parser -r "+apparmorProfile+" && "+x.restartDaemon(false),
			"AppArmor is on, and the daemon's profile isn't loaded")
		return
	case "enforce":
	default:
		x.found("apparmor-complain", apparmorProfile, "aa-enforce "+apparmorProfile, "the daemon's profile only complains (%s)", a.Profile)
	}
	if a.Label = cmp.Or(x.context("apparmor/current"), x.context("current")); a.Label == "unconfined" {
		x.found("apparmor-unconfined", serviceUnit, x.restartDaemon(false), "the daemon was started before its profile was loaded, and runs without")
	}
	x.fine("apparmor", "the daemon's profile is loaded (%s)", a.Profile)
}
