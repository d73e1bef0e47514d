// Package enrol gives a user a second factor and takes it away: an enrolment begun by the person and
// confirmed with a first code, a known key set by root, and the end of both. One code path for the
// command and, later, for the login. It asks nobody for a password and decides nobody's rights: its
// caller has done both.
//
// Always true: a secret leaves it once, in the Enrolment; it is sealed before it is stored; no error
// and no journal line holds a secret or a code. Errors are *control.Error.
package enrol

import (
	"context"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// Store keeps accounts. Update runs change and has its result durable before it returns nil; an error
// of change is returned as it is, with nothing written.
type Store interface {
	Get(ctx context.Context, user string) (account.Account, bool, error)
	Update(ctx context.Context, user string, change func(account.Account) (account.Account, error)) error
}

// Key seals and opens secrets.
type Key interface {
	Seal(user, device string, secret []byte) []byte
	Open(user, device string, sealed []byte) ([]byte, error)
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
	return &Service{store: store, key: key, cfg: cfg, clock: clock, log: log}
}

// Start makes a secret and keeps it, sealed, until its first code confirms it or ten minutes are
// over. An enrolment begun before and not confirmed is replaced. An empty name is "phone".
func (s *Service) Start(ctx context.Context, user, name string) (control.Enrolment, error) {
	return control.Enrolment{}, &control.Error{Code: control.ErrUnavailable, Message: "not there yet"}
}

// Confirm judges the first code of the pending device and, when it is right, makes the device the
// user's second factor; that code is used up.
func (s *Service) Confirm(ctx context.Context, user, code string) (control.Confirmation, error) {
	return control.Confirmation{}, &control.Error{Code: control.ErrUnavailable, Message: "not there yet"}
}

// Set gives the user the key of an otpauth URI, unconfirmed. An empty name is "token".
func (s *Service) Set(ctx context.Context, user, uri, name string) (account.Account, error) {
	return account.Account{}, &control.Error{Code: control.ErrUnavailable, Message: "not there yet"}
}

// Disable takes the user's second factor away, with a pending enrolment and all failures.
func (s *Service) Disable(ctx context.Context, user string) error {
	return &control.Error{Code: control.ErrUnavailable, Message: "not there yet"}
}

// DisableWithCode does so when code is right, in one change with its judgement.
func (s *Service) DisableWithCode(ctx context.Context, user, code string) error {
	return &control.Error{Code: control.ErrUnavailable, Message: "not there yet"}
}

// Status tells what may be told of the account.
func (s *Service) Status(ctx context.Context, user string) (control.Account, error) {
	return control.Account{}, &control.Error{Code: control.ErrUnavailable, Message: "not there yet"}
}

// Describe tells what may be told of an account at the time now.
func (s *Service) Describe(acc account.Account) control.Account {
	return control.Account{User: acc.User}
}
