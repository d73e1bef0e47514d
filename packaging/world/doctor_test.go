package world

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// finding is one of totpctl doctor's.
type finding struct{ ID, Severity, Text, Place, Remedy string }

// doctorFinds returns the errors and warnings about the daemon and what is its own. What the machine's clock and
// the stacks of other tests come to is not looked at.
func doctorFinds(t *testing.T) []finding {
	t.Helper()
	out, err := exec.Command(Totpctl, "doctor", "--json").Output()
	if exit := new(exec.ExitError); err != nil && !(errors.As(err, &exit) && exit.ExitCode() == 1) {
		t.Fatalf("%v: %s", err, out)
	}
	var report struct{ Findings []finding }
	if err := json.Unmarshal(out, &report); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return slices.DeleteFunc(report.Findings, func(f finding) bool {
		topic, _, _ := strings.Cut(f.ID, "-")
		return f.Severity == "note" || !slices.Contains([]string{"daemon", "unit", "socket", "config", "store", "key", "people"}, topic) || f.ID == "people-no-ssh" || f.ID == "config-group"
	})
}

// typed has a shell do what a person types.
func typed(t *testing.T, script string) string {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-ec", script).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// signalHand sends each daemon of this world, which has its own /proc, a signal.
func signalHand(t *testing.T, how syscall.Signal) {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range lines {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(line)))
		if text, _ := os.ReadFile(line); err == nil && strings.HasPrefix(string(text), Totpd+"\x00") {
			_ = syscall.Kill(pid, how)
		}
	}
}

// TestDoctorByHand: on a host without systemd, with a daemon that somebody has started by hand, as root or as
// another user, nothing is wrong; and each remedy, typed as it stands, ends the fault.
func TestDoctorByHand(t *testing.T) {
	w := inWorld(t)
	p := newPerson(t, "hanna")
	if err := daemon.Stop(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		signalHand(t, syscall.SIGKILL)
		typed(t, "chown -R root:root /var/lib/totpd; rm -f /run/totpd/*")
		d, err := w.StartTotpd(settings)
		if err != nil {
			t.Fatal(err)
		}
		daemon = d
	})
	typed(t, "chmod 0700 /var/lib/totpd")
	start := "setsid -f AS/usr/libexec/totpd/totpd -config " + ConfigFile + " </dev/null >>" + LogDir + "/hand 2>&1; "
	for _, layout := range []struct{ name, before, as, healthy string }{
		{name: "root"},
		{"another user", "chown -R games /var/lib/totpd; chown -R games /run/totpd; rm -f /run/totpd/password.sock*; ", "setpriv --reuid=games --regid=games --clear-groups ", "socket-password"},
	} {
		t.Run(layout.name, func(t *testing.T) {
			t.Cleanup(func() {
				signalHand(t, syscall.SIGKILL)
				time.Sleep(100 * time.Millisecond)
			})
			typed(t, layout.before+strings.Replace(start, "AS", layout.as, 1)+"sleep 0.5")
			healthy := func(after string) {
				t.Helper()
				var ids []string
				var found []finding
				for range 50 { // a daemon needs a moment to come up
					ids, found = nil, doctorFinds(t)
					for _, f := range found {
						ids = append(ids, f.ID)
					}
					if strings.Join(ids, " ") == layout.healthy {
						return
					}
					time.Sleep(100 * time.Millisecond)
				}
				t.Fatalf("after %s: %+v\n%s", after, found, Log("hand"))
			}
			healthy("the start")
			for _, fault := range []struct{ id, plant string }{
				{"daemon-unreachable", "TERM"},
				{"daemon-silent", "STOP"},
				{"socket-missing", "rm /run/totpd/login.sock"},
				{"socket-mode", "chmod 600 /run/totpd/login.sock"},
				{"store-open", "chmod 644 /var/lib/totpd/totpd.db"},
				{"store-owner", "chown daemon /var/lib/totpd"},
				{"key-owner", "chown daemon /var/lib/totpd/totpd.key"},
				{"store-unwritable", "cd /var/lib/totpd; cp -p totpd.db x; mv x totpd.db"},
				{"socket-password", ""},
			} {
				if fault.id == "socket-password" && layout.healthy != fault.id {
					continue
				}
				switch fault.plant {
				case "TERM":
					signalHand(t, syscall.SIGTERM)
					time.Sleep(300 * time.Millisecond)
				case "STOP":
					signalHand(t, syscall.SIGSTOP)
				default:
					typed(t, fault.plant)
				}
				found := doctorFinds(t)
				i := slices.IndexFunc(found, func(f finding) bool { return f.ID == fault.id })
				if i < 0 {
					t.Fatalf("%s isn't found, but %+v", fault.id, found)
				}
				t.Logf("%s: %s: %s\nremedy: %s", fault.id, found[i].Place, found[i].Text, found[i].Remedy)
				for _, f := range found {
					if strings.Contains(f.Remedy, "systemctl") || strings.Contains(f.Remedy, "journalctl") {
						t.Errorf("a remedy for another host: %s: %s", f.ID, f.Remedy)
					}
				}
				typed(t, found[i].Remedy)
				if fault.id == "socket-password" {
					layout.healthy = ""
				}
				healthy(found[i].Remedy)
			}
			s := open(t, Locker, "locker", "hanna")
			s.answer(passwordPrompt, p.Password)
			s.answer(codePrompt, p.code(t))
			s.see(`^welcome, hanna$`)
			s.ends(0)
		})
	}
}
