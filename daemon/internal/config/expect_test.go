package config

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/policy"
)

// What the manual shows as an example of a table holds for what it shows as an example of rules.
func TestManualsTable(t *testing.T) {
	examples := regexp.MustCompile(`(?s)\.Bd -literal -offset indent\n(.*?)\.Ed`).FindAllStringSubmatch(readManual(t).rules, -1)
	c, err := parse("totpd.toml", examples[0][1])
	if err != nil {
		t.Fatal(err)
	}
	table, err := parseExpectations("expect.toml", examples[1][1])
	if err != nil || len(table) != 3 {
		t.Fatal(table, err)
	}
	for _, e := range table {
		q := policy.Question{User: e.User, Groups: e.Groups, Service: e.Service, Source: e.Source(), Now: e.On}
		if text := e.Difference(policy.Decide(c.Rules, q)); text != "" {
			t.Errorf("line %d, %s:\n%s", e.Line, e, text)
		}
	}
}

func TestExpectation(t *testing.T) {
	all, err := parseExpectations("FILE", "\n[[expect]]\nuser = 'alice'\nrequire = 'optional'\n"+
		"[[expect]]\nuser = 'bob'\ngroups = []\nservice = 'su'\nfrom = '2001:db8::1'\non = 2026-12-31\nrequire = 'required'\n"+
		"enrol_by = 2026-12-31\nenrol_here = false\nremember = 30\ngrace = 5\n")
	if err != nil || len(all) != 2 {
		t.Fatal(all, err)
	}
	if e := all[0]; e.Line != 2 || !e.Asks || e.String() != "alice, sshd from local" || !e.Source().Local() || !e.On.IsZero() {
		t.Errorf("%+v", e)
	}
	e := all[1]
	if e.Line != 5 || e.Asks || e.String() != "bob, su from 2001:db8::1, on 2026-12-31" || e.Source().Key() != "2001:db8::/64" {
		t.Errorf("%+v", e)
	}
	is := policy.Decision{
		Kind: policy.Required, EnrolBy: time.Date(2027, 1, 1, 0, 0, 0, 0, time.Local),
		Remember: 30 * day, Grace: 5 * time.Minute,
	}
	if text := e.Difference(is); text != "" {
		t.Error(text)
	}
	want := `- require = "required"
+ require = "optional"
- enrol_by = "2026-12-31"
+ enrol_by = none
- enrol_here = false
+ enrol_here = true
- remember = 30
+ remember = 0
- grace = 5
+ grace = 0
`
	if text := e.Difference(policy.Decision{Kind: policy.Optional, EnrolHere: true}); text != want {
		t.Error(text)
	}
}

func TestExpectationErrors(t *testing.T) {
	const ok = "user = 'a'\nrequire = 'optional'\n"
	for content, want := range map[string]string{
		"":                                               "FILE: has no [[expect]]",
		"[[expect]]\nuser = 'a'":                         "FILE:1:1: expect must have the key require",
		"[[expect]]\nrequire = 'exempt'":                 "FILE:1:1: expect must have the key user",
		"[[expect]]\nx = 1\n" + ok:                       "FILE:2:5: expect.x is unknown; the keys of [[expect]] are user, groups,",
		"[[rule]]\n" + ok:                                "FILE:1:1: rule is unknown; a table has [[expect]] only",
		"[expect]\n" + ok:                                "expect must be written [[expect]]",
		"expect = []":                                    "expect must be written [[expect]]",
		"[[expect]]\ngroups = 'a'\n" + ok:                "expect.groups must be a list",
		"[[expect]]\nservice = 'SU'\n" + ok:              "expect.service must be in lower case",
		"[[expect]]\nfrom = '10.0.0.0/8'\n" + ok:         "expect.from must be one address, the name of one host, or \"local\"",
		"[[expect]]\non = 'today'\n" + ok:                "expect.on must be a date",
		"[[expect]]\nenrol_here = 1\n" + ok:              "expect.enrol_here must be true or false",
		"[[expect]]\nremember = 366\n" + ok:              "expect.remember must be from 0 to 365",
		"[[expect]]\ngrace = true\n" + ok:                "expect.grace must be a whole number",
		"[[expect]]\nuser = 'a:b'\nrequire = 'optional'": "expect.user must not hold",
		"[[expect]\n":                                    "FILE:2:",
	} {
		got, err := parseExpectations("FILE", content)
		if err == nil || !strings.Contains(err.Error(), want) || got != nil {
			t.Errorf("%s\n%v, %v\nwant %s", content, got, err, want)
		}
	}
	if _, err := LoadExpectations("/nowhere/expect.toml"); !strings.Contains(err.Error(), "read table /nowhere/expect.toml: no such file") {
		t.Error(err)
	}
	open := write(t, "[[expect]]\n"+ok)
	if all, err := LoadExpectations(open); err != nil || len(all) != 1 {
		t.Error(all, err)
	}
	if err := os.Chmod(open, 0o666); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadExpectations(open); err == nil {
		t.Error("a table that all may write to was read")
	}
}

// FuzzExpectations: an error names the file and returns nothing else; what parses can be compared.
func FuzzExpectations(f *testing.F) {
	f.Add("[[expect]]\nuser = 'bob'\ngroups = []\nservice = 'su'\nfrom = '2001:db8::1'\non = 2026-12-31\nrequire = 'required'\n" +
		"enrol_by = 2026-12-31\nenrol_here = false\nremember = 30\ngrace = 5\n")
	f.Add("expect = []")
	f.Fuzz(func(t *testing.T, content string) {
		all, err := parseExpectations("FILE", content)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "FILE:") || all != nil {
				t.Fatalf("error %q with %+v", err, all)
			}
			return
		}
		for _, e := range all {
			if e.Difference(policy.Decision{}) == "" || e.User == "" {
				t.Fatalf("%+v expects nothing", e)
			}
		}
	})
}
