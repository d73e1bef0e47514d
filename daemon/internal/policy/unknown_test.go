package policy

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/source"
)

// TestUnknown has each way in which a condition can't be evaluated before a rule that asks for less. The code must
// stay due.
func TestUnknown(t *testing.T) {
	all := from(t, "0.0.0.0/0", "::/0")
	far := source.Of("alice", "192.0.2.7", "")
	for what, tt := range map[string]struct {
		rule Rule
		q    Question
		why  string // "": it can be evaluated
		kind Kind
	}{
		"a name":             {Rule{From: all}, Question{Source: source.Of("alice", "client.example.org", "")}, `from: "client.example.org" is no address`, Required},
		"localhost":          {Rule{From: from(t, "local")}, Question{Source: source.Of("alice", "localhost", "")}, `from: "localhost"`, Required},
		"local, as a name":   {Rule{From: from(t, "local")}, Question{Source: source.Of("alice", "local", "")}, `from: "local"`, Required},
		"a broken address":   {Rule{From: all}, Question{Source: source.Of("alice", "192.0.2.300", "")}, `from: "192.0.2.300"`, Required},
		"an address, a port": {Rule{From: all}, Question{Source: source.Of("alice", "192.0.2.3:22", "")}, `from: "192.0.2.3:22"`, Required},
		"zeros in front":     {Rule{From: all}, Question{Source: source.Of("alice", "192.000.002.003", "")}, `from: "192.000.002.003"`, Required},
		"sshd's UNKNOWN":     {Rule{From: all}, Question{Source: source.Of("alice", "UNKNOWN", "")}, `from: "unknown"`, Required},
		"nothing said":       {Rule{From: all}, Question{Source: source.Told(source.Login{User: "alice", Service: "sshd", TTY: "ssh"})}, "from: the program names neither", Required},
		"a zone":             {Rule{From: from(t, "fe80::/10")}, Question{Source: source.Of("alice", "fe80::1%eth0", "")}, "", Required},
		"IPv4 in IPv6":       {Rule{From: from(t, "192.0.2.0/24")}, Question{Source: source.Of("alice", "::ffff:192.0.2.7", "")}, "", Required},
		"elsewhere":          {Rule{From: from(t, "192.0.3.0/24")}, Question{Source: far}, "", Exempt},
		"no group":           {Rule{Groups: []string{"wheel", "staff"}}, Question{NoGroups: []string{"wheel"}}, `groups: this host has no group "wheel"`, Required},
		"no group, a member": {Rule{Groups: []string{"wheel", "staff"}}, Question{NoGroups: []string{"wheel"}, Groups: []string{"staff"}}, "", Required},
		"not in the group":   {Rule{Groups: []string{"staff"}}, Question{NoGroups: []string{"wheel"}}, "", Exempt},
		"no service":         {Rule{Services: []string{"su"}}, Question{Service: ""}, "services: the program gave no service", Required},
		"a service in caps":  {Rule{Services: []string{"su"}}, Question{Service: "SU"}, "services: a name of it differs", Required},
		"a user in caps":     {Rule{Users: []string{"Alice"}}, Question{User: "alice"}, "users: a name of it differs", Required},
		"a user in a domain": {Rule{Users: []string{"alice@example.org"}}, Question{User: "alice"}, "users: a name of it differs in the domain only", Required},
		"of a domain":        {Rule{Users: []string{"Alice"}}, Question{User: "EXAMPLE\\alice"}, "users: a name of it differs in the domain only", Required},
		"in another domain":  {Rule{Users: []string{"alice@example.org"}}, Question{User: "alice@example.com"}, "", Exempt},
		"another user":       {Rule{Users: []string{"bob"}}, Question{User: "alice"}, "", Exempt},
	} {
		tt.rule.Line, tt.rule.Require = 1, Required
		d := Decide(Rules{tt.rule, {Line: 5, Require: Exempt}}, tt.q)
		if d.Kind != tt.kind || (tt.why == "") != (d.Doubt == "") || !strings.Contains(d.Doubt, tt.why) {
			t.Errorf("%s: %+v", what, d)
		}
		if tt.why != "" && (!strings.HasPrefix(d.Doubt, "nobody can tell whether rule 1 (totpd.toml line 1) matches: ") ||
			d.Reason != "the strictest of rule 1 (totpd.toml line 1), rule 2 (totpd.toml line 5)") {
			t.Errorf("%s: %+v", what, d)
		}
		// Nor does it let a rule win that asks for less, in front of what asks for more.
		tt.rule.Require = Exempt
		if d := Decide(Rules{tt.rule, {Line: 5, Require: Required}}, tt.q); tt.why != "" && d.Kind != Required {
			t.Errorf("%s, exempt: %+v", what, d)
		}
	}
}

// In each respect the strictest counts, and where nobody enrols inside a login, nobody does.
func TestStrictestInAllRespects(t *testing.T) {
	name := Question{Source: source.Of("alice", "client.example.org", ""), Now: noon}
	week, day := 7*24*time.Hour, 24*time.Hour
	some := from(t, "192.0.2.0/24")
	rules := Rules{
		{Line: 1, From: some, Require: Required, EnrolBy: july, Remember: day, Grace: time.Hour},
		{Line: 2, From: some, Require: Required, EnrolBy: july.Add(-time.Hour), Remember: week, Grace: time.Minute},
		{Line: 3, From: some, Require: Exempt},
		{Line: 4, Require: Optional, Remember: week, Grace: time.Hour, NoEnrolAtLogin: true},
		{Line: 5, Require: Required},
	}
	d := Decide(rules, name)
	d.Reason, d.Doubt = "", ""
	if want := (Decision{Kind: Required, EnrolBy: july.Add(-time.Hour), Remember: day, Grace: time.Minute}); d != want {
		t.Errorf("%+v", d)
	}
	// A day that has come counts at once, and settings that are broken let nobody in.
	rules[1].EnrolBy = noon
	if d := Decide(rules, name); !d.EnrolBy.IsZero() {
		t.Errorf("%+v", d)
	}
	rules[2].Require = 0
	if d := Decide(rules, name); d.Kind != 0 {
		t.Errorf("%+v", d)
	}
	// Enrolment is for where the login surely comes from.
	if d := Decide(Rules{{Require: Required, EnrolFrom: some}}, name); d.EnrolHere {
		t.Errorf("%+v", d)
	}
}

// asksAtLeast says whether a lets nobody in whom b doesn't, whatever the user has.
func asksAtLeast(a, b Decision) bool {
	for _, has := range [][2]bool{{true, true}, {false, true}, {false, false}} {
		due, less := a.Due(has[0], has[1]), b.Due(has[0], has[1])
		if due < less || due == Enrolment && less == Enrolment && a.EnrolHere && !b.EnrolHere {
			return false
		}
	}
	return b.Kind == Exempt || a.Remember <= b.Remember && a.Grace <= b.Grace && (a.EnrolBy.IsZero() || b.Kind != Required || !b.EnrolBy.IsZero() && !a.EnrolBy.After(b.EnrolBy))
}

// Whatever the truth about the conditions that nobody can evaluate, and whatever the rules: the decision asks for as
// much as the one by the truth.
func TestNeverLessThanTheTruth(t *testing.T) {
	places := [][]Place{nil, from(t, "local"), from(t, "192.0.2.0/24"), from(t, "10.0.0.0/8", "2001:db8::/32"), from(t, "0.0.0.0/0", "::/0")}
	groups := [][]string{nil, {"wheel"}, {"staff", "wheel"}, {"staff"}}
	truths := []source.Source{{}, source.Of("a", "192.0.2.1", ""), source.Of("a", "10.1.1.1", ""), source.Of("a", "2001:db8::1", ""), source.Of("a", "198.51.100.1", "")}
	r := rand.New(rand.NewPCG(1, 2))
	differ := 0
	for range 3000 {
		var rules Rules
		for range 1 + r.IntN(5) {
			rules = append(rules, Rule{
				From: places[r.IntN(len(places))], Groups: groups[r.IntN(len(groups))], Require: Kind(1 + r.IntN(3)),
				EnrolBy: []time.Time{{}, noon, july, july.Add(time.Hour)}[r.IntN(4)], NoEnrolAtLogin: r.IntN(2) == 0,
				EnrolFrom: places[r.IntN(len(places))], Remember: time.Duration(r.IntN(3)), Grace: time.Duration(r.IntN(3)),
			})
		}
		for _, doubtful := range []source.Source{source.Of("a", "client.example.org", ""), {Unsaid: true}} {
			q := Question{User: "a", Service: "sshd", Now: noon, Source: doubtful, NoGroups: []string{"wheel"}, Groups: []string{"staff"}[:r.IntN(2)]}
			q.MustEnrol = r.IntN(8) == 0
			d := Decide(rules, q)
			for _, truth := range truths {
				for _, in := range [][]string{q.Groups, append(slices.Clone(q.Groups), "wheel")} {
					known := q
					known.Source, known.Groups, known.NoGroups = truth, in, nil
					by := Decide(rules, known)
					if !asksAtLeast(d, by) {
						t.Fatalf("%+v\nby %+v\nfrom %v in %q: %+v", d, rules, truth, in, by)
					}
					if by.Kind != d.Kind {
						differ++
					}
				}
			}
		}
	}
	if differ == 0 {
		t.Error("nothing depended on what nobody can tell")
	}
}
