package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/internal/source"
)

// Rules are asked in their order. The zero value has none.
type Rules []Rule

// Rule is what is asked of whoever meets its conditions. A condition that is empty is met by everybody.
type Rule struct {
	Line int // of the configuration, where it begins

	// The conditions.
	Users    []string // canonical names
	Groups   []string
	Services []string // of PAM
	From     []Place

	Require        Kind
	EnrolBy        time.Time // with Required: before, who hasn't enrolled gets in all the same
	NoEnrolAtLogin bool      // nobody enrols inside the login
	EnrolFrom      []Place   // from where one may; empty: from everywhere
	Remember       time.Duration
	Grace          time.Duration
}

// Met says whether a login meets a condition.
type Met int

// The answers. What a name service or a login program leaves open is Unknown.
const (
	No Met = iota
	Unknown
	Yes
)

// condition is one key of a rule that has to be met.
type condition struct {
	key    string
	met    func(Rule, Question) Met
	why    func(Rule, Question) string // that can't be told, where met is Unknown
	covers func(a, b Rule) bool        // whoever meets that of b meets that of a
}

// conditions are all that there are. That on groups is the last: it is the one that somebody has to be
// asked about.
var conditions = []condition{
	{"users", usersMet, userSpelling, covers(func(r Rule) []string { return r.Users })},
	{"services", servicesMet, spelling, covers(func(r Rule) []string { return r.Services })},
	{
		"from",
		func(r Rule, q Question) Met {
			if len(r.From) == 0 {
				return Yes
			}
			return comesFrom(r.From, q.Source)
		},
		func(_ Rule, q Question) string { return q.Source.Doubt() },
		func(a, b Rule) bool {
			return len(a.From) == 0 || len(b.From) > 0 && !slices.ContainsFunc(b.From, func(p Place) bool { return !within(a.From, p) })
		},
	},
	{"groups", groupsMet, missingGroups, covers(func(r Rule) []string { return r.Groups })},
}

// covers compares two lists of names, of which one is met.
func covers(of func(Rule) []string) func(a, b Rule) bool {
	return func(a, b Rule) bool {
		return len(of(a)) == 0 || len(of(b)) > 0 && !slices.ContainsFunc(of(b), func(n string) bool { return !slices.Contains(of(a), n) })
	}
}

// usersMet takes a name with a domain and one without (alice@example.com, EXAMPLE\alice, alice) for one user's, perhaps:
// which of them a directory gives for canonical is set elsewhere.
func usersMet(r Rule, q Question) Met {
	met := oneOf(r.Users, q.User)
	name, domain := bare(q.User)
	if met == No && slices.ContainsFunc(r.Users, func(n string) bool {
		n, other := bare(n)
		return strings.EqualFold(n, name) && (domain == "") != (other == "")
	}) {
		return Unknown
	}
	return met
}

// bare takes the domain off a user's name, as SSSD and winbind write it.
func bare(user string) (name, domain string) {
	if name, domain, found := strings.Cut(user, "@"); found {
		return name, domain
	}
	if i := strings.LastIndexByte(user, '\\'); i >= 0 {
		return user[i+1:], user[:i]
	}
	return user, ""
}

func servicesMet(r Rule, q Question) Met { return oneOf(r.Services, q.Service) }

// oneOf looks for a name in a list. Whether names that differ in case only, or an empty one, are meant can't be
// told.
func oneOf(list []string, name string) Met {
	switch {
	case len(list) == 0, slices.Contains(list, name):
		return Yes
	case name == "", slices.ContainsFunc(list, func(n string) bool { return strings.EqualFold(n, name) }):
		return Unknown
	}
	return No
}

// userSpelling says why usersMet returns Unknown.
func userSpelling(r Rule, q Question) string {
	if oneOf(r.Users, q.User) == No {
		return "a name of it differs in the domain only"
	}
	return spelling(r, q)
}

// spelling says why oneOf returns Unknown.
func spelling(r Rule, q Question) string {
	if q.Service == "" && len(r.Services) > 0 {
		return "the program gave no service"
	}
	return "a name of it differs in upper and lower case only"
}

// groupsMet says whether the user is in one of the rule's groups. A group that the host doesn't know may have
// members all the same: a directory that is down knows no groups either.
func groupsMet(r Rule, q Question) Met {
	shares := func(names []string) bool {
		return slices.ContainsFunc(names, func(n string) bool { return slices.Contains(r.Groups, n) })
	}
	switch {
	case len(r.Groups) == 0, shares(q.Groups):
		return Yes
	case shares(q.NoGroups):
		return Unknown
	}
	return No
}

func missingGroups(r Rule, q Question) string {
	for _, name := range r.Groups {
		if slices.Contains(q.NoGroups, name) {
			return fmt.Sprintf("this host has no group %q", name)
		}
	}
	return ""
}

// Conditions returns the keys of the conditions that aren't met, and of those that may be: nobody can tell.
func (r Rule) Conditions(q Question) (unmet, unknown []string) {
	for _, c := range conditions {
		switch c.met(r, q) {
		case No:
			unmet = append(unmet, c.key)
		case Unknown:
			unknown = append(unknown, c.key)
		}
	}
	return unmet, unknown
}

// Match says whether all conditions are met.
func (r Rule) Match(q Question) Met {
	switch unmet, unknown := r.Conditions(q); {
	case unmet != nil:
		return No
	case unknown != nil:
		return Unknown
	}
	return Yes
}

// whyUnknown says why nobody can tell whether the rule matches.
func (r Rule) whyUnknown(q Question) string {
	for _, c := range conditions {
		if c.met(r, q) == Unknown {
			return c.key + ": " + c.why(r, q)
		}
	}
	return ""
}

// Covers says that no login matches other without matching r too: after r, other is never reached.
func (r Rule) Covers(other Rule) bool {
	return !slices.ContainsFunc(conditions, func(c condition) bool { return !c.covers(r, other) })
}

// candidates returns the indexes of the rules that may be the first one that matches, and whether the last of
// them surely matches: otherwise it may be that none does.
func (rs Rules) candidates(q Question) (all []int, sure bool) {
	for i, r := range rs {
		switch r.Match(q) {
		case Yes:
			return append(all, i), true
		case Unknown:
			all = append(all, i)
		}
	}
	return all, false
}

// Groups returns the groups on whose members the answer depends, each once. It is empty where the other
// conditions decide alone: then no name service has to be asked.
func (rs Rules) Groups(q Question) []string {
	var names []string
	for _, r := range rs {
		asks := r.Groups
		r.Groups = nil
		match := r.Match(q)
		if match == No {
			continue
		}
		if len(asks) == 0 && match == Yes {
			break
		}
		for _, name := range asks {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// WithGroups returns the question with the user's groups, as far as the answer depends on them. lookup says
// which of some groups the user is in, and which the host doesn't know; when it fails, so does this: a rule is
// never passed over.
func (rs Rules) WithGroups(q Question, lookup func(among []string) (in, unknown []string, err error)) (Question, error) {
	among := rs.Groups(q)
	if len(among) == 0 {
		return q, nil
	}
	var err error
	q.Groups, q.NoGroups, err = lookup(among)
	return q, err
}

func comesFrom(places []Place, s source.Source) Met {
	best := No
	for _, p := range places {
		best = max(best, p.Has(s))
	}
	return best
}
