// Package enrol gives a user a second factor and takes it away: an enrolment begun by the person and
// confirmed with a first code, a known key set by root, and the end of both; the recovery codes that come
// with the first device, and the bypass codes that an admin makes. One code path for the command and for
// the login. It asks nobody for a password and decides nobody's rights: its caller has done both, and names
// the user canonically.
//
// Always true: a secret leaves it once, in the Enrolment, and again only by Export; recovery and bypass
// codes leave it once; a secret is sealed before it is stored, and of the codes only keyed hashes are; no
// error and no journal line holds a secret or a code; an account that has a device is changed only with the
// consent of its owner or by an admin; what makes an account enrolled drops an enrolment that waits, so that
// one which waits in an enrolled account was consented to. Errors are *control.Error.
package enrol

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// Store keeps accounts. Update runs change and has its result durable before it returns nil; an error
// of change is returned as it is, with nothing written.
type Store interface {
	Get(ctx context.Context, user string) (account.Account, bool, error)
	Update(ctx context.Context, user string, change func(account.Account) (account.Account, error)) error
	// Replace stores an account in place of what is stored for its user, also of what can't be read.
	Replace(ctx context.Context, acc account.Account) error
	// Delete removes what is stored for user, also what can't be read.
	Delete(ctx context.Context, user string) error
}

// Key seals and opens secrets, and hashes what is only recognised.
type Key interface {
	Seal(user, device string, secret []byte) []byte
	Open(user, device string, sealed []byte) ([]byte, error)
	Hash(user, purpose, text string) []byte
}

// Recorder takes the journal line of a decision.
type Recorder interface{ Record(audit.Event) }

// Config are the settings of new devices, and those by which codes are judged.
type Config struct {
	Issuer    string // empty: Host
	Host      string // name of this host, shown in the label
	Digits    int
	Period    int // seconds
	Algorithm account.Algorithm
	Skew      int // steps
	Limits    throttle.Limits
}

// Service enrols. It may be used by several goroutines at once.
type Service struct {
	store Store
	key   Key
	cfg   Config
	clock func() time.Time
	log   Recorder
}

// New returns a service that makes devices by cfg.
func New(store Store, key Key, cfg Config, clock func() time.Time, log Recorder) *Service {
	if cfg.Issuer == "" {
		cfg.Issuer = cfg.Host
	}
	return &Service{store: store, key: key, cfg: cfg, clock: clock, log: log}
}

// pendingFor is how long an enrolment waits for its first code.
const pendingFor = 10 * time.Minute

// secretSize of a new device, in bytes: RFC 4226 §4 R6 recommends 160 bits.
const secretSize = 20

// Wanted is what a new device is to be like. What is left empty is as the configuration says; an empty
// name is "phone", with a number behind it where there is one already.
type Wanted struct {
	Name      string
	Digits    int
	Period    int // seconds
	Algorithm account.Algorithm
}

// Start makes a secret and keeps it, sealed, until its first code confirms it or ten minutes are
// over. An enrolment begun before and not confirmed is replaced. Who has a device already must consent.
func (s *Service) Start(ctx context.Context, user string, want Wanted, consent Consent) (control.Enrolment, error) {
	r := s.report(ctx, audit.Enrol, "enrol", user)
	dev, made, err := s.make(user, want)
	if err != nil {
		return control.Enrolment{}, r.refuse(err)
	}
	made.Expires = dev.Added.Add(pendingFor)
	consent.first = true
	err = s.change(ctx, r, user, consent, func(acc account.Account, _ time.Time) (account.Account, error) {
		var err error // of this call's own: it may outlast the caller
		if dev.Name, err = free(acc, want.Name, "phone"); err == nil {
			_, err = equipped(acc, dev)
		}
		if err != nil {
			return acc, err
		}
		acc.Pending = &account.Pending{Device: dev, Expires: made.Expires}
		return acc, nil
	})
	if err != nil {
		return control.Enrolment{}, err
	}
	made.Name = dev.Name
	r.done(audit.Started, dev.Name)
	return made, nil
}

// Give makes a device that is the user's at once: whoever is to hand it over sees to it that it arrives.
func (s *Service) Give(ctx context.Context, user string, want Wanted) (control.Enrolment, error) {
	r := s.report(ctx, audit.Enrol, "enrol", user)
	dev, made, err := s.make(user, want)
	if err != nil {
		return control.Enrolment{}, r.refuse(err)
	}
	after, codes, err := s.add(ctx, r, user, dev, want.Name, "phone", true)
	if err != nil {
		return control.Enrolment{}, err
	}
	made.Name, made.RecoveryCodes = after.Devices[len(after.Devices)-1].Name, codes
	return made, nil
}

// make makes a device with its secret, which has no name yet, and what its owner is shown of it.
func (s *Service) make(user string, want Wanted) (account.Device, control.Enrolment, error) {
	dev := account.Device{
		Digits: cmp.Or(want.Digits, s.cfg.Digits), Period: cmp.Or(want.Period, s.cfg.Period),
		Algorithm: cmp.Or(want.Algorithm, s.cfg.Algorithm),
	}
	secret := make([]byte, secretSize)
	fill(secret)
	s.equip(&dev, user, secret)
	if err := dev.Valid(); err != nil && want != (Wanted{Name: want.Name}) {
		return dev, control.Enrolment{}, &refusal{code: control.ErrBadRequest, reason: "bad_device", message: err.Error()}
	} else if err != nil {
		return dev, control.Enrolment{}, badSettings(err)
	}
	uri, err := newURI(s.cfg.Issuer, user, s.cfg.Host, dev, secret)
	if err != nil {
		return dev, control.Enrolment{}, badSettings(err)
	}
	return dev, control.Enrolment{
		User: user, Host: s.cfg.Issuer,
		URI: control.Secret(uri), Secret: control.Secret(otpauth.Encode(secret)),
		Digits: dev.Digits, Period: dev.Period, Algorithm: string(dev.Algorithm),
	}, nil
}

// equip gives a device its ID and its sealed secret, and a name until there is a better one.
func (s *Service) equip(dev *account.Device, user string, secret []byte) {
	dev.Name = "new"
	dev.ID = rand.Text()
	dev.Added = s.clock().Round(0).UTC()
	dev.Sealed = s.key.Seal(user, dev.ID, secret)
}

// confirmOutcomes are the words for how a first code was judged.
var confirmOutcomes = map[verify.FirstKind]control.ConfirmOutcome{
	verify.FirstConfirmed: control.Confirmed,
	verify.FirstWrong:     control.CodeWrong,
	verify.FirstExpired:   control.CodeExpired,
	verify.FirstClock:     control.CodeClock,
	verify.FirstMalformed: control.CodeFormat,
}

// Confirm judges the first code of the pending device and, when it is right, makes the device the
// user's second factor; that code is used up. After any other outcome the enrolment goes on waiting.
func (s *Service) Confirm(ctx context.Context, user, code string) (control.Confirmation, error) {
	return s.confirm(ctx, user, code, nil)
}

// confirm does so. A pending device that waits in a login is given, and can only be the user's first.
func (s *Service) confirm(ctx context.Context, user, code string, given *Offer) (control.Confirmation, error) {
	r := s.report(ctx, audit.Enrol, "enrol", user)
	var first verify.First
	var after account.Account
	var late bool
	codes, hashed := s.newRecoveryCodes(user)
	shown := codes
	err := s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		now := s.clock()
		late, shown = false, codes
		if given != nil {
			acc.Pending = &given.pending
		}
		switch {
		case given != nil && acc.Enrolled():
			return acc, errAlreadyEnrolled
		case acc.Pending == nil:
			return acc, errNoPending
		case !now.Before(acc.Pending.Expires):
			late = true
			if given != nil { // the account may have another one that waits
				return acc, errUnchanged
			}
			acc.Pending = nil
			return acc, nil
		}
		dev := acc.Pending.Device
		secret, err := s.key.Open(user, dev.ID, dev.Sealed)
		if err != nil {
			return acc, brokenSecret(err)
		}
		first = verify.FirstCode(dev, secret, code, s.cfg.Skew, now)
		if first.Kind == verify.FirstConfirmed {
			if dev.Name, err = free(acc, dev.Name, ""); err != nil {
				return acc, err
			}
			kept := hashed
			if acc.Enrolled() {
				shown, kept = nil, acc.Recovery
			}
			if acc, err = equipped(acc, verify.Use(dev, first.Step, now)); err != nil {
				return acc, err
			}
			acc.Recovery = kept
			if given != nil {
				acc = throttle.Know(acc, given.source, now)
			}
			after = acc
			return acc, nil
		}
		return acc, errUnchanged
	})
	switch {
	case err != nil && !errors.Is(err, errUnchanged):
		return control.Confirmation{}, r.refuse(err)
	case late:
		return control.Confirmation{}, r.refuse(errPendingOver)
	case err == nil && first.Kind == verify.FirstConfirmed:
		r.done(audit.Done, after.Devices[len(after.Devices)-1].Name)
		return s.confirmed(after, shown), nil
	}
	outcome := confirmOutcomes[first.Kind]
	r.retry("code_" + string(outcome))
	return control.Confirmation{Outcome: outcome, ClockOff: int(first.ClockOff / time.Second)}, nil
}

// confirmed is what is told of an account that has a new device.
func (s *Service) confirmed(after account.Account, codes []control.Secret) control.Confirmation {
	described := s.Describe(after)
	return control.Confirmation{Outcome: control.Confirmed, Account: &described, RecoveryCodes: codes}
}

// Set gives the user the key of an otpauth URI, unconfirmed. An empty name is "token", with a number
// behind it where there is one already. With withCodes, a first device comes with recovery codes.
func (s *Service) Set(ctx context.Context, user, uri, name string, withCodes bool) (control.Confirmation, error) {
	r := s.report(ctx, audit.Enrol, "enrol", user)
	dev, secret, err := parseURI(uri)
	if err != nil {
		return control.Confirmation{}, r.refuse(&refusal{code: control.ErrBadURI, reason: "bad_uri", message: err.Error()})
	}
	s.equip(&dev, user, secret)
	if err := dev.Valid(); err != nil {
		return control.Confirmation{}, r.refuse(badSettings(err))
	}
	after, codes, err := s.add(ctx, r, user, dev, name, "token", withCodes)
	if err != nil {
		return control.Confirmation{}, err
	}
	return s.confirmed(after, codes), nil
}

// add gives the user a device that nobody confirms; withCodes, and recovery codes if it is the first.
func (s *Service) add(ctx context.Context, r *report, user string, dev account.Device, name, otherwise string, withCodes bool) (account.Account, []control.Secret, error) {
	var after account.Account
	var codes []control.Secret
	made, hashed := s.newRecoveryCodes(user)
	err := s.change(ctx, r, user, Consent{Admin: true}, func(acc account.Account, _ time.Time) (account.Account, error) {
		var err error // of this call's own: it may outlast the caller
		codes = nil
		if dev.Name, err = free(acc, name, otherwise); err != nil {
			return acc, err
		}
		if withCodes && !acc.Enrolled() {
			codes, acc.Recovery = made, hashed
		}
		if err = s.newKey(acc, dev); err != nil {
			return acc, err
		}
		after, err = equipped(acc, dev)
		return after, err
	})
	if err != nil {
		return account.Account{}, nil, err
	}
	r.done(audit.Done, dev.Name)
	return after, codes, nil
}
