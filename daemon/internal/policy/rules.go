package policy

import (
	"slices"
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

// condition is one key of a rule that has to be met.
type condition struct {
	key    string
	met    func(Rule, Question) bool
	covers func(a, b Rule) bool // whoever meets that of b meets that of a
}

// conditions are all that there are. That on groups is the last: it is the one that somebody has to be
// asked about.
var conditions = []condition{
	named("users", func(r Rule) []string { return r.Users }, func(q Question) []string { return []string{q.User} }),
	named("services", func(r Rule) []string { return r.Services }, func(q Question) []string { return []string{q.Service} }),
	{
		"from",
		func(r Rule, q Question) bool { return len(r.From) == 0 || comesFrom(r.From, q.Source) },
		func(a, b Rule) bool {
			return len(a.From) == 0 || len(b.From) > 0 && !slices.ContainsFunc(b.From, func(p Place) bool { return !within(a.From, p) })
		},
	},
	named("groups", func(r Rule) []string { return r.Groups }, func(q Question) []string { return q.Groups }),
}

// named is a condition that is met by one name of several.
func named(key string, of func(Rule) []string, has func(Question) []string) condition {
	return condition{
		key,
		func(r Rule, q Question) bool { return len(of(r)) == 0 || shares(of(r), has(q)) },
		func(a, b Rule) bool {
			return len(of(a)) == 0 || len(of(b)) > 0 && !slices.ContainsFunc(of(b), func(n string) bool { return !slices.Contains(of(a), n) })
		},
	}
}

func shares(a, b []string) bool {
	return slices.ContainsFunc(a, func(n string) bool { return slices.Contains(b, n) })
}

// Unmet returns the keys of the conditions that aren't met. None: the rule matches.
func (r Rule) Unmet(q Question) []string {
	var keys []string
	for _, c := range conditions {
		if !c.met(r, q) {
			keys = append(keys, c.key)
		}
	}
	return keys
}

// Covers says that no login matches other without matching r too: after r, other is never reached.
func (r Rule) Covers(other Rule) bool {
	return !slices.ContainsFunc(conditions, func(c condition) bool { return !c.covers(r, other) })
}

// Match returns the index of the first rule that matches, or -1.
func (rs Rules) Match(q Question) int {
	return slices.IndexFunc(rs, func(r Rule) bool { return r.Unmet(q) == nil })
}

// Groups returns the groups on whose members the answer depends, each once. It is empty where the other
// conditions decide alone: then no name service has to be asked.
func (rs Rules) Groups(q Question) []string {
	var names []string
	for _, r := range rs {
		asks := r.Groups
		r.Groups = nil
		if r.Unmet(q) != nil {
			continue
		}
		if len(asks) == 0 {
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
// which of some groups the user is in; when it fails, so does this: a rule is never passed over.
func (rs Rules) WithGroups(q Question, lookup func(among []string) ([]string, error)) (Question, error) {
	among := rs.Groups(q)
	if len(among) == 0 {
		return q, nil
	}
	var err error
	q.Groups, err = lookup(among)
	return q, err
}

func comesFrom(places []Place, s source.Source) bool {
	return slices.ContainsFunc(places, func(p Place) bool { return p.Has(s) })
}
