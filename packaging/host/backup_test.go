package host

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestBackup takes a backup while the daemon runs, and puts it back: over accounts that have changed since, and
// on a host that has lost everything.
func TestBackup(t *testing.T) {
	t.Parallel()
	s := boot(t)
	s.install()
	s.turnOn()
	ann := s.enrolled("ann")
	var made struct {
		Codes []string `json:"recovery_codes"`
	}
	s.must(json.Unmarshal([]byte(s.run("totpctl", "recovery-codes", "new", "ann", "--json")), &made))
	s.run("totpctl", "backup", "/root/accounts")
	s.run("totpctl", "backup", "/root/all", "--with-key")
	if modes := s.run("stat", "-c", "%a %U", "/root/accounts", "/root/all"); modes != "600 root\n600 root\n" {
		t.Errorf("the backups are %s", modes)
	}

	used := ann.code()
	login := func(answer string) *screen {
		t.Helper()
		l := ann.ssh()
		l.answer(password, ann.Password)
		l.answer(code, answer)
		return l
	}
	ann.welcomed(login(used))
	s.enrolled("eve")
	s.run("totpctl", "disable", "ann", "--yes")
	if said := s.fails("totpctl", "restore", "/root/accounts", "--yes"); !strings.Contains(said, "systemctl stop totpd") {
		t.Errorf("beside the daemon: %s", said)
	}
	for i, lost := range []struct{ loss, backup string }{
		{"true", "/root/accounts"},
		{"rm -r /var/lib/totpd/*", "/root/all"},
	} {
		s.script("systemctl stop totpd.socket totpd.service; " + lost.loss + "; totpctl restore " + lost.backup +
			" --yes; systemctl start totpd.socket totpd.service")
		if others := s.run("find", "/var/lib/totpd", "-type", "f", "!", "(", "-user", "totpd", "-perm", "0600", ")"); others != "" {
			t.Errorf("not the daemon's alone: %s", others)
		}
		if users := s.run("totpctl", "users", "--json"); !strings.Contains(users, `"ann"`) || strings.Contains(users, `"eve"`) {
			t.Errorf("the users are %s", users)
		}
		l := login(used)
		l.see(`that code was used already`)
		l.answer(code, made.Codes[i])
		ann.welcomed(l)
	}
	s.quiet()
}
