package account

import (
	"errors"
	"fmt"
	"time"
)

// Limits of what is kept of failures and sources.
const (
	SourcesMax = 32
	SourceMax  = 64 // bytes of a source's key
	RepeatsMax = 4
)

// Spent is what the wrong codes of an account could have won so far, in hundred-millionths: one guess at one
// code of 8 digits is 1, at one of 6 digits 100. The zero value with failures is from before it was kept.
type Spent struct {
	Odds  int       `json:"odds"`  // of the failures of Codes, which are those since Since
	Since time.Time `json:"since"` // the first of them
	// Of the period before:
	Earlier     int `json:"earlier,omitempty"` // failures
	EarlierOdds int `json:"earlier_odds,omitempty"`
}

// Source is where the user has logged in from.
type Source struct {
	Key      string    `json:"key"`  // of SourceMax bytes at the most
	Used     time.Time `json:"used"` // the last success
	Failures int       `json:"failures,omitempty"`
	Last     time.Time `json:"last,omitzero"` // of these failures in a row
}

// Repeat is the use of a code by one login.
type Repeat struct {
	Mark []byte    `json:"mark"` // of MarkSize bytes: a hash of the login's id
	Hash []byte    `json:"hash"` // of the code, keyed, of HashSize bytes
	At   time.Time `json:"at"`
}

// validFailures returns what is wrong with the failures and sources, or nil.
func (a Account) validFailures() error {
	for _, n := range []int{
		a.Codes.Failures, a.Password.Failures, a.Strangers.Failures, a.WrongRecovery.Failures,
		a.Spent.Odds, a.Spent.Earlier, a.Spent.EarlierOdds,
	} {
		if n < 0 {
			return errors.New("negative number of failures")
		}
	}
	if (a.Spent == Spent{}) != a.Spent.Since.IsZero() {
		return errors.New("failures of no time")
	}
	if len(a.Sources) > SourcesMax || len(a.Repeats) > RepeatsMax {
		return fmt.Errorf("%d sources and %d repeats, at most %d and %d", len(a.Sources), len(a.Repeats), SourcesMax, RepeatsMax)
	}
	for i, s := range a.Sources {
		if s.Key == "" || len(s.Key) > SourceMax || s.Used.IsZero() || s.Failures < 0 {
			return fmt.Errorf("source %d is broken", i+1)
		}
		for _, o := range a.Sources[:i] {
			if o.Key == s.Key {
				return fmt.Errorf("source %d is there twice", i+1)
			}
		}
	}
	for _, r := range a.Repeats {
		if len(r.Mark) != MarkSize || len(r.Hash) != HashSize || r.At.IsZero() {
			return errors.New("a repeat is broken")
		}
	}
	return nil
}
