// Package policy decides who needs a code, by the rules of the configuration. It is pure: it looks nobody
// up and reads no clock.
//
// Always true: the first rule of which every condition is met decides, and without one a second factor is
// optional; where nobody can tell whether a condition is met, the strictest of all that may decide holds; a reset
// never asks for less.
package policy

import (
	"cmp"
	"fmt"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/internal/source"
)

// Question is what a decision may depend on.
type Question struct {
	User      string   // canonical
	Groups    []string // of those that Rules.Groups returns, the ones that the user is in
	NoGroups  []string // likewise, the ones that the host doesn't know
	Service   string   // PAM service
	Source    source.Source
	MustEnrol bool // root has reset the user's second factor
	Now       time.Time
}

// Kind says what is asked of a user. The zero value is none of them; whoever meets it refuses.
type Kind int

// The kinds.
const (
	Exempt   Kind = iota + 1 // no code is due
	Optional                 // a code is due from those who have enrolled
	Required                 // a code is due from everybody
)

var kinds = map[Kind]string{Exempt: "exempt", Optional: "optional", Required: "required"}

// String is the kind as a configuration spells it.
func (k Kind) String() string { return kinds[k] }

// KindOf is the kind that is spelled so, or zero.
func KindOf(text string) Kind {
	for k, t := range kinds {
		if t == text {
			return k
		}
	}
	return 0
}

// Decision is what is asked, and why.
type Decision struct {
	Kind   Kind
	Reason string // for the journal: which rule, or "default"
	Doubt  string // for the journal: why nobody can tell which rule decides, and the strictest does; or ""
	// EnrolBy is until when who hasn't enrolled gets in all the same, where Kind is Required. A time that has
	// passed is zero.
	EnrolBy time.Time
	// EnrolHere says that who must enrol may do it in this very login.
	EnrolHere bool
	Remember  time.Duration // for how long a computer may be remembered; 0: not at all
	Grace     time.Duration // for how long no code is asked again in a terminal session; 0: not at all
}

// DaysLeft is how many midnights lie between now and EnrolBy, there where EnrolBy is. It is 0 without an
// EnrolBy.
func (d Decision) DaysLeft(now time.Time) int {
	if d.EnrolBy.IsZero() {
		return 0
	}
	date := func(t time.Time) time.Time {
		y, m, day := t.In(d.EnrolBy.Location()).Date()
		return time.Date(y, m, day, 0, 0, 0, 0, time.UTC)
	}
	return int(date(d.EnrolBy).Sub(date(now)) / (24 * time.Hour))
}

// Due is what a decision comes to for one user. The zero value is nothing that is known; whoever meets it
// refuses.
type Due int

// What is due.
const (
	Nothing   Due = iota + 1 // the user gets in
	Code                     // of a device, or what stands in for it
	Enrolment                // the user has nothing to answer with, and must have
)

// Due says what is due of a user who has a device (enrolled), or at least something to answer with.
func (d Decision) Due(enrolled, canAnswer bool) Due {
	switch {
	case d.Kind == Exempt, !enrolled && (d.Kind == Optional || d.Kind == Required && !d.EnrolBy.IsZero()):
		return Nothing
	case d.Kind == Optional, d.Kind == Required && canAnswer:
		return Code
	case d.Kind == Required:
		return Enrolment
	}
	return 0
}

// Decide answers the question by the first rule that matches, or by the strictest of those that may be it.
func Decide(rules Rules, q Question) Decision {
	candidates, sure := rules.candidates(q)
	var d Decision
	var reasons []string
	for n, i := range candidates {
		one := rules[i].decision(i, q)
		if rules[i].Match(q) == Unknown && d.Doubt == "" {
			one.Doubt = fmt.Sprintf("nobody can tell whether %s matches: %s", one.Reason, rules[i].whyUnknown(q))
		}
		reasons = append(reasons, one.Reason)
		if n > 0 {
			one = strictest(d, one)
		}
		d = one
	}
	if !sure {
		fallback := Decision{Kind: Optional, Reason: "default", EnrolHere: true}
		reasons = append(reasons, fallback.Reason)
		if len(candidates) > 0 {
			fallback = strictest(d, fallback)
		}
		d = fallback
	}
	if d.Reason = reasons[0]; len(reasons) > 1 {
		d.Reason = "the strictest of " + strings.Join(reasons, ", ")
	}
	if q.MustEnrol && (d.Kind == Optional || d.Kind == Required) {
		d.Kind, d.EnrolBy = Required, time.Time{}
		d.Reason += ", after a reset"
	}
	return d
}

// decision is that of the rule at index i, where it decides alone.
func (r Rule) decision(i int, q Question) Decision {
	d := Decision{
		Kind: r.Require, Reason: fmt.Sprintf("rule %d (totpd.toml line %d)", i+1, r.Line),
		EnrolHere: !r.NoEnrolAtLogin && (len(r.EnrolFrom) == 0 || comesFrom(r.EnrolFrom, q.Source) == Yes),
		Remember:  r.Remember, Grace: r.Grace,
	}
	if d.Kind == Required && q.Now.Before(r.EnrolBy) {
		d.EnrolBy = r.EnrolBy
	}
	return d
}

// strictest asks in every respect for what the stricter one of a and b asks for. It has no Reason.
func strictest(a, b Decision) Decision {
	if a.Kind == 0 || b.Kind == 0 {
		return Decision{Doubt: cmp.Or(a.Doubt, b.Doubt)} // of settings that are broken
	}
	if a.Kind > b.Kind {
		a, b = b, a
	}
	d := b // the one that asks for more
	d.Doubt = cmp.Or(a.Doubt, b.Doubt)
	if a.Kind == Exempt {
		return d // it lets in, and says nothing of what it takes otherwise
	}
	if a.Kind == Required && a.EnrolBy.Before(d.EnrolBy) {
		d.EnrolBy = a.EnrolBy
	}
	d.EnrolHere = a.EnrolHere && b.EnrolHere
	d.Remember, d.Grace = min(a.Remember, b.Remember), min(a.Grace, b.Grace)
	return d
}
