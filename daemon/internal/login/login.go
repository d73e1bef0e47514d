// Package login is one login as a dialogue: a state machine from Open to Verdict. It owns the order of
// the messages, the sentences a person sees and the journal line of each decision. It owns no socket
// and no rule: policy says who is asked, verify judges the answer, enrol sets up who must enrol, the store keeps
// what came of it.
//
// Always true: a dialogue accepts only after an Answer, and only once the accepted code is durably
// used up by this login; whatever it doesn't know refuses; a code that was typed, a key that was shown, or
// the id of a login, is in no log line and no error.
package login

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/wire"
)

// Store keeps accounts. Update runs change and has its result durable before it returns nil; an error
// of change is returned as it is, with nothing written.
type Store interface {
	Get(ctx context.Context, user string) (account.Account, bool, error)
	Update(ctx context.Context, user string, change func(account.Account) (account.Account, error)) error
}

// Key opens the secrets that the store holds, and hashes what is only recognised.
type Key interface {
	Open(user, device string, sealed []byte) ([]byte, error)
	Hash(user, purpose, text string) []byte
}

// Enrolment gives a user a first device: enrol.Service. Its errors are *control.Error.
type Enrolment interface {
	Offer(ctx context.Context, user, source string) (enrol.Offer, error)
	Take(ctx context.Context, o enrol.Offer, code string) (control.Confirmation, error)
}

// Recorder takes the journal line of a decision.
type Recorder interface{ Record(audit.Event) }

// ErrUnknownUser is what a Lookup returns, wrapped or not, for a name that is nobody's.
var ErrUnknownUser = errors.New("no such user")

// Lookup returns the user whom the host knows by a name. Its canonical spelling is the key of the account.
type Lookup func(ctx context.Context, name string) (account.Identity, error)

// GroupsOf returns those of the groups among that a user is in, and those that the host doesn't know.
type GroupsOf func(ctx context.Context, user string, among []string) (in, unknown []string, err error)

// Config are the settings of a login.
type Config struct {
	Prompt string // shown when a code is asked for
	Tries  int    // answers in one login
	Skew   int    // steps before and after the present one whose code is right
	Limits throttle.Limits
	Since  time.Time // when this daemon began: see verify.Login
	// ClockDoubt returns what is known against the host's clock, at once; nil: nobody knows anything.
	ClockDoubt func() string
	Rules      policy.Rules
	// Owner returns a *account.Foreign where the account, or one under another name, shows that the user is not the
	// one who enrolled; nil: nobody knows uids.
	Owner    func(context.Context, account.Identity, account.Account) error
	Speakers Speakers
}

// Speakers are the services in which users other than root may speak for everybody: by the canonical name of the
// user that such a program runs as.
type Speakers map[string][]string

// May tells whether a user may speak for others in a service.
func (s Speakers) May(user, service string) bool {
	return user != "" && slices.Contains(s[user], service)
}

// Caller is the peer of the connection, as the kernel and NSS know it.
type Caller struct {
	UID  uint32
	Root bool
	User string // canonical name of UID; empty when it has none
	// Session returns a name of the peer's terminal session, which no other session ever has: empty where it
	// can't be told. Nil: it never can.
	Session func() string
	// Gone says whether the peer has hung up, so that no verdict can reach it. Nil: nobody knows.
	Gone func() bool
}

// Service begins dialogues. It may be used by several goroutines at once.
type Service struct {
	store    Store
	key      Key
	cfg      Config
	clock    func() time.Time
	log      Recorder
	lookup   Lookup
	groups   GroupsOf
	failures *failures
	enrol    Enrolment
	decide   func(policy.Rules, policy.Question) policy.Decision
}

// New returns a service that judges by cfg.
func New(store Store, key Key, cfg Config, clock func() time.Time, log Recorder, lookup Lookup, groups GroupsOf, enrol Enrolment) *Service {
	return &Service{
		store: store, key: key, cfg: cfg, clock: clock, log: log, lookup: lookup, groups: groups,
		enrol: enrol, failures: newFailures(), decide: policy.Decide,
	}
}

// Step is what the dialogue does next: send these frames and then, when Done, hang up.
type Step struct {
	Frames []byte
	Done   bool
	// Reserved says that the person would have to do something again if the caller hung up now. At any other
	// question the module begins again by itself, and nobody notices.
	Reserved bool
}

// TurnAway returns the frames for a caller that isn't served at all: refused, or else for now. The reference
// finds the caller's line in the journal.
func TurnAway(refused bool, reference string) []byte {
	text, outcome := sayUnavailable(reference), wire.Unavailable
	if refused {
		text, outcome = sayRefused(reference), wire.Refused
	}
	frames, _ := wire.AppendTell(nil, wire.Error, text) // which fits
	return wire.AppendVerdict(frames, outcome)
}

// Begin returns the dialogue that open begins.
func (s *Service) Begin(caller Caller, open wire.Open) *Dialogue {
	return &Dialogue{service: s, caller: caller, open: open, state: begun, reference: audit.NewReference()}
}

// canonical returns whose login the dialogue is. A name that can't be in passwd(5) is nobody's and
// never reaches NSS.
func (s *Service) canonical(ctx context.Context, name string) (account.Identity, error) {
	if !account.CanBeLogin(name) {
		return account.Identity{}, ErrUnknownUser
	}
	is, err := s.lookup(ctx, name)
	if err == nil && is.Name == "" {
		err = errors.New("the user database returned an empty name")
	}
	return is, err
}
