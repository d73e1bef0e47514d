package enrol

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

var (
	noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ctx  = audit.WithCaller(context.Background(), 1000)
)

// scrambled is a key: what it seals opens for the same user and device alone.
type scrambled struct{ lost bool }

func (scrambled) Seal(user, device string, secret []byte) []byte {
	return append([]byte(user+"/"+device+"/"), invert(secret)...)
}

func (k *scrambled) Open(user, device string, sealed []byte) ([]byte, error) {
	rest, ok := bytes.CutPrefix(sealed, []byte(user+"/"+device+"/"))
	if !ok || k.lost {
		return nil, errors.New("sealed with another key")
	}
	return invert(rest), nil
}

func (scrambled) Hash(user, purpose, text string) []byte {
	sum := sha256.Sum256([]byte(user + "/" + purpose + "/" + text))
	return sum[:]
}

func invert(b []byte) []byte {
	out := make([]byte, len(b))
	for i := range b {
		out[i] = ^b[i]
	}
	return out
}

// world is a service on a real store.
type world struct {
	*Service
	t      *testing.T
	store  *store.Store
	key    *scrambled
	mu     sync.Mutex
	now    time.Time
	events []audit.Event
}

func (w *world) Record(e audit.Event) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.events = append(w.events, e)
}

func newWorld(t *testing.T) *world {
	path := filepath.Join(t.TempDir(), "totpd.db")
	if err := store.Create(path); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w := &world{t: t, store: s, key: &scrambled{}, now: noon}
	cfg := Config{
		Host: "web1", Digits: 6, Period: 30, Algorithm: account.SHA1, Skew: 1,
		Limits: throttle.Limits{Free: 3, FirstWait: 5 * time.Second, LongestWait: 900 * time.Second, Lock: 100},
	}
	w.Service = New(s, w.key, cfg, func() time.Time { w.mu.Lock(); defer w.mu.Unlock(); return w.now }, w)
	return w
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) start() control.Enrolment {
	w.t.Helper()
	e, err := w.Start(ctx, "alice", Wanted{}, Consent{})
	if err != nil {
		w.t.Fatal(err)
	}
	return e
}

// code is what an authenticator that scanned e shows, its clock being off.
func (w *world) code(e control.Enrolment, off time.Duration) string {
	w.t.Helper()
	key, err := otp.NewKeyFromURL(string(e.URI))
	if err != nil {
		w.t.Fatal(err)
	}
	code, err := totp.GenerateCodeCustom(key.Secret(), w.now.Add(off), totp.ValidateOpts{
		Period: uint(key.Period()), Digits: key.Digits(), Algorithm: key.Algorithm(),
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

func (w *world) account() account.Account {
	w.t.Helper()
	acc, _, err := w.store.Get(ctx, "alice")
	if err != nil {
		w.t.Fatal(err)
	}
	return acc
}

// last returns the only event since the one before.
func (w *world) last() audit.Event {
	w.t.Helper()
	if len(w.events) != 1 {
		w.t.Fatalf("%d events, want 1: %+v", len(w.events), w.events)
	}
	e := w.events[0]
	w.events = nil
	return e
}

// refused fails unless err has this code and the journal has its one line.
func (w *world) refused(err error, code control.ErrorCode, reason string) *control.Error {
	w.t.Helper()
	var e *control.Error
	if !errors.As(err, &e) || e.Code != code {
		w.t.Fatalf("%v, want %s", err, code)
	}
	if event := w.last(); event.Reason != reason || event.Reference != e.Reference || e.Reference == "" || event.Caller != "1000" {
		w.t.Fatalf("event %+v of %+v, want reason %s", event, e, reason)
	}
	return e
}

// enrolled enrols alice and lets a minute pass.
func (w *world) enrolled() control.Enrolment {
	w.t.Helper()
	e := w.start()
	if c, err := w.Confirm(ctx, "alice", w.code(e, 0)); err != nil || c.Outcome != control.Confirmed {
		w.t.Fatalf("%+v, %v", c, err)
	}
	w.pass(time.Minute)
	w.events = nil
	return e
}
