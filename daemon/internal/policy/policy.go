// Package policy decides who needs a code. It is pure: it looks nobody up and reads no clock.
//
// Every user's second factor is optional for now: whoever has enrolled is asked.
package policy

import (
	"time"

	"github.com/totpd/totpd/daemon/internal/source"
)

// Question is what a decision may depend on.
type Question struct {
	User      string   // canonical
	Groups    []string // of the user, where a rule names groups
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

// Decision is what is asked, and why.
type Decision struct {
	Kind   Kind
	Reason string // for the journal: which rule, or "default"
	// EnrolBy is until when who hasn't enrolled gets in all the same, where Kind is Required. A time that has
	// passed is zero.
	EnrolBy time.Time
	// EnrolHere says that who must enrol may do it in this very login.
	EnrolHere bool
	Remember  time.Duration // for how long a computer may be remembered; 0: not at all
	Grace     time.Duration // for how long no code is asked again in a terminal session; 0: not at all
}

// Decide answers the question.
func Decide(Question) Decision {
	return Decision{Kind: Optional, Reason: "default"}
}
