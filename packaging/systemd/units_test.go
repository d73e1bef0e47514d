// Package systemd holds the units, and what their sandbox is held to.
package systemd

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What systemd-analyze finds open in each unit, in tenths. The units say why each of it is.
var exposure = map[string]string{
	"totpd.service":          "10", // the aim; Debian 12 has it at 8
	"totpd-password.service": "12", // root, with the PAM modules of the host
	"totpd-check.service":    "17", // root, and may look at all files
}

func TestExposure(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	for unit, most := range exposure {
		t.Run(unit, func(t *testing.T) {
			path, err := filepath.Abs(unit)
			if err != nil {
				t.Fatal(err)
			}
			out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", "--threshold="+most, path).CombinedOutput()
			if err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			_, figure, _ := strings.Cut(string(out), "Overall exposure level for ")
			t.Log(strings.TrimSpace(figure))
		})
	}
}

// Nothing in the units is misspelt, and the examples are drop-ins of them.
func TestUnits(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("needs systemd-analyze")
	}
	dir := t.TempDir()
	var units []string
	for _, kind := range []string{"service", "socket", "path", "timer"} {
		found, err := filepath.Glob("*." + kind)
		if err != nil {
			t.Fatal(err)
		}
		units = append(units, found...)
	}
	if len(units) != 7 {
		t.Fatalf("%q", units)
	}
	for _, unit := range units {
		text, err := os.ReadFile(unit)
		if err != nil {
			t.Fatal(err)
		}
		// Programs and manual pages that are here, also where totpd isn't installed.
		plain := strings.NewReplacer("/usr/libexec/totpd/totpd-password", "/bin/true", "/usr/libexec/totpd/totpd", "/bin/true", "/usr/bin/totpctl", "/bin/true").Replace(string(text))
		plain = strings.NewReplacer("Documentation=man:totpd(8)\n", "", "Documentation=man:totpctl(1)\n", "").Replace(plain)
		if err := os.WriteFile(filepath.Join(dir, unit), []byte(plain), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for example, unit := range map[string]string{"network.conf": "totpd.service", "password.conf": "totpd-password.service"} {
		text, err := os.ReadFile("examples/" + example)
		if err == nil {
			err = os.Mkdir(filepath.Join(dir, unit+".d"), 0o755)
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, unit+".d", example), text, 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(text), "/etc/systemd/system/"+unit+".d/"+example) {
			t.Errorf("%s doesn't say where it belongs", example)
		}
	}
	args := []string{"verify", "--man=no", "--generators=no"}
	for _, unit := range units {
		args = append(args, filepath.Join(dir, unit))
	}
	cmd := exec.Command(tool, args...)
	cmd.Env = append(os.Environ(), "SYSTEMD_UNIT_PATH="+dir+":")
	out, err := cmd.CombinedOutput()
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, dir) || strings.Contains(line, "totpd") {
			t.Errorf("%s (%v)", strings.TrimSpace(line), err)
		}
	}
}

// journald drops none of the daemon's lines.
func TestJournalIsNotLimited(t *testing.T) {
	text, err := os.ReadFile("totpd.service")
	if err != nil || !strings.Contains(string(text), "\nLogRateLimitIntervalSec=0\n") {
		t.Errorf("journald may drop lines of the daemon: %v", err)
	}
}

// Of what can set a clock, the daemon may call nothing; asking is adjtimex without CAP_SYS_TIME.
func TestClockIsReadOnly(t *testing.T) {
	text, err := os.ReadFile("totpd.service")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"CapabilityBoundingSet=", "AmbientCapabilities=", "NoNewPrivileges=yes", "PrivateDevices=yes", "DevicePolicy=closed"} {
		if !strings.Contains(string(text), "\n"+line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	var filters []string
	for line := range strings.Lines(string(text)) {
		if filter, ok := strings.CutPrefix(line, "SystemCallFilter="); ok {
			filters = append(filters, strings.TrimSpace(filter))
		}
	}
	// In this order: @privileged has all of @clock.
	if want := []string{"@system-service", "~@privileged @resources", "adjtimex"}; !slices.Equal(filters, want) {
		t.Errorf("the filters %q, want %q", filters, want)
	}
}
