package login

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

func (w *world) combined(user string) *Dialogue {
	return w.Begin(root, wire.Open{Version: 2, User: user, Service: "sshd", RHost: "192.0.2.7", TTY: "ssh", Combined: true})
}

// combinedAsk fails unless s is the one question of a combined login, and returns its lengths.
func combinedAsk(t *testing.T, s Step) []byte {
	t.Helper()
	f, n, err := wire.Decode(s.Frames)
	if err != nil || n != len(s.Frames) || f.Kind != wire.KindAsk || f.Style != wire.Combined || s.Done {
		t.Fatalf("%+v, %v, %q", f.Kind, err, s.Frames)
	}
	if string(f.Text) != askCombined {
		t.Errorf("the prompt is %q", f.Text)
	}
	return f.Tails
}

func TestCombined(t *testing.T) {
	w := newWorld()
	d := w.combined("alice")
	if tails := combinedAsk(t, d.Open(context.Background())); !bytes.Equal(tails, []byte{6}) {
		t.Errorf("lengths %v", tails)
	}
	if got := read(t, d.Answer(context.Background(), []byte(w.code(t)))); got.verdict != wire.Accepted {
		t.Errorf("%+v", got)
	}
	for name, answer := range map[string]string{"wrong_code": w.wrong(t), "malformed": "", "used_code": w.code(t)} {
		d := w.combined("alice")
		combinedAsk(t, d.Open(context.Background()))
		got := read(t, d.Answer(context.Background(), []byte(answer)))
		if got.verdict != wire.Refused || len(got.tells) != 1 || !strings.Contains(got.tells[0], d.reference) {
			t.Errorf("%s: %+v", name, got)
		}
		if e := w.events.all[len(w.events.all)-1]; e.Reason != name {
			t.Errorf("%s: %+v", name, e)
		}
	}
}

// Whoever hangs up at the question has given no right password: nothing is counted, and nobody is told.
func TestCombinedWithoutAnswer(t *testing.T) {
	w := newWorld()
	for range 30 {
		d := w.combined("alice")
		combinedAsk(t, d.Open(context.Background()))
		d.Abandon()
	}
	if e := w.last(t, 30); e.Result != audit.Abandoned || e.Reason != "before_code" {
		t.Errorf("%+v", e)
	}
	if n := w.store.accounts["alice"].Codes.Failures; n != 0 || w.store.writes != 0 {
		t.Errorf("%d failures", n)
	}
	d := w.combined("alice")
	combinedAsk(t, d.Open(context.Background()))
	if got := read(t, d.Answer(context.Background(), []byte(w.code(t)))); got.verdict != wire.Accepted {
		t.Errorf("%+v", got)
	}
}

// A refusal at the Open waits for the answer, which comes after a right password.
func TestCombinedRefusalWaits(t *testing.T) {
	for name, c := range map[string]struct {
		user   string
		spoil  func(*world)
		reason string
		says   string
	}{
		"unknown_user": {"mallory", func(*world) {}, "unknown_user", "not accepted"},
		"required and not enrolled": {"bob", func(w *world) {
			w.decide = func(policy.Rules, policy.Question) policy.Decision { return policy.Decision{Kind: policy.Required} }
		}, "not_enrolled", "enrol where both are typed at once"},
		"a wait": {"alice", func(w *world) {
			acc := w.store.accounts["alice"]
			acc.Codes = account.Attempts{Failures: 5, Last: noon}
			w.store.accounts["alice"] = acc
		}, "wait", "try again in"},
		"locked": {"alice", func(w *world) {
			acc := w.store.accounts["alice"]
			acc.Codes = account.Attempts{Failures: 100, Last: noon}
			w.store.accounts["alice"] = acc
		}, "locked", "locked"},
	} {
		w := newWorld()
		c.spoil(w)
		d := w.combined(c.user)
		if tails := combinedAsk(t, d.Open(context.Background())); !bytes.Equal(tails, []byte{6}) {
			t.Errorf("%s: lengths %v", name, tails)
		}
		w.last(t, 0)
		got := read(t, d.Answer(context.Background(), []byte(w.code(t))))
		if got.verdict != wire.Refused || len(got.tells) != 1 || !strings.Contains(got.tells[0], c.says) {
			t.Errorf("%s: %+v", name, got)
		}
		if e := w.last(t, 1); e.Reason != c.reason {
			t.Errorf("%s: %+v", name, e)
		}
	}
	w := newWorld()
	if got := read(t, w.combined("bob").Open(context.Background())); got.verdict != wire.NotDue {
		t.Errorf("who has not enrolled and needn't: %+v", got)
	}
	if got := read(t, w.combined("down").Open(context.Background())); got.verdict != wire.Unavailable {
		t.Errorf("a directory that is down: %+v", got)
	}
}

func TestTails(t *testing.T) {
	old := noon.Add(-time.Hour)
	for name, c := range map[string]struct {
		devices []account.Device
		want    []byte
	}{
		"nobody's":       {nil, []byte{6}},
		"one":            {[]account.Device{{Digits: 8}}, []byte{8}},
		"two alike":      {[]account.Device{{Digits: 6}, {Digits: 6}}, []byte{6}},
		"last used":      {[]account.Device{{Digits: 8, LastUsed: old}, {Digits: 6, LastUsed: noon}}, []byte{6, 8}},
		"never used yet": {[]account.Device{{Digits: 8, Added: old}, {Digits: 6, Added: noon}}, []byte{6, 8}},
	} {
		if got := tails(account.Account{Devices: c.devices}); !bytes.Equal(got, c.want) {
			t.Errorf("%s: %v", name, got)
		}
	}
}
