package config

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/policy"
)

func place(t *testing.T, text string) policy.Place {
	t.Helper()
	p, err := policy.ParsePlace(text)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// trickyRules are files whose rules are hard to tell apart, on lines 2 and 7, and the last on line 4.
var trickyRules = []string{
	"\n[[rule]]\nrequire = 'exempt'\nusers = [\n'a'\n]\n[[rule]]\nrequire = 'required'\n",
	"# [[rule]]\n[[rule]] # [[rule]]\nrequire = 'exempt' # '\nfrom = [ # [\n \"::1\" # ]\n]\n\t[[\t'rule' ]]\nrequire = 'required'\n",
	"\ufeff\n[[\"r\\u0075le\"]]\nrequire = 'exempt'\nfrom = [\n'local'\n]\r\n[[rule]]\r\nrequire = 'optional'\r\n",
	"login.prompt = \"\"\"\\\"\"\"\"\"\n[[rule]]\nrequire = 'exempt'\nusers = [\n\"a\\\\\"\n]\n[[rule]]\nrequire = 'optional'\n",
	"login.prompt = \"\"\"a\\\n[[rule]]\\\n\"\"\"\n[[rule]]\nrequire = 'optional'",
}

func TestWhereRulesAre(t *testing.T) {
	for i, content := range trickyRules {
		c, err := parse("FILE", content)
		var lines []int
		for _, r := range c.Rules {
			lines = append(lines, r.Line)
		}
		want := []int{2, 7}
		if i == len(trickyRules)-1 {
			want = []int{4}
		}
		if err != nil || !slices.Equal(lines, want) {
			t.Errorf("%s\nhas rules on %v, want %v: %v", content, lines, want, err)
		}
	}
}

func TestRules(t *testing.T) {
	got, err := Load(write(t, `
[[rule]]
users = ["root", 'EX\bob']
groups = ["Domain Users"]
services = ["login", "gdm-password"]
from = ["local", "192.0.2.7", "192.0.2.0/24", "2001:db8::/32"]
require = "exempt"

  [[ "rule" ]] # [[rule]]
from = [
  "::1", # ]
]
require = "optional"
enrol_at_login = false
[login]
prompt = """\"""\
[[rule]]\
""""
[[rule]]
require = "required"
enrol_by = 2026-12-31
enrol_from = ["local"]
remember = 50
grace = 60
`))
	want := policy.Rules{
		{
			Line: 2, Users: []string{"root", `EX\bob`}, Groups: []string{"Domain Users"}, Services: []string{"login", "gdm-password"},
			From:    []policy.Place{place(t, "local"), place(t, "192.0.2.7"), place(t, "192.0.2.0/24"), place(t, "2001:db8::/32")},
			Require: policy.Exempt,
		},
		{Line: 9, From: []policy.Place{place(t, "::1")}, Require: policy.Optional, NoEnrolAtLogin: true},
		{
			Line: 19, Require: policy.Required, EnrolBy: time.Date(2027, 1, 1, 0, 0, 0, 0, time.Local),
			EnrolFrom: []policy.Place{place(t, "local")}, Remember: 50 * day, Grace: time.Hour,
		},
	}
	if err != nil || !reflect.DeepEqual(got.Rules, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got.Rules, err, want)
	}
	if got.Login.Prompt != `"""[[rule]]"` {
		t.Errorf("prompt %q", got.Login.Prompt)
	}
	var b strings.Builder
	if err := got.Explain(&b); err != nil {
		t.Fatal(err)
	}
	again, err := parse("explained", b.String())
	if err != nil || !reflect.DeepEqual(bare(again), bare(got)) {
		t.Errorf("explained as\n%s\nwhich is %+v, %v", &b, again, err)
	}
	for _, line := range []string{
		"\n[[rule]]                                   # rule 2, line 9\nfrom = [\"::1\"]\nrequire = \"optional\"\nenrol_at_login = false\n",
		`users = ["root", "EX\\bob"]`, `enrol_by = "2026-12-31"`, `from = ["local", "192.0.2.7", "192.0.2.0/24", "2001:db8::/32"]`,
	} {
		if !strings.Contains(b.String(), line) {
			t.Errorf("no %s in\n%s", line, &b)
		}
	}
}

func TestRuleErrors(t *testing.T) {
	const ok = "require = 'required'\n"
	for _, c := range []struct{ name, content, want string }{
		{"no require", "\n[[rule]]\nusers = ['a']", "FILE:2:1: rule must have the key require"},
		{"require", "[[rule]]\nrequire = 'always'", `FILE:2:12: rule.require must be "exempt" or "optional" or "required"`},
		{"require is a number", "[[rule]]\nrequire = 1", "FILE:2:11: rule.require must be"},
		{"unknown key", "[[rule]]\n" + ok + "[[rule]]\nuser = ['a']\n" + ok, "FILE:4:9: rule.user is unknown; the keys of [[rule]] are users, groups, services, from, require, enrol_by,"},
		{"the second of two", "[[rule]]\n" + "users = ['a']\n" + ok + "[[rule]]\nusers = 'a'\n" + ok, "FILE:5:10: rule.users must be a list"},
		{"the first of two", "[[rule]]\n" + "users = 'a'\n" + ok + "[[rule]]\nusers = ['a']\n" + ok, "FILE:2:10: rule.users must be a list"},
		{"an empty list", "[[rule]]\nusers = []\n" + ok, "rule.users must be a list of 1 to 1000 texts"},
		{"a number in a list", "[[rule]]\nusers = [1]\n" + ok, "rule.users must be a list"},
		{"a list in a list", "[[rule]]\nusers = [['a']]\n" + ok, "rule.users must be a list"},
		{"no name", "[[rule]]\ngroups = ['']\n" + ok, `rule.groups is a list of names, and each must have 1 to 256 bytes; "" isn't right`},
		{"no user", "[[rule]]\nusers = ['a:b']\n" + ok, `must not hold any of ":/"; "a:b" isn't right`},
		{"service", "[[rule]]\nservices = ['SSHD']\n" + ok, `must be in lower case, as PAM has it; "SSHD" isn't right`},
		{"a path for a service", "[[rule]]\nservices = ['/etc/pam.d/sshd']\n" + ok, `must not hold any of "/"`},
		{"no network", "[[rule]]\nfrom = ['lan']\n" + ok, `FILE:2:9: rule.from is a list of networks: "lan" is neither an address, nor a network such as`},
		{"bits of the host", "[[rule]]\nfrom = ['192.0.2.7/24']\n" + ok, `has to be "192.0.2.0/24" for the network, or "192.0.2.7" for the one address`},
		{"a zone", "[[rule]]\nfrom = ['fe80::1%eth0']\n" + ok, `has to be "fe80::1"`},
		{"IPv4 in IPv6", "[[rule]]\nfrom = ['::ffff:192.0.2.7']\n" + ok, `has to be "192.0.2.7"`},
		{"a network of those", "[[rule]]\nfrom = ['::ffff:192.0.2.0/120']\n" + ok, `network of IPv4`},
		{"date", "[[rule]]\n" + ok + "enrol_by = '31.12.2026'", "FILE:3:13: rule.enrol_by must be a date from 2000 to 2099, like 2026-12-31"},
		{"no such date", "[[rule]]\n" + ok + "enrol_by = '2026-02-29'", "must be a date"},
		{"a time", "[[rule]]\n" + ok + "enrol_by = 2026-12-31T00:00:00Z", "must be a date"},
		{"a local time", "[[rule]]\n" + ok + "enrol_by = 2026-12-31T00:00:00", "must be a date"},
		{"long ago", "[[rule]]\n" + ok + "enrol_by = 0206-12-31", "must be a date from 2000"},
		{"date and optional", "[[rule]]\nrequire = 'optional'\nenrol_by = 2026-12-31", `FILE:3:12: rule.enrol_by goes with require = "required" only`},
		{"exempt and remembered", "[[rule]]\nrequire = 'exempt'\nremember = 5", "FILE:3:12: rule.remember does nothing where nobody is asked for a code"},
		{"exempt and enrolled", "[[rule]]\nrequire = 'exempt'\nenrol_at_login = true", "rule.enrol_at_login does nothing"},
		{"nowhere and there", "[[rule]]\n" + ok + "enrol_at_login = false\nenrol_from = ['local']", "rule.enrol_from does nothing with enrol_at_login = false"},
		{"yes", "[[rule]]\n" + ok + "enrol_at_login = 'yes'", "must be true or false, without quotes"},
		{"remembered too long", "[[rule]]\n" + ok + "remember = 51", "FILE:3:12: rule.remember must be at most remember.longest, which is 50: shorten it, or raise longest under [remember]"},
		{"remembered for longer than any", "[remember]\nlongest = 365\n[[rule]]\n" + ok + "remember = 366", "rule.remember must be from 0 to 365"},
		{"remembered for ages", "[[rule]]\n" + ok + "remember = 9223372036854775807", "rule.remember must be from 0 to 365"},
		{"the limit", "[remember]\nlongest = 366", "FILE:2:11: remember.longest must be from 0 to 365"},
		{"grace", "[[rule]]\n" + ok + "grace = 61", "rule.grace must be from 0 to 60"},
		{"grace of less than nothing", "[[rule]]\n" + ok + "grace = -1", "rule.grace must be from 0 to 60"},
		{"after everybody", "[[rule]]\n" + ok + "[[rule]]\nusers = ['a']\nrequire='exempt'", "FILE:3:1: rule is never reached: the one on line 1 matches first"},
		{"after a wider one", "[[rule]]\nfrom = ['10.0.0.0/8', 'local']\n" + ok + "[[rule]]\nfrom = ['10.1.0.0/16']\nusers = ['a']\nrequire='exempt'", "FILE:4:1: rule is never reached"},
		{"a table", "[rule]\n" + ok, "FILE:1:1: rule must be written [[rule]]"},
		{"a value", "rule = 1", "rule must be written [[rule]]"},
		{"nothing", "rule = []", "rule must be written [[rule]]"},
		{"on one line", "rule = [{require = 'exempt'}]", "rule must be written [[rule]]"},
		{"a section of a rule", "[[rule]]\n" + ok + "[rule.x]\n", "FILE:1:1: rule must have all its keys right below"},
		{"a section of a rule, further down", "[[rule]]\n" + ok + "[login]\n[rule.x]\n", "FILE:1:1: rule must have all its keys right below"},
		{"key of a key", "[[rule]]\n" + ok + "users.a = 1\n", "rule.users must be a list"},
		{"too many", strings.Repeat("[[rule]]\n", rulesMax+1), "rule must be there 1000 times at most"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.content)
			got, err := Load(path)
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), path, "FILE"), c.want) {
				t.Errorf("error is  %v\nwant with %s", err, c.want)
			}
			if !reflect.DeepEqual(got, Config{}) {
				t.Error("an error together with settings")
			}
		})
	}
}

func TestRulesThatAreReached(t *testing.T) {
	for _, content := range []string{
		"[[rule]]\nusers=['a']\nrequire='exempt'\n[[rule]]\nrequire='required'",
		"[[rule]]\nfrom=['10.0.0.0/8']\nrequire='exempt'\n[[rule]]\nfrom=['10.0.0.0/7', 'local']\nrequire='required'",
		"[[rule]]\nusers=['a']\nfrom=['local']\nrequire='exempt'\n[[rule]]\nusers=['a']\nrequire='required'",
	} {
		if _, err := parse("FILE", content); err != nil {
			t.Errorf("%s: %v", content, err)
		}
	}
}

// Beside any error no rule counts, not even the right ones, nor the default that would ask for less: what
// is salvaged lets nobody in.
func TestSalvagedRulesLetNobodyIn(t *testing.T) {
	for _, content := range []string{
		"[[rule]]\nusers = ['admin']\nrequire = 'requird'\n[[rule]]\nrequire = 'exempt'\n",
		"[[rule]]\nrequire = 'exempt'\n[login]\ntires = 3\n",
		"[login]\ntires = 3\n",
		"[[rule]]\nrequire = exempt\n",
		"[listen]\nlogin = '/a'\ncontrol = '/a'\n[[rule]]\nrequire = 'exempt'\n",
	} {
		c, err := Salvage(write(t, content))
		if d := policy.Decide(c.Rules, policy.Question{User: "alice"}); err == nil || d.Kind != 0 {
			t.Errorf("%s: %+v, %v", content, d, err)
		}
	}
}

func TestEndOfADay(t *testing.T) {
	for zone, want := range map[string]string{
		"UTC":               "2018-11-04T00:00:00Z",
		"Europe/Berlin":     "2018-11-04T00:00:00+01:00",
		"America/Sao_Paulo": "2018-11-04T01:00:00-02:00", // where clocks went forward at midnight
		"Pacific/Apia":      "2018-11-04T00:00:00+14:00",
	} {
		at, err := time.LoadLocation(zone)
		if err != nil {
			t.Fatal(err)
		}
		got := endOf(time.Date(2018, 11, 3, 0, 0, 0, 0, time.UTC), at)
		if got.Format(time.RFC3339) != want {
			t.Errorf("%s: %v, want %s", zone, got, want)
		}
	}
}
