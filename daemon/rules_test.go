package main

import (
	"bytes"
	"os"
	"os/user"
	"strings"
	"syscall"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

// TestRulesOfTheHost needs root, who gives nobody a second factor. A reload takes new rules; a broken one
// leaves those that there were.
func TestRulesOfTheHost(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	group, err := user.LookupGroupId(nobody.Gid)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t)
	exempt := "[[rule]]\ngroups = [\"no-such-group\", \"" + group.Name + "\"]\nservices = [\"test\"]\nfrom = [\"local\"]\nrequire = \"exempt\"\n"
	w.configure(t, exempt)
	r := w.start(t)
	w.give(t, "nobody")
	r.logLine(t, `totpd.toml line 8, rule 1: there is no group "no-such-group" on this host`)
	if got := w.login(t, "nobody", ""); got != wire.NotDue {
		t.Errorf("exempt by group: %v", got)
	}
	r.logLine(t, "rule 1 (totpd.toml line 8)")

	reload := func(rules, told string) {
		w.configure(t, rules)
		r.Process.Signal(syscall.SIGHUP)
		r.logLine(t, told)
	}
	reload("[[rule]]\nrequire = \"exemt\"\n", "the settings stay as they were")
	if got := w.login(t, "nobody", ""); got != wire.NotDue {
		t.Errorf("exempt after a broken reload: %v", got)
	}
	reload("[[rule]]\nusers = [\"nobody-at-all\"]\nrequire = \"exempt\"\n", `rule 1: there is no user "nobody-at-all"`)
	if got := w.login(t, "nobody", code(t, 0)); got != wire.Accepted {
		t.Errorf("by the default: %v", got)
	}
	if got := w.login(t, "root", ""); got != wire.NotDue {
		t.Errorf("root by the default: %v", got)
	}
	reload("[[rule]]\nusers = [\"r00t\"]\nrequire = \"exempt\"\n[[rule]]\nrequire = \"required\"\n", `there is no user "r00t"`)
	if got := w.login(t, "root", ""); got != wire.Refused {
		t.Errorf("root, of whom a code is required: %v", got)
	}
	speakers := "[[speaker]]\nuser = \"nobody-at-all\"\nservices = [\"no-such-service\"]\n"
	reload(speakers, `speaker 1: there is no user "nobody-at-all" on this host`)
	r.logLine(t, `speaker 1: there is no service "no-such-service": no such file in /etc/pam.d`)
}

func TestExpectGoesWithCheck(t *testing.T) {
	var told bytes.Buffer
	if _, err := parse([]string{"-expect", "x"}, &told); err == nil || !strings.Contains(told.String(), "-expect goes with -check") {
		t.Errorf("%v, %s", err, &told)
	}
	if o, err := parse([]string{"-check", "-expect", "x"}, &told); err != nil || o.expect != "x" {
		t.Errorf("%+v, %v", o, err)
	}
}
