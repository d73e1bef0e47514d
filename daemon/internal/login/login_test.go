package login

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/verify"
	"github.com/totpd/totpd/daemon/wire"
)

func TestRightCode(t *testing.T) {
	w := newWorld()
	d := w.begin("ALICE") // as a directory that ignores case has it
	asked := read(t, d.Open(context.Background()))
	if len(asked.asks) != 1 || asked.asks[0] != "One-time code: " || asked.done {
		t.Fatalf("asked %+v", asked)
	}
	got := read(t, d.Answer(context.Background(), []byte(w.code(t))))
	if got.verdict != wire.Accepted || len(got.tells) != 0 {
		t.Fatalf("got %+v", got)
	}
	want := audit.Event{
		Kind: audit.Login, User: "alice", Service: "sshd", Source: "192.0.2.7", TTY: "ssh", Caller: "0",
		Result: audit.Accepted, Reason: "code", Device: "phone", Reference: d.reference, At: noon, Kept: true,
	}
	if e := w.last(t, 1); e != want {
		t.Errorf("event %+v, want %+v", e, want)
	}
	d.Abandon()
	w.last(t, 1)
	if acc := w.store.accounts["alice"]; len(acc.Devices[0].Used) != 1 {
		t.Errorf("the code isn't used up: %+v", acc)
	}
}

func TestOneCodeOneLogin(t *testing.T) {
	w := newWorld()
	code := w.code(t)
	w.login(t, "alice", code)
	got := w.login(t, "alice", code, code, code)
	if got.verdict != wire.Refused || !strings.Contains(got.tells[0], "used already") {
		t.Errorf("again: %+v", got)
	}
	if e := w.last(t, 4); e.Reason != "used_code" {
		t.Errorf("event %+v", e)
	}
	if n := w.store.accounts["alice"].Codes.Failures; n != 0 {
		t.Errorf("a used code counts as %d failures", n)
	}
}

func TestTries(t *testing.T) {
	w := newWorld()
	d := w.begin("alice")
	got := read(t, d.Open(context.Background()))
	for i, answer := range []string{"", "abc", w.wrong(t)} {
		if len(got.asks) != 1 || got.done {
			t.Fatalf("before answer %d: %+v", i+1, got)
		}
		got = read(t, d.Answer(context.Background(), []byte(answer)))
	}
	if got.verdict != wire.Refused || len(got.asks) != 0 {
		t.Fatalf("after three answers: %+v", got)
	}
	e := w.last(t, 3)
	if e.Result != audit.Refused || e.Reason != "wrong_code" {
		t.Errorf("last event %+v", e)
	}
	for _, e := range w.events.all[:2] {
		if e.Result != audit.Retry || e.Reason != "malformed" || e.Reference != d.reference {
			t.Errorf("event %+v", e)
		}
	}
	if n := w.store.accounts["alice"].Codes.Failures; n != 1 || w.store.writes != 1 {
		t.Errorf("%d failures in %d writes: only a code can be a guess", n, w.store.writes)
	}
	// A right code on the third try is in time.
	w = newWorld()
	if got := w.login(t, "alice", w.wrong(t), "12 34", w.code(t)); got.verdict != wire.Accepted {
		t.Errorf("right at last: %+v", got)
	}
	if n := w.store.accounts["alice"].Codes.Failures; n != 0 {
		t.Errorf("%d failures after a success", n)
	}
}

func TestWaitAndLock(t *testing.T) {
	w := newWorld()
	wrong := w.wrong(t)
	if got := w.login(t, "alice", wrong, wrong, wrong); got.verdict != wire.Refused || !strings.Contains(got.tells[0], "try again in 5 s") {
		t.Fatalf("three failures: %+v", got)
	}
	w.pass(3500 * time.Millisecond)
	if got := w.login(t, "alice"); got.verdict != wire.Refused || len(got.asks) != 0 || !strings.Contains(got.tells[0], "try again in 2 s") {
		t.Fatalf("during the wait: %+v", got)
	}
	if e := w.last(t, 4); e.Reason != "wait" || e.Detail != "until 2026-03-01T12:00:05Z" {
		t.Errorf("event %+v", e)
	}
	w.pass(2 * time.Second)
	// Asked before the wait, answered in it: neither judged nor used up.
	d := w.begin("alice")
	d.Open(context.Background())
	w.login(t, "alice", wrong)
	code := w.code(t)
	if got := read(t, d.Answer(context.Background(), []byte(code))); got.verdict != wire.Refused || !strings.Contains(got.tells[0], "try again in 10 s") {
		t.Errorf("a right code in the wait: %+v", got)
	}
	if n := w.store.accounts["alice"].Codes.Failures; n != 4 {
		t.Errorf("%d failures, want 4", n)
	}
	w.pass(10 * time.Second)
	if got := w.login(t, "alice", code); got.verdict != wire.Accepted {
		t.Errorf("the same code after the wait: %+v", got)
	}

	acc := w.store.accounts["alice"]
	acc.Codes = account.Attempts{Failures: 99, Last: noon.Add(-time.Hour)}
	w.store.accounts["alice"] = acc
	for i, reason := range []string{"wrong_code_locks", "locked", "locked"} {
		got := w.login(t, "alice", w.wrong(t))
		if got.verdict != wire.Refused || !strings.Contains(got.tells[0], "ask your administrator") {
			t.Errorf("attempt %d: %+v", 100+i, got)
		}
		if e := w.last(t, len(w.events.all)); e.Reason != reason {
			t.Errorf("attempt %d: event %+v", 100+i, e)
		}
		w.pass(24 * time.Hour)
	}
}

// A person without a clue sees the same for a wrong code, a user who doesn't exist, and one who is
// none of the caller's business.
func TestWhoMayAskAboutWhom(t *testing.T) {
	alice := Caller{UID: 1000, User: "alice"}
	for _, c := range []struct {
		caller  Caller
		user    string
		verdict wire.Outcome // 0: asked
		reason  string
	}{
		{root, "alice", 0, ""},
		{alice, "alice", 0, ""},
		{alice, "Alice", 0, ""},
		{alice, "bob", wire.Refused, "not_own_login"},
		{alice, "root", wire.Refused, "not_own_login"},
		{Caller{UID: 1234}, "alice", wire.Refused, "not_own_login"},
		{Caller{UID: 1234}, "", wire.Refused, "unknown_user"},
		{root, "bob", wire.NotDue, "not_enrolled"},
		{root, "", wire.Refused, "unknown_user"},
		{root, "mallory", wire.Refused, "unknown_user"},
		{root, "../alice", wire.Refused, "unknown_user"},
		{root, "alice\nuser=root", wire.Refused, "unknown_user"},
		{root, "alice:", wire.Refused, "unknown_user"},
		{root, " alice", wire.Refused, "unknown_user"},
		{root, "алиса", wire.Refused, "unknown_user"},
		{root, strings.Repeat("a", 10000), wire.Refused, "unknown_user"},
		{root, "down", wire.Unavailable, "user_lookup"},
		{root, "nameless", wire.Unavailable, "user_lookup"},
	} {
		w := newWorld()
		d := w.Begin(c.caller, wire.Open{User: c.user, Service: "su"})
		got := read(t, d.Open(context.Background()))
		if got.verdict != c.verdict || (c.verdict == 0) != (len(got.asks) == 1) {
			t.Errorf("%d asks about %.20q: %+v", c.caller.UID, c.user, got)
		}
		if c.verdict == wire.Refused && (len(got.tells) != 1 || got.tells[0] != sayRefused(d.reference)) {
			t.Errorf("%d asks about %.20q: told %q", c.caller.UID, c.user, got.tells)
		}
		if c.verdict == 0 {
			w.last(t, 0)
		} else if e := w.last(t, 1); e.Reason != c.reason || e.Caller != audit.UID(c.caller.UID) {
			t.Errorf("%d asks about %.20q: event %+v", c.caller.UID, c.user, e)
		}
	}
}

func TestPolicy(t *testing.T) {
	for _, c := range []struct {
		kind           policy.Kind
		alice, mallory wire.Outcome // 0: asked
	}{
		{policy.Exempt, wire.NotDue, wire.NotDue},
		{policy.Optional, 0, wire.NotDue},
		{policy.Required, 0, wire.Refused},
		{0, wire.Unavailable, wire.Unavailable},
		{99, wire.Unavailable, wire.Unavailable},
	} {
		w := newWorld()
		w.decide = func(policy.Rules, policy.Question) policy.Decision { return policy.Decision{Kind: c.kind} }
		for user, want := range map[string]wire.Outcome{"alice": c.alice, "bob": c.mallory} {
			if got := w.login(t, user); got.verdict != want {
				t.Errorf("%s under policy %d: %+v", user, c.kind, got)
			}
		}
	}
}

func TestWhatDoesNotWorkLetsNobodyIn(t *testing.T) {
	for name, c := range map[string]struct {
		spoil  func(*world)
		reason string
	}{
		"full disk": {func(w *world) { w.store.full = errors.New("no space left on device") }, "store"},
		"another key": {func(w *world) {
			acc := w.store.accounts["alice"]
			acc.Devices[0].Sealed = []byte("something else")
		}, "broken_secret"},
		"another user's secret": {func(w *world) {
			acc := w.store.accounts["alice"]
			acc.Devices[0].Sealed = seal("bob", "p")
		}, "broken_secret"},
	} {
		w := newWorld()
		d := w.begin("alice")
		d.Open(context.Background())
		c.spoil(w)
		before := fmt.Sprint(w.store.accounts)
		got := read(t, d.Answer(context.Background(), []byte(w.code(t))))
		if got.verdict != wire.Unavailable || len(got.tells) != 1 {
			t.Errorf("%s: %+v", name, got)
		}
		if e := w.last(t, 1); e.Result != audit.Unavailable || e.Reason != c.reason || e.Detail == "" {
			t.Errorf("%s: event %+v", name, e)
		}
		if after := fmt.Sprint(w.store.accounts); after != before || w.store.writes != 0 {
			t.Errorf("%s: %s, was %s", name, after, before)
		}
	}
	w := newWorld()
	w.store.full = errors.New("input/output error")
	if got := w.login(t, "alice"); got.verdict != wire.Unavailable {
		t.Errorf("a store that can't be read: %+v", got)
	}
	w = newWorld()
	w.cfg.Prompt = strings.Repeat("x", wire.MaxPayload)
	if got := w.login(t, "alice"); got.verdict != wire.Unavailable || w.last(t, 1).Reason != "frame" {
		t.Errorf("a prompt that fits no frame: %+v", got)
	}
}

func TestDisabledWhileThePersonTypes(t *testing.T) {
	w := newWorld()
	d := w.begin("alice")
	d.Open(context.Background())
	code := w.code(t)
	delete(w.store.accounts, "alice")
	if got := read(t, d.Answer(context.Background(), []byte(code))); got.verdict != wire.Refused || w.last(t, 1).Reason != "not_enrolled" {
		t.Errorf("%+v", got)
	}
}

func TestCodesAreInNoJournalAndNoFrame(t *testing.T) {
	w := newWorld()
	right, wrong := w.code(t), "271828"
	var frames []byte
	for _, answers := range [][]string{{wrong, wrong + "x", right}, {right, "314159 2", "pass word"}} {
		d := w.begin("alice")
		frames = append(frames, d.Open(context.Background()).Frames...)
		for _, a := range answers {
			s := d.Answer(context.Background(), []byte(a))
			frames = append(frames, s.Frames...)
			frames = fmt.Appendf(frames, "%v %+v", d.count, s.Done)
		}
	}
	all := w.journal() + string(frames)
	for _, never := range []string{right, wrong, "314159", "pass word", secret, secret32} {
		if strings.Contains(all, never) {
			t.Errorf("%q is in the journal or a frame:\n%s", never, all)
		}
	}
	if lines := strings.Count(w.journal(), "\n"); lines != 6 {
		t.Errorf("%d lines for 6 answers:\n%s", lines, w.journal())
	}
}

func TestEveryRefusalNamesItsReferenceAndWhatToDo(t *testing.T) {
	const ref = "7F3K-Q2ND"
	for _, said := range []string{
		sayRefused(ref), sayUsed(ref), sayWait(verify.Outcome{Until: noon.Add(40 * time.Second)}, noon, ref), sayUnavailable(ref),
		sayLocked(verify.Outcome{}, ref), sayLocked(verify.Outcome{Elsewhere: true}, ref), sayWrong(verify.Outcome{ClockOff: time.Hour}, ref),
		sayEnrolFirst(ref), sayEnrolElsewhere(ref), sayEnrolApart(ref), sayNotEnrolledNow(ref), sayEnrolmentOver(ref), sayEnrolledElsewhere(ref),
	} {
		if !strings.Contains(said, "reference "+ref) || !strings.Contains(said, "again") && !strings.Contains(said, "ask") {
			t.Errorf("%q", said)
		}
	}
}
