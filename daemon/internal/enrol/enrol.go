// Package enrol gives a user a second factor and takes it away: an enrolment begun by the person and
// confirmed with a first code, a known key set by root, and the end of both. One code path for the
// command and, later, for the login. It asks nobody for a password and decides nobody's rights: its
// caller has done both, and names the user canonically.
//
// Always true: a secret leaves it once, in the Enrolment; it is sealed before it is stored; no error
// and no journal line holds a secret or a code. Errors are *control.Error.
package enrol

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/totpd/totpd/daemon/control"
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

// Start makes a secret and keeps it, sealed, until its first code confirms it or ten minutes are
// over. An enrolment begun before and not confirmed is replaced. An empty name is "phone".
func (s *Service) Start(ctx context.Context, user, name string) (control.Enrolment, error) {
	r := s.report(ctx, audit.Enrol, "enrol", user)
	dev := account.Device{
		Digits: s.cfg.Digits, Period: s.cfg.Period, Algorithm: s.cfg.Algorithm,
	}
	secret := make([]byte, secretSize)
	rand.Read(secret) // never fails: crypto/rand
	now := s.clock()
	if err := s.equip(&dev, user, name, "phone", secret, now); err != nil {
		return control.Enrolment{}, r.refuse(err)
	}
	uri, err := newURI(s.cfg.Issuer, user, s.cfg.Host, dev, secret)
	if err != nil {
		return control.Enrolment{}, r.refuse(badSettings(err))
	}
	expires := now.Add(pendingFor).Round(0).UTC()
	err = s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		if acc.Enrolled() {
			return acc, errAlreadyEnrolled
		}
		acc.Pending = &account.Pending{Device: dev, Expires: expires}
		return acc, nil
	})
	if err != nil {
		return control.Enrolment{}, r.refuse(err)
	}
	r.done(audit.Started, dev.Name)
	return control.Enrolment{
		User: user, Host: s.cfg.Issuer, Name: dev.Name,
		URI: control.Secret(uri), Secret: control.Secret(unpadded.EncodeToString(secret)),
		Digits: dev.Digits, Period: dev.Period, Expires: expires,
	}, nil
}

// equip gives a device its ID, its name and its sealed secret.
func (s *Service) equip(dev *account.Device, user, name, otherwise string, secret []byte, now time.Time) error {
	if name == "" {
		name = otherwise
	}
	if err := account.ValidName(name); err != nil {
		return &refusal{code: control.ErrBadRequest, reason: "bad_name", message: err.Error()}
	}
	dev.Name = name
	dev.ID = rand.Text()
	dev.Added = now.Round(0).UTC()
	dev.Sealed = s.key.Seal(user, dev.ID, secret)
	if err := dev.Valid(); err != nil {
		return badSettings(err)
	}
	return nil
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
	r := s.report(ctx, audit.Enrol, "enrol", user)
	var first verify.First
	var after account.Account
	var late bool
	codes, hashed := s.newRecoveryCodes(user)
	err := s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		now := s.clock()
		late = false
		switch {
		case acc.Enrolled():
			return acc, errAlreadyEnrolled
		case acc.Pending == nil:
			return acc, errNoPending
		case !now.Before(acc.Pending.Expires):
			acc.Pending, late = nil, true
			return acc, nil
		}
		dev := acc.Pending.Device
		secret, err := s.key.Open(user, dev.ID, dev.Sealed)
		if err != nil {
			return acc, brokenSecret(err)
		}
		first = verify.FirstCode(dev, secret, code, s.cfg.Skew, now)
		if first.Kind == verify.FirstConfirmed {
			acc = equipped(acc, verify.Use(dev, first.Step, now))
			acc.Recovery = hashed
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
		r.done(audit.Done, after.Devices[0].Name)
		described := s.Describe(after)
		return control.Confirmation{Outcome: control.Confirmed, Account: &described, RecoveryCodes: codes}, nil
	}
	outcome := confirmOutcomes[first.Kind]
	r.retry("code_" + string(outcome))
	return control.Confirmation{Outcome: outcome, ClockOff: int(first.ClockOff / time.Second)}, nil
}

// Set gives the user the key of an otpauth URI, unconfirmed; a pending enrolment is dropped. An empty
// name is "token".
func (s *Service) Set(ctx context.Context, user, uri, name string) (account.Account, error) {
	r := s.report(ctx, audit.Enrol, "enrol", user)
	dev, secret, err := parseURI(uri)
	if err != nil {
		return account.Account{}, r.refuse(&refusal{code: control.ErrBadURI, reason: "bad_uri", message: err.Error()})
	}
	if err := s.equip(&dev, user, name, "token", secret, s.clock()); err != nil {
		return account.Account{}, r.refuse(err)
	}
	var after account.Account
	err = s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		if acc.Enrolled() {
			return acc, errAlreadyEnrolled
		}
		acc.Pending = nil
		acc.Devices = []account.Device{dev}
		after = acc
		return acc, nil
	})
	if err != nil {
		return account.Account{}, r.refuse(err)
	}
	r.done(audit.Done, dev.Name)
	return after, nil
}
