package account

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"
)

// HashSize is the length of a keyed hash in an account, in bytes.
const HashSize = 32

// What a keyed hash of an account is of. It is part of the hash.
const (
	PurposeRecovery = "recovery"
	PurposeBypass   = "bypass"
	PurposeComputer = "computer"
	PurposeGrace    = "grace"
	PurposeRepeat   = "repeat"
)

// Limits of the lists of an account. What a list of what a login leaves behind (remembered computers, grace)
// has no room for takes the place of its oldest entry.
const (
	DevicesMax    = 8
	RecoveryMax   = 20 // imported ones included
	BypassMax     = 8
	RememberedMax = 32
	GraceMax      = 16
)

// Recovery is a recovery code that was not used yet.
type Recovery struct {
	Hash []byte `json:"hash"` // keyed, of HashSize bytes
	// Short says that the code was made elsewhere and is a number that can be guessed: it is limited as the
	// codes of devices are.
	Short bool `json:"short,omitempty"`
}

// Bypass is a temporary code that the helpdesk reads out.
type Bypass struct {
	ID      string    `json:"id"`   // to list and revoke it by
	Hash    []byte    `json:"hash"` // keyed, of HashSize bytes
	By      string    `json:"by"`   // who made it, as a uid in decimal
	Made    time.Time `json:"made"`
	Expires time.Time `json:"expires"`
	Uses    int       `json:"uses"` // that are left
}

// Live says whether the code may still be used.
func (b Bypass) Live(now time.Time) bool { return b.Uses > 0 && now.Before(b.Expires) }

// CanAnswer says whether there is anything that the user can answer with when a code is asked for: a device,
// or a bypass code.
func (a Account) CanAnswer(now time.Time) bool {
	return a.Enrolled() || slices.ContainsFunc(a.Bypass, func(b Bypass) bool { return b.Live(now) })
}

// Remembered is a computer from which no code is asked until Expires.
type Remembered struct {
	Hash     []byte    `json:"hash"` // keyed, of HashSize bytes: of what makes it out
	From     string    `json:"from"` // the key of its source
	Name     string    `json:"name"` // what a person is told it is, beside that
	Since    time.Time `json:"since"`
	Expires  time.Time `json:"expires"`
	LastUsed time.Time `json:"last_used,omitzero"` // to the day
}

// Grace is a terminal session in which no code is asked until Expires.
type Grace struct {
	Hash    []byte    `json:"hash"` // keyed, of HashSize bytes: of what makes it out
	Since   time.Time `json:"since"`
	Expires time.Time `json:"expires"`
}

// validWays returns what is wrong with the ways in other than a device's code, or nil.
func (a Account) validWays() error {
	for _, list := range []struct {
		name      string
		len, most int
		hash      func(int) []byte
		valid     func(int) bool
	}{
		{"recovery code", len(a.Recovery), RecoveryMax, func(i int) []byte { return a.Recovery[i].Hash }, func(int) bool { return true }},
		{"bypass code", len(a.Bypass), BypassMax, func(i int) []byte { return a.Bypass[i].Hash }, func(i int) bool {
			b := a.Bypass[i]
			return b.ID != "" && b.Uses > 0 && !b.Expires.IsZero()
		}},
		{"remembered computer", len(a.Remembered), RememberedMax, func(i int) []byte { return a.Remembered[i].Hash }, func(i int) bool {
			return !a.Remembered[i].Expires.IsZero()
		}},
		{"grace", len(a.Grace), GraceMax, func(i int) []byte { return a.Grace[i].Hash }, func(i int) bool { return !a.Grace[i].Expires.IsZero() }},
	} {
		if list.len > list.most {
			return fmt.Errorf("%d of %s, at most %d", list.len, list.name, list.most)
		}
		for i := range list.len {
			if len(list.hash(i)) != HashSize || !list.valid(i) {
				return fmt.Errorf("%s %d is broken", list.name, i+1)
			}
			for j := range i {
				if bytes.Equal(list.hash(i), list.hash(j)) {
					return errors.New(list.name + ": one is there twice")
				}
			}
		}
	}
	return nil
}
