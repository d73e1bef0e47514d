package enrol

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
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
	s, err := store.Open(filepath.Join(t.TempDir(), "totpd.db"))
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
	e, err := w.Start(ctx, "alice", "")
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
	code, err := totp.GenerateCode(key.Secret(), w.now.Add(off))
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

func TestEnrol(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	if e.Host != "web1" || e.Name != "phone" || e.Digits != 6 || e.Period != 30 || !e.Expires.Equal(noon.Add(10*time.Minute)) {
		t.Errorf("%+v", e)
	}
	want := "otpauth://totp/web1:alice@web1?issuer=web1&secret=" + string(e.Secret)
	if string(e.URI) != want || len(e.Secret) != 32 || len(want) > 85 {
		t.Errorf("URI of %d bytes %s, want %s", len(e.URI), string(e.URI), want)
	}
	if event := w.last(); event.Result != audit.Started || event.Device != "phone" || event.User != "alice" || event.Caller != "1000" {
		t.Errorf("%+v", event)
	}
	if acc := w.account(); acc.Enrolled() || acc.Pending == nil || bytes.Contains(acc.Pending.Device.Sealed, []byte(e.Secret)) {
		t.Errorf("before the first code: %+v", acc)
	}
	if told, err := w.Status(ctx, "alice"); err != nil || told.Enrolled || !told.PendingUntil.Equal(e.Expires) {
		t.Errorf("status before: %+v, %v", told, err)
	}

	c, err := w.Confirm(ctx, "alice", w.code(e, 0))
	if err != nil || c.Outcome != control.Confirmed || c.Account == nil || !c.Account.Enrolled || c.Account.Devices[0].Name != "phone" {
		t.Fatalf("%+v, %v", c, err)
	}
	if event := w.last(); event.Result != audit.Done || event.Device != "phone" {
		t.Errorf("%+v", event)
	}
	acc := w.account()
	if !acc.Enrolled() || acc.Pending != nil || len(acc.Devices[0].Used) != 1 {
		t.Errorf("after the first code: %+v", acc)
	}
	// The confirming code is used up.
	w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 0)), control.ErrWrongCode, "used_code")

	_, err = w.Start(ctx, "alice", "")
	w.refused(err, control.ErrAlreadyEnrolled, "already_enrolled")
	_, err = w.Set(ctx, "alice", string(e.URI), "")
	w.refused(err, control.ErrAlreadyEnrolled, "already_enrolled")
	_, err = w.Confirm(ctx, "alice", w.code(e, 30*time.Second))
	w.refused(err, control.ErrAlreadyEnrolled, "already_enrolled")
	if err.Error() != "enrol alice: already enrolled" {
		t.Errorf("%q", err)
	}
}

func TestFirstCodes(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.events = nil
	for _, c := range []struct {
		code string
		want control.Confirmation
	}{
		{w.code(e, 5*time.Hour), control.Confirmation{Outcome: control.CodeWrong}},
		{w.code(e, -90*time.Second), control.Confirmation{Outcome: control.CodeExpired}},
		{w.code(e, 7*time.Minute), control.Confirmation{Outcome: control.CodeClock, ClockOff: 420}},
		{w.code(e, -7*time.Minute), control.Confirmation{Outcome: control.CodeClock, ClockOff: -420}},
		{"12345", control.Confirmation{Outcome: control.CodeFormat}},
		{"", control.Confirmation{Outcome: control.CodeFormat}},
		{"12345678", control.Confirmation{Outcome: control.CodeFormat}},
	} {
		got, err := w.Confirm(ctx, "alice", c.code)
		if err != nil || got != c.want {
			t.Errorf("%+v, %v, want %+v", got, err, c.want)
		}
		if event := w.last(); event.Result != audit.Retry || event.Reason != "code_"+string(c.want.Outcome) {
			t.Errorf("%+v", event)
		}
		if acc := w.account(); acc.Enrolled() || acc.Pending == nil || acc.Codes.Failures != 0 {
			t.Errorf("%+v", acc)
		}
	}
	code := w.code(e, 0)
	if got, err := w.Confirm(ctx, "alice", code[:3]+" "+code[3:]); err != nil || got.Outcome != control.Confirmed {
		t.Errorf("in the end: %+v, %v", got, err)
	}
}

func TestAnEnrolmentNotConfirmedIsGone(t *testing.T) {
	w := newWorld(t)
	_, err := w.Confirm(ctx, "alice", "123456")
	w.refused(err, control.ErrNoPending, "no_pending")
	e := w.start()
	w.pass(10*time.Minute - time.Second)
	if told, _ := w.Status(ctx, "alice"); told.PendingUntil.IsZero() {
		t.Error("gone too early")
	}
	w.pass(time.Second)
	w.events = nil
	_, err = w.Confirm(ctx, "alice", w.code(e, 0))
	w.refused(err, control.ErrNoPending, "pending_over")
	if acc, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Errorf("still there: %+v", acc)
	}

	w.start()
	w.pass(11 * time.Minute)
	if told, err := w.Status(ctx, "alice"); err != nil || !told.PendingUntil.IsZero() {
		t.Errorf("%+v, %v", told, err)
	}
	if acc, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Errorf("still there after a look: %+v", acc)
	}

	first := w.start()
	second := w.start()
	w.events = nil
	if got, err := w.Confirm(ctx, "alice", w.code(first, 0)); err != nil || got.Outcome == control.Confirmed {
		t.Errorf("an enrolment that was replaced: %+v, %v", got, err)
	}
	if got, err := w.Confirm(ctx, "alice", w.code(second, 0)); err != nil || got.Outcome != control.Confirmed {
		t.Errorf("the one that replaced it: %+v, %v", got, err)
	}
}

func TestDisable(t *testing.T) {
	w := newWorld(t)
	w.refused(w.Disable(ctx, "alice"), control.ErrNotEnrolled, "not_enrolled")
	w.refused(w.DisableWithCode(ctx, "alice", "123456"), control.ErrNotEnrolled, "not_enrolled")
	locked := account.Attempts{Failures: 100, Last: noon}
	for name, spoil := range map[string]func(*account.Account){
		"enrolled":        func(*account.Account) {},
		"locked":          func(a *account.Account) { a.Codes = locked },
		"password locked": func(a *account.Account) { a.Devices, a.Password = nil, locked },
		"pending": func(a *account.Account) {
			a.Pending, a.Devices = &account.Pending{Device: a.Devices[0], Expires: noon}, nil
		},
	} {
		w.enrolled()
		err := w.store.Update(ctx, "alice", func(a account.Account) (account.Account, error) { spoil(&a); return a, nil })
		if err != nil {
			t.Fatal(err)
		}
		if err := w.Disable(ctx, "alice"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if e := w.last(); e.Kind != audit.Disable || e.Result != audit.Done {
			t.Errorf("%s: %+v", name, e)
		}
		if _, stored, _ := w.store.Get(ctx, "alice"); stored {
			t.Errorf("%s: still stored", name)
		}
	}
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

func TestDisableWithCode(t *testing.T) {
	w := newWorld(t)
	e := w.enrolled()
	for range 3 {
		w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 5*time.Hour)), control.ErrWrongCode, "wrong_code")
	}
	w.refused(w.DisableWithCode(ctx, "alice", ""), control.ErrWait, "wait")
	err := w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 0)), control.ErrWait, "wait")
	if err.RetryAfter != 5 {
		t.Errorf("retry after %d s, want 5", err.RetryAfter)
	}
	if told, _ := w.Status(ctx, "alice"); told.Failures != 3 || !told.WaitUntil.Equal(w.now.Add(5*time.Second)) || told.Locked {
		t.Errorf("%+v", told)
	}
	w.pass(5 * time.Second)
	w.refused(w.DisableWithCode(ctx, "alice", "12 34"), control.ErrWrongCode, "malformed")
	w.key.lost = true
	w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 0)), control.ErrUnavailable, "broken_secret")
	w.key.lost = false
	if acc := w.account(); acc.Codes.Failures != 3 {
		t.Errorf("%+v", acc)
	}
	if err := w.DisableWithCode(ctx, "alice", w.code(e, 0)); err != nil {
		t.Fatal(err)
	}
	if event := w.last(); event.Result != audit.Done || event.Device != "phone" {
		t.Errorf("%+v", event)
	}
	if _, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Error("still stored")
	}

	e = w.enrolled()
	if err := w.store.Update(ctx, "alice", func(a account.Account) (account.Account, error) {
		a.Codes = account.Attempts{Failures: 100, Last: w.now}
		return a, nil
	}); err != nil {
		t.Fatal(err)
	}
	w.pass(24 * time.Hour)
	w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 0)), control.ErrLocked, "locked")
	if told, _ := w.Status(ctx, "alice"); !told.Locked {
		t.Errorf("%+v", told)
	}
}

func TestNamesAndSettings(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a\nb", strings.Repeat("x", 65), "\xff"} {
		_, err := w.Start(ctx, "alice", name)
		w.refused(err, control.ErrBadRequest, "bad_name")
		_, err = w.Set(ctx, "alice", "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ", name)
		w.refused(err, control.ErrBadRequest, "bad_name")
	}
	w.cfg.Digits = 7
	_, err := w.Start(ctx, "alice", "")
	w.refused(err, control.ErrUnavailable, "settings")
}

// Whatever happens, no secret and no code is in an error, in a journal line or in what prints.
func TestNothingSecretIsPrinted(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	code, wrong := w.code(e, 0), "271828"
	printed := fmt.Sprintf("%v %+v %#v %s %d %x", e, e, e, e.URI, e.Secret, e.Secret)
	_, err := w.Confirm(ctx, "alice", wrong)
	printed += fmt.Sprint(err)
	c, err := w.Confirm(ctx, "alice", code)
	printed += fmt.Sprint(c, err)
	printed += fmt.Sprint(w.DisableWithCode(ctx, "alice", code), w.DisableWithCode(ctx, "alice", wrong))
	acc, err := w.Set(ctx, "bob", string(e.URI), "")
	printed += fmt.Sprintf("%+v %v", acc, err)
	_, err = w.Set(ctx, "carol", strings.Replace(string(e.URI), "secret=", "secret=1", 1), "")
	printed += fmt.Sprint(err)
	var journal strings.Builder
	log := audit.New(&journal)
	for _, event := range w.events {
		log.Record(event)
	}
	printed += journal.String()
	secret, _ := unpadded.DecodeString(string(e.Secret))
	for _, never := range []string{string(e.Secret), string(e.Secret[:16]), string(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%x", string(e.Secret)), fmt.Sprint(secret), code, wrong} {
		if strings.Contains(printed, never) {
			t.Errorf("%q in:\n%s", never, printed)
		}
	}
}

func TestRaceOfConfirmations(t *testing.T) {
	w := newWorld(t)
	code := w.code(w.start(), 0)
	var wait sync.WaitGroup
	outcomes := make(chan control.ConfirmOutcome, 16)
	for range 16 {
		wait.Go(func() {
			if c, err := w.Confirm(ctx, "alice", code); err == nil {
				outcomes <- c.Outcome
			}
		})
	}
	wait.Wait()
	close(outcomes)
	if n := len(outcomes); n != 1 || <-outcomes != control.Confirmed {
		t.Errorf("%d confirmations", n)
	}
}
