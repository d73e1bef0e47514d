package policy

import (
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/source"
)

var (
	noon = time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	july = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
)

func from(t *testing.T, texts ...string) []Place {
	t.Helper()
	var places []Place
	for _, text := range texts {
		p, err := ParsePlace(text)
		if err != nil {
			t.Fatal(err)
		}
		places = append(places, p)
	}
	return places
}

// site are the rules of a host as many are.
func site(t *testing.T) Rules {
	return Rules{
		{Line: 1, Users: []string{"root"}, Services: []string{"login"}, From: from(t, "local"), Require: Exempt},
		{Line: 5, Groups: []string{"robots", "backup"}, From: from(t, "10.0.0.0/8", "2001:db8::/32", "192.0.2.7"), Require: Exempt},
		{Line: 9, Services: []string{"sudo", "su"}, Require: Optional, Grace: 5 * time.Minute},
		{Line: 12, Groups: []string{"admins"}, Require: Required, NoEnrolAtLogin: true},
		{Line: 15, From: from(t, "0.0.0.0/0", "::/0"), Require: Required, EnrolBy: july, EnrolFrom: from(t, "10.0.0.0/8"), Remember: 30 * 24 * time.Hour},
	}
}

func TestDecide(t *testing.T) {
	const local = ""
	for _, c := range []struct {
		user, groups, service, from string
		rule                        string
		kind                        Kind
	}{
		{"root", "", "login", local, "rule 1 (totpd.toml line 1)", Exempt},
		{"root", "", "login", ":0", "rule 1 (", Exempt},
		{"root", "", "sshd", local, "default", Optional},
		{"root", "", "login", "192.0.2.1", "rule 5 (totpd.toml line 15)", Required},
		{"alice", "", "login", local, "default", Optional},
		{"robot", "robots", "sshd", "10.1.2.3", "rule 2 (totpd.toml line 5)", Exempt},
		{"robot", "users backup", "sshd", "2001:db8:1::1", "rule 2 (", Exempt},
		{"robot", "robots", "sshd", "192.0.2.7", "rule 2 (", Exempt},
		{"robot", "robots", "sshd", "::ffff:192.0.2.7", "rule 2 (", Exempt},
		{"robot", "robots", "sshd", "192.0.2.8", "rule 5 (", Required},
		{"robot", "robots", "sshd", "2001:db9::1", "rule 5 (", Required},
		{"robot", "robots", "sshd", local, "default", Optional},
		{"robot", "robots", "sshd", "inside.example.org", "the strictest of rule 2 (totpd.toml line 5), rule 5 (totpd.toml line 15), default", Required},
		{"alice", "", "sshd", "10.1.2.3", "rule 5 (", Required},
		{"alice", "admins", "sudo", local, "rule 3 (", Optional},
		{"alice", "admins", "sshd", "10.1.2.3", "rule 4 (", Required},
		{"alice", "admins robots", "sshd", "10.1.2.3", "rule 2 (", Exempt},
		{"Root", "Robots", "LOGIN", local, "the strictest of rule 1 (totpd.toml line 1), default", Optional},
	} {
		q := Question{User: c.user, Groups: strings.Fields(c.groups), Service: c.service, Source: source.Of(c.user, c.from, ""), Now: july}
		d := Decide(site(t), q)
		if d.Kind != c.kind || !strings.HasPrefix(d.Reason, c.rule) || !d.EnrolBy.IsZero() {
			t.Errorf("%+v: %+v", c, d)
		}
	}
}

func TestWithoutRules(t *testing.T) {
	want := Decision{Kind: Optional, Reason: "default", EnrolHere: true}
	if d := Decide(nil, Question{User: "root"}); d != want {
		t.Errorf("%+v", d)
	}
	want = Decision{Kind: Required, Reason: "default, after a reset", EnrolHere: true}
	if d := Decide(nil, Question{User: "root", MustEnrol: true}); d != want {
		t.Errorf("%+v", d)
	}
}

func TestRequiredFromADateOn(t *testing.T) {
	rules := site(t)
	q := Question{User: "alice", Service: "sshd", Source: source.Of("alice", "198.51.100.1", "")}
	for _, c := range []struct {
		now  time.Time
		by   time.Time
		days int
	}{
		{noon, july, 30}, {july.Add(-time.Nanosecond), july, 1}, {july.Add(-25 * time.Hour), july, 2},
		{july, time.Time{}, 0}, {july.Add(time.Hour), time.Time{}, 0},
	} {
		q.Now = c.now
		if d := Decide(rules, q); d.Kind != Required || !d.EnrolBy.Equal(c.by) || d.DaysLeft(c.now) != c.days {
			t.Errorf("at %v: %+v, %d days left", c.now, d, d.DaysLeft(c.now))
		}
	}
	// The days are those of the place where the date was set.
	east := time.FixedZone("east", 5*3600)
	d := Decision{EnrolBy: time.Date(2026, 7, 1, 0, 0, 0, 0, east)}
	if n := d.DaysLeft(time.Date(2026, 6, 29, 20, 0, 0, 0, time.UTC)); n != 1 {
		t.Errorf("%d days left in the east", n)
	}
}

// A reset asks for at least as much, at once; it leaves the exempt exempt.
func TestReset(t *testing.T) {
	for _, c := range []struct{ rule, want Kind }{{Exempt, Exempt}, {Optional, Required}, {Required, Required}, {0, 0}} {
		rules := Rules{{Line: 1, Require: c.rule, EnrolBy: july, NoEnrolAtLogin: true}}
		d := Decide(rules, Question{MustEnrol: true, Now: noon})
		if d.Kind != c.want || !d.EnrolBy.IsZero() || d.EnrolHere {
			t.Errorf("%v: %+v", c.rule, d)
		}
		if told := strings.HasSuffix(d.Reason, "after a reset"); told != (c.want == Required) {
			t.Errorf("%v: %q", c.rule, d.Reason)
		}
	}
}

func TestWhereOneEnrols(t *testing.T) {
	for _, c := range []struct {
		rule Rule
		from string
		want bool
	}{
		{Rule{}, "", true}, {Rule{}, "192.0.2.1", true}, {Rule{NoEnrolAtLogin: true}, "", false},
		{Rule{EnrolFrom: from(t, "10.0.0.0/8", "local")}, "10.1.1.1", true},
		{Rule{EnrolFrom: from(t, "10.0.0.0/8", "local")}, "", true},
		{Rule{EnrolFrom: from(t, "10.0.0.0/8", "local")}, "11.1.1.1", false},
		{Rule{EnrolFrom: from(t, "10.0.0.0/8")}, "", false},
		{Rule{EnrolFrom: from(t, "0.0.0.0/0")}, "ten.example.org", false},
	} {
		d := Decide(Rules{c.rule}, Question{Source: source.Of("alice", c.from, "")})
		if d.EnrolHere != c.want {
			t.Errorf("%+v from %q: %v", c.rule, c.from, d.EnrolHere)
		}
	}
}

// Groups are asked for only where they decide: root gets in at the console while the directory is down.
func TestGroupsThatMatter(t *testing.T) {
	for _, c := range []struct{ user, service, from, want string }{
		{"root", "login", "", ""},
		{"alice", "sshd", "10.0.0.1", "robots backup admins"},
		{"alice", "sshd", "192.0.2.1", "admins"},
		{"alice", "sudo", "", ""},
		{"alice", "sudo", "10.0.0.1", "robots backup"},
	} {
		q := Question{User: c.user, Service: c.service, Source: source.Of(c.user, c.from, "")}
		if got := strings.Join(site(t).Groups(q), " "); got != c.want {
			t.Errorf("%+v: %s", c, got)
		}
	}
	twice := Rules{{Users: []string{"bob"}, Groups: []string{"c"}}, {Groups: []string{"a", "b"}}, {Groups: []string{"b"}}, {}, {Groups: []string{"d"}}}
	if got := twice.Groups(Question{User: "alice"}); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("%q", got)
	}
}

// What Groups leaves out changes nothing: whatever other groups a user is in, the answer is the same.
func TestGroupsAreAllThatMatters(t *testing.T) {
	every := []string{"robots", "backup", "admins", "others"}
	for mask := range 1 << len(every) {
		var in []string
		for i, g := range every {
			if mask>>i&1 == 1 {
				in = append(in, g)
			}
		}
		for _, place := range []string{"", "10.0.0.1", "192.0.2.7", "198.51.100.1"} {
			for _, service := range []string{"sshd", "sudo", "login"} {
				q := Question{User: "root", Service: service, Source: source.Of("root", place, ""), Groups: in, Now: noon}
				want := Decide(site(t), q)
				asked := site(t).Groups(q)
				q.Groups = slices.DeleteFunc(slices.Clone(in), func(g string) bool { return !slices.Contains(asked, g) })
				if got := Decide(site(t), q); got != want {
					t.Errorf("in %q, asked about %q: %+v, want %+v", in, asked, got, want)
				}
			}
		}
	}
}

func TestUnmet(t *testing.T) {
	r := Rule{Users: []string{"bob"}, Groups: []string{"g"}, Services: []string{"su"}, From: from(t, "local")}
	q := Question{User: "alice", Service: "sshd", Source: source.Of("alice", "192.0.2.1", "")}
	if got, unknown := r.Conditions(q); !slices.Equal(got, []string{"users", "services", "from", "groups"}) || unknown != nil || r.Match(q) != No {
		t.Errorf("%q, %q", got, unknown)
	}
	q = Question{User: "bob", Service: "su", Groups: []string{"g"}}
	if got, unknown := r.Conditions(q); got != nil || unknown != nil || r.Match(q) != Yes {
		t.Errorf("%q, %q", got, unknown)
	}
}

func TestCovers(t *testing.T) {
	a, b := []string{"a"}, []string{"a", "b"}
	for _, c := range []struct {
		rule, other Rule
		want        bool
	}{
		{Rule{}, Rule{}, true},
		{Rule{}, Rule{Users: a}, true},
		{Rule{Users: a}, Rule{}, false},
		{Rule{Users: b}, Rule{Users: a, Services: a}, true},
		{Rule{Users: a}, Rule{Users: b}, false},
		{Rule{Groups: a}, Rule{Groups: a, Users: a}, true},
		{Rule{Groups: a, Users: a}, Rule{Groups: a}, false},
		{Rule{Services: a}, Rule{Users: a}, false},
		{Rule{From: from(t, "10.0.0.0/8", "local")}, Rule{From: from(t, "10.1.0.0/16")}, true},
		{Rule{From: from(t, "10.0.0.0/8", "local")}, Rule{From: from(t, "local", "10.1.1.1")}, true},
		{Rule{From: from(t, "10.1.0.0/16")}, Rule{From: from(t, "10.0.0.0/8")}, false},
		{Rule{From: from(t, "10.0.0.0/8")}, Rule{From: from(t, "local")}, false},
		{Rule{From: from(t, "local")}, Rule{From: from(t, "10.0.0.1")}, false},
		{Rule{From: from(t, "0.0.0.0/0")}, Rule{From: from(t, "::/0")}, false},
	} {
		if got := c.rule.Covers(c.other); got != c.want {
			t.Errorf("%+v covers %+v: %v", c.rule, c.other, got)
		}
	}
}

func TestPlaces(t *testing.T) {
	for _, text := range []string{"local", "192.0.2.7", "192.0.2.0/24", "0.0.0.0/0", "::1", "2001:db8::/32", "::/0"} {
		if p, err := ParsePlace(text); err != nil || p.String() != text {
			t.Errorf("%s: %v, %v", text, p, err)
		}
	}
	for _, text := range []string{"", "Local", "lan", "192.0.2", "192.0.2.7/24", "192.0.2.0/33", "fe80::1%eth0", "fe80::%eth0/64", "::ffff:1.2.3.4", "::ffff:1.2.3.0/120", "1.2.3.4 "} {
		if p, err := ParsePlace(text); err == nil || p != (Place{}) {
			t.Errorf("%s is %v", text, p)
		}
	}
	if (Place{}).Has(source.Source{}) != No || (Place{}).Has(source.Of("a", "::", "")) != No || (Place{}).Has(source.Of("a", "host", "")) != No {
		t.Error("something is nowhere")
	}
}

func TestKindsAreSpelled(t *testing.T) {
	for _, k := range []Kind{Exempt, Optional, Required} {
		if k.String() == "" || KindOf(k.String()) != k {
			t.Errorf("%d: %q", k, k)
		}
	}
	if KindOf("") != 0 || KindOf("Exempt") != 0 || Kind(0).String() != "" {
		t.Error("there are more")
	}
}

// Questions are asked at once, of the same rules: nobody changes them.
func TestRulesStayAsTheyAre(t *testing.T) {
	rules := site(t)
	rules.Groups(Question{User: "alice", Service: "sshd"})
	Decide(rules, Question{User: "alice", Service: "sshd"})
	if !reflect.DeepEqual(rules, site(t)) {
		t.Error("changed")
	}
}

// What a login asks for, and what totpctl policy explain says of it.
func TestDue(t *testing.T) {
	soon := time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		d                   Decision
		enrolled, canAnswer bool
		want                Due
	}{
		{Decision{Kind: Exempt}, true, true, Nothing},
		{Decision{Kind: Optional}, false, false, Nothing},
		{Decision{Kind: Optional}, false, true, Nothing}, // a bypass code is asked for where a code is required
		{Decision{Kind: Optional}, true, true, Code},
		{Decision{Kind: Required}, true, true, Code},
		{Decision{Kind: Required}, false, true, Code},
		{Decision{Kind: Required}, false, false, Enrolment},
		{Decision{Kind: Required, EnrolBy: soon}, false, false, Nothing},
		{Decision{Kind: Required, EnrolBy: soon}, true, true, Code},
		{Decision{}, false, false, 0},
		{Decision{}, true, true, 0},
		{Decision{Kind: 99}, true, true, 0},
	} {
		if got := c.d.Due(c.enrolled, c.canAnswer); got != c.want {
			t.Errorf("%+v, enrolled %v, can answer %v: %d, want %d", c.d, c.enrolled, c.canAnswer, got, c.want)
		}
	}
}
