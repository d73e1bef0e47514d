// Package account is the record of one user: the devices that make codes, an enrolment that waits for
// its confirmation, the codes already used, the other ways in, and the failures so far. It says what makes
// a record valid. It judges no code, keeps no time and stores nothing.
//
// Always true of a valid account: a device's secret is sealed, never in the clear; a step of a device
// is in the list of used steps once at the most; names are unique within the account; the id of a
// login is not in it, only a hash; nor is a recovery code, a bypass code or what makes out a computer.
package account

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/totpd/totpd/daemon/control/otpauth"
)

// Algorithm is the hash of RFC 6238 §1.2 as otpauth URIs spell it.
type Algorithm string

// The algorithms.
const (
	SHA1   Algorithm = "SHA1"
	SHA256 Algorithm = "SHA256"
	SHA512 Algorithm = "SHA512"
)

// UsedMax is how many used steps of each device are remembered. They are dropped oldest use first.
const UsedMax = 64

// RecentMax is how many uses of each device are kept with the login that they were for.
const RecentMax = 16

// MarkSize is the length of the mark of a login, in bytes.
const MarkSize = 32

// NameMax is the longest name of a device, in bytes.
const NameMax = 64

// UserMax is the longest name of a user, in bytes.
const UserMax = 256

// Account is everything totpd knows of one user. The zero value with a User is a user who has not
// enrolled.
type Account struct {
	User     string   `json:"user"`
	UID      *uint32  `json:"uid,omitempty"` // of the user when the account was first used; nil: not known
	Devices  []Device `json:"devices,omitempty"`
	Pending  *Pending `json:"pending,omitempty"`
	Codes    Attempts `json:"codes,omitzero"`     // wrong codes that nothing has made good: see Spent
	Password Attempts `json:"passwords,omitzero"` // wrong passwords, asked by totpctl

	Recovery   []Recovery   `json:"recovery,omitempty"`   // the recovery codes that are left
	Bypass     []Bypass     `json:"bypass,omitempty"`     // temporary codes of the helpdesk's
	Remembered []Remembered `json:"remembered,omitempty"` // computers from which no code is asked
	Grace      []Grace      `json:"grace,omitempty"`      // terminal sessions in which none is asked for a moment
	// MustEnrol says that root has reset the second factor: a code is due where it would be optional, and
	// the next login enrols.
	MustEnrol bool `json:"must_enrol,omitempty"`

	Spent Spent `json:"spent,omitzero"` // what the wrong codes could have won
	// Sources are those from where the user has logged in, the latest last.
	Sources []Source `json:"sources,omitempty"`
	// Strangers are wrong codes in a row from anywhere else, WrongRecovery such recovery and bypass codes.
	Strangers     Attempts `json:"strangers,omitzero"`
	WrongRecovery Attempts `json:"wrong_recovery,omitzero"`
	// Repeats are those of the last moments that were accepted and that no device remembers.
	Repeats []Repeat `json:"repeats,omitempty"`

	// Extra is what a later totpd has added, and this one may pass over: it is kept as it is.
	Extra map[string]json.RawMessage `json:"extra,omitempty"`
}

// Device makes codes: a phone's authenticator or a hardware token.
type Device struct {
	ID        string    `json:"id"` // random, unique in the account, part of what seals Secret
	Name      string    `json:"name"`
	Digits    int       `json:"digits"` // 6 or 8
	Period    int       `json:"period"` // seconds: 30 or 60
	Algorithm Algorithm `json:"algorithm"`
	Kind      Kind      `json:"kind,omitempty"`
	Sealed    []byte    `json:"sealed"` // the secret, sealed for this user and this ID
	Added     time.Time `json:"added"`
	LastUsed  time.Time `json:"last_used,omitzero"`
	// Used are the steps (RFC 6238 §4.2) whose code was accepted, in order of use.
	Used []int64 `json:"used,omitempty"`
	// Recent are those of the last moments, as far as their logins can be told from others.
	Recent []Recent `json:"recent,omitempty"`
	// Counter of an event-based device is the next one that its code may have (RFC 4226 §7.2).
	Counter int64 `json:"counter,omitempty"`
	// Drift is by how many steps the clock of a time-based device was ahead of ours (behind: negative).
	Drift int `json:"drift,omitempty"`
	// Resync is a code outside of the window, whose successor brings the device back into it.
	Resync *Resync `json:"resync,omitempty"`
}

// Kind says what a device counts: time or events.
type Kind string

// The kinds. That of a time-based device is empty, as it was before there was another.
const (
	TOTP Kind = ""     // RFC 6238
	HOTP Kind = "hotp" // RFC 4226
)

// Resync is a code that was right at another time, or for a later counter.
type Resync struct {
	Step int64     `json:"step"`
	At   time.Time `json:"at"`
}

// Recent is the use of a step by one login.
type Recent struct {
	Step int64     `json:"step"`
	Mark []byte    `json:"mark"` // of MarkSize bytes: a hash of the login's id
	At   time.Time `json:"at"`
}

// Pending is an enrolment that no code has confirmed yet.
type Pending struct {
	Device  Device    `json:"device"`
	Expires time.Time `json:"expires"`
}

// Attempts counts failures.
type Attempts struct {
	Failures int       `json:"failures,omitempty"`
	Last     time.Time `json:"last,omitzero"` // when the last one failed
}

// Enrolled says whether the user has a second factor.
func (a Account) Enrolled() bool { return len(a.Devices) > 0 }

// Empty says whether there is nothing in the account that needs to be kept.
func (a Account) Empty() bool {
	return len(a.Devices) == 0 && a.Pending == nil && a.Codes == (Attempts{}) && a.Password == (Attempts{}) &&
		len(a.Recovery) == 0 && len(a.Bypass) == 0 && len(a.Remembered) == 0 && len(a.Grace) == 0 && !a.MustEnrol &&
		a.Spent == (Spent{}) && len(a.Sources) == 0 && a.Strangers == (Attempts{}) && a.WrongRecovery == (Attempts{}) &&
		len(a.Repeats) == 0 && len(a.Extra) == 0
}

// Valid returns what is wrong with the account, or nil. It never quotes a secret.
func (a Account) Valid() error {
	if err := ValidUser(a.User); err != nil {
		return err
	}
	if err := a.validFailures(); err != nil {
		return err
	}
	if n := len(a.Devices); n > DevicesMax {
		return fmt.Errorf("%d devices, at most %d", n, DevicesMax)
	}
	for i, d := range a.Devices {
		if err := d.Valid(); err != nil {
			return fmt.Errorf("device %d: %w", i+1, err)
		}
		for _, e := range a.Devices[:i] {
			if e.ID == d.ID || e.Name == d.Name {
				return fmt.Errorf("device %d: its id or name is used twice", i+1)
			}
		}
	}
	if a.Pending != nil {
		if err := a.Pending.Device.Valid(); err != nil {
			return fmt.Errorf("pending device: %w", err)
		}
		if a.Pending.Expires.IsZero() {
			return errors.New("pending device: no time of expiry")
		}
		for _, d := range a.Devices {
			if d.ID == a.Pending.Device.ID {
				return errors.New("pending device: its id is used by another")
			}
		}
	}
	return a.validWays()
}

// Valid returns what is wrong with the device, or nil.
func (d Device) Valid() error {
	switch {
	case d.ID == "":
		return errors.New("no id")
	case len(d.Sealed) == 0:
		return errors.New("no secret")
	case !otpauth.Digits(d.Digits):
		return fmt.Errorf("%d digits, must be %s", d.Digits, otpauth.DigitsText)
	case d.Kind != TOTP && d.Kind != HOTP:
		return fmt.Errorf("kind %q, must be hotp or nothing", string(d.Kind))
	case d.Kind == HOTP && (d.Period != 0 || d.Drift != 0 || len(d.Used) > 0 || len(d.Recent) > 0 || d.Counter < 0):
		return errors.New("a counter with what belongs to a clock, or below 0")
	case d.Kind == TOTP && d.Counter != 0:
		return errors.New("a clock with a counter")
	case d.Resync != nil && (d.Resync.Step < 0 || d.Resync.At.IsZero()):
		return errors.New("a resynchronisation is broken")
	case d.Kind == TOTP && !otpauth.Period(d.Period):
		return fmt.Errorf("a period of %d s, must be %s", d.Period, otpauth.PeriodText)
	case d.Algorithm != SHA1 && d.Algorithm != SHA256 && d.Algorithm != SHA512:
		return fmt.Errorf("algorithm %q, must be SHA1, SHA256 or SHA512", string(d.Algorithm))
	case len(d.Used) > UsedMax:
		return fmt.Errorf("%d used steps, at most %d", len(d.Used), UsedMax)
	case len(d.Recent) > RecentMax:
		return fmt.Errorf("%d recent uses, at most %d", len(d.Recent), RecentMax)
	}
	for _, r := range d.Recent {
		if len(r.Mark) != MarkSize || r.At.IsZero() || !slices.Contains(d.Used, r.Step) {
			return errors.New("a recent use is broken")
		}
	}
	for i, s := range d.Used {
		if slices.Contains(d.Used[:i], s) {
			return fmt.Errorf("step %d is listed as used twice", s)
		}
	}
	return ValidName(d.Name)
}

// ValidUser says whether an account may be kept for this user: 1 to UserMax bytes without NUL.
func ValidUser(user string) error {
	if user == "" || len(user) > UserMax {
		return fmt.Errorf("a user name has 1 to %d bytes", UserMax)
	}
	if strings.IndexByte(user, 0) >= 0 {
		return errors.New("a user name holds no NUL")
	}
	return nil
}

// CanBeLogin says whether the name service may be asked for this name: it could stand in passwd(5). A
// NUL would end the name early: "root\x00x" would be root.
func CanBeLogin(name string) bool {
	if name == "" || len(name) > UserMax {
		return false
	}
	return !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f || r == ':' || r == '/' })
}

// ValidName says whether a device may be called so: 1 to NameMax bytes of printable UTF-8.
func ValidName(name string) error {
	if name == "" || len(name) > NameMax {
		return fmt.Errorf("a device name has 1 to %d bytes", NameMax)
	}
	if !utf8.ValidString(name) {
		return errors.New("a device name is UTF-8")
	}
	for _, r := range name {
		if !unicode.IsPrint(r) {
			return errors.New("a device name has printable characters only")
		}
	}
	return nil
}

// SameWays says whether the same devices, codes in their place and remembered computers let the user in, or
// the lack of them: all but what a login with a device leaves behind.
func (a Account) SameWays(b Account) bool {
	return a.MustEnrol == b.MustEnrol && SameUID(a.UID, b.UID) &&
		slices.EqualFunc(a.Devices, b.Devices, func(d, e Device) bool {
			return d.ID == e.ID && d.Name == e.Name && d.Digits == e.Digits && d.Period == e.Period &&
				d.Algorithm == e.Algorithm && d.Kind == e.Kind && bytes.Equal(d.Sealed, e.Sealed)
		}) &&
		slices.EqualFunc(a.Recovery, b.Recovery, func(c, d Recovery) bool { return bytes.Equal(c.Hash, d.Hash) }) &&
		slices.EqualFunc(a.Bypass, b.Bypass, func(c, d Bypass) bool {
			return bytes.Equal(c.Hash, d.Hash) && c.Uses == d.Uses && c.Expires.Equal(d.Expires)
		}) &&
		slices.EqualFunc(a.Remembered, b.Remembered, func(c, d Remembered) bool { return bytes.Equal(c.Hash, d.Hash) })
}
