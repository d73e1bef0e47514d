// Package policy decides who needs a code. It is pure: it looks nobody up and reads no clock.
//
// Every user's second factor is optional for now: whoever has enrolled is asked.
package policy

import "time"

// Question is what a decision may depend on.
type Question struct {
	User     string // canonical
	Service  string // PAM service
	RHost    string // remote host, as the PAM application gives it
	TTY      string
	Enrolled bool
	Now      time.Time
}

// Kind says what is asked of a user. The zero value is none of them; whoever meets it refuses.
type Kind int

// The kinds.
const (
	Exempt   Kind = iota + 1 // no code is due
	Optional                 // a code is due from those who have enrolled
	Required                 // a code is due from everybody
)

// Decision is a kind and the reason for the journal.
type Decision struct {
	Kind   Kind
	Reason string
}

// Decide answers the question.
func Decide(Question) Decision {
	return Decision{Kind: Optional, Reason: "default"}
}
