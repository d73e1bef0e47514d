package login

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/wire"
)

const (
	secret32 = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	secret   = "12345678901234567890"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// memory is a store whose disk can fail.
type memory struct {
	mu       sync.Mutex
	accounts map[string]account.Account
	writes   int
	full     error
}

func (m *memory) Get(_ context.Context, user string) (account.Account, bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	acc, ok := m.accounts[user]
	if !ok {
		acc.User = user
	}
	return acc, ok, m.full
}

func (m *memory) Update(_ context.Context, user string, change func(account.Account) (account.Account, error)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	acc, ok := m.accounts[user]
	if !ok {
		acc.User = user
	}
	acc, err := change(acc)
	if err == nil {
		err = m.full
	}
	if err == nil {
		err = acc.Valid()
	}
	if err == nil {
		m.accounts[user] = acc
		m.writes++
	}
	return err
}

func (m *memory) Replace(_ context.Context, acc account.Account) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.accounts[acc.User] = acc
	return m.full
}

func (m *memory) Delete(_ context.Context, user string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.accounts, user)
	return nil
}

// sealed opens what seal returns, for its own user and device alone.
type sealed struct{}

func seal(user, device string) []byte { return []byte(user + "/" + device + "/" + secret) }

func (sealed) Open(user, device string, s []byte) ([]byte, error) {
	if plain, ok := bytes.CutPrefix(s, []byte(user+"/"+device+"/")); ok {
		return plain, nil
	}
	return nil, errors.New("sealed with another key")
}

func (sealed) Hash(user, purpose, text string) []byte {
	sum := sha256.Sum256([]byte(user + "/" + purpose + "/" + text))
	return sum[:]
}

func (sealed) Seal(user, device string, secret []byte) []byte {
	return []byte(user + "/" + device + "/" + string(secret))
}

// events remembers the journal.
type events struct {
	mu  sync.Mutex
	all []audit.Event
}

func (e *events) Record(event audit.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// world is a service with alice, who has enrolled, and bob, who has not.
type world struct {
	*Service
	store  *memory
	events *events
	uids   map[string]uint32
	mu     sync.Mutex
	now    time.Time

	groupsAsked int
}

var root = Caller{UID: 0, Root: true, User: "root"}

func device(user string) account.Device {
	return account.Device{ID: "p", Name: "phone", Digits: 6, Period: 30, Algorithm: account.SHA1, Sealed: seal(user, "p")}
}

func newWorld() *world {
	w := &world{
		store:  &memory{accounts: map[string]account.Account{"alice": {User: "alice", Devices: []account.Device{device("alice")}}}},
		events: &events{},
		now:    noon,
	}
	cfg := Config{
		Prompt: "One-time code: ", Tries: 3, Skew: 1, Since: noon,
		Limits: throttle.Limits{Free: 3, FirstWait: 5 * time.Second, LongestWait: 900 * time.Second, Lock: 100},
	}
	clock := func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.now
	}
	lookup := func(_ context.Context, name string) (account.Identity, error) {
		switch name = strings.ToLower(name); name {
		case "alice", "bob", "carol", "root":
			return account.Identity{Name: name, UID: w.uids[name]}, nil
		case "down":
			return account.Identity{}, errors.New("directory does not answer")
		case "nameless":
			return account.Identity{}, nil
		}
		return account.Identity{}, fmt.Errorf("look up a user: %w", ErrUnknownUser)
	}
	groups := func(_ context.Context, user string, among []string) (in, unknown []string, err error) {
		w.groupsAsked++
		if user == "carol" {
			return nil, nil, errors.New("directory does not answer")
		}
		for _, group := range among {
			switch group {
			case user + "s":
				in = append(in, group)
			case "no-such-group":
				unknown = append(unknown, group)
			}
		}
		return in, unknown, nil
	}
	e := enrol.New(w.store, sealed{}, enrol.Config{
		Host: "web1", Digits: 6, Period: 30, Algorithm: account.SHA1, Skew: 1, Limits: cfg.Limits,
	}, clock, w.events)
	w.Service = New(w.store, sealed{}, cfg, clock, w.events, lookup, groups, e)
	return w
}

// restart is the next daemon on the same store.
func (w *world) restart() { w.cfg.Since = w.clock() }

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) code(t testing.TB) string {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	code, err := totp.GenerateCode(secret32, w.now)
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// wrong is a code of no step near now.
func (w *world) wrong(t testing.TB) string {
	t.Helper()
	right := map[string]bool{}
	for _, off := range []time.Duration{-30, 0, 30} {
		c, _ := totp.GenerateCode(secret32, w.now.Add(off*time.Second))
		right[c] = true
	}
	for i := range 10 {
		if c := fmt.Sprintf("%06d", i); !right[c] {
			return c
		}
	}
	t.Fatal("no wrong code")
	return ""
}

func (w *world) begin(user string) *Dialogue {
	return w.Begin(root, wire.Open{Version: wire.Version, User: user, Service: "sshd", RHost: "192.0.2.7", TTY: "ssh"})
}

// atEnd is the reference of a sentence that ends a login.
var atEnd = regexp.MustCompile(` \(reference [2-9A-Z]{4}-[2-9A-Z]{4}\)$`)

// shown is what a step shows a person, and its verdict.
type shown struct {
	asks, tells []string
	verdict     wire.Outcome
	done        bool
}

func read(t testing.TB, s Step) shown {
	t.Helper()
	got := shown{done: s.Done}
	for buf := s.Frames; len(buf) > 0; {
		f, n, err := wire.Decode(buf)
		if err != nil || n == 0 || got.verdict != 0 {
			t.Fatalf("bad frames %q: %v", s.Frames, err)
		}
		switch f.Kind {
		case wire.KindAsk:
			got.asks = append(got.asks, string(f.Text))
		case wire.KindTell:
			got.tells = append(got.tells, string(f.Text))
		case wire.KindVerdict:
			got.verdict = f.Outcome
		default:
			t.Fatalf("the daemon sends a frame of kind %d", f.Kind)
		}
		buf = buf[n:]
	}
	if turned := got.verdict == wire.Refused || got.verdict == wire.Unavailable; turned &&
		(len(got.tells) == 0 || !atEnd.MatchString(got.tells[len(got.tells)-1])) {
		t.Errorf("turned away without a reference: %q", got.tells)
	}
	if got.done != (got.verdict != 0) && len(s.Frames) > 0 {
		t.Fatalf("done %v with verdict %d", got.done, got.verdict)
	}
	return got
}

// login answers with each text in turn until the verdict, and returns what came last.
func (w *world) login(t testing.TB, user string, answers ...string) shown {
	t.Helper()
	d := w.begin(user)
	got := d.proven(t)
	for _, a := range answers {
		if got.done {
			break
		}
		if len(got.asks) != 1 {
			t.Fatalf("neither asked nor done: %+v", got)
		}
		got = read(t, d.Answer(context.Background(), []byte(a)))
	}
	return got
}

// last returns the latest event, and fails when there are not n by now.
func (w *world) last(t testing.TB, n int) audit.Event {
	t.Helper()
	w.events.mu.Lock()
	defer w.events.mu.Unlock()
	if len(w.events.all) != n {
		t.Fatalf("%d events, want %d: %+v", len(w.events.all), n, w.events.all)
	}
	if n == 0 {
		return audit.Event{}
	}
	return w.events.all[n-1]
}

// journal is all events as lines.
func (w *world) journal() string {
	var b strings.Builder
	log := audit.New(io.Writer(&b))
	for _, e := range w.events.all {
		log.Record(e)
	}
	return b.String()
}

// newDisk is a store on a disk.
func newDisk(t *testing.T) *store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "totpd.db")
	if err := store.Create(path); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}
