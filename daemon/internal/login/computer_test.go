package login

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

const (
	days   = 24 * time.Hour
	keyOne = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGJOdfJhOrXmFHRXLZx1hPXZeMCXwPEFvFOvPnOlSMVT\n"
	keyTwo = "publickey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBXqTTbWqvyjWfMFKFQlHJGEUAX4HWgHhMTiXuZRq0bO\n"
)

// fromAfar is a login of alice's over ssh without a key.
var fromAfar = wire.Open{User: "alice", Service: "sshd", RHost: "192.0.2.7", TTY: "ssh"}

// remembering is a world whose rule allows it.
func rememberingWorld() *world {
	w := newWorld()
	w.cfg.Rules = policy.Rules{{Require: policy.Optional, Remember: 30 * days}}
	return w
}

// open begins a login and reads what comes first.
func (w *world) open(t testing.TB, c Caller, o wire.Open) (*Dialogue, shown) {
	t.Helper()
	if o.Version == 0 {
		o.Version = wire.Version
	}
	d := w.Begin(c, o)
	return d, read(t, d.Open(context.Background()))
}

// remember is a login from o whose computer is to be remembered.
func (w *world) remember(t testing.TB, o wire.Open) {
	t.Helper()
	d, got := w.open(t, root, o)
	if got.done {
		t.Fatalf("not asked: %+v", got)
	}
	if got = d.answer(t, w.code(t)); got.done || got.asks[0] != "remember this computer for 30 days? y/N: " {
		t.Fatalf("%+v", got)
	}
	if got = d.answer(t, "y"); got.verdict != wire.Accepted {
		t.Fatalf("%+v", got)
	}
	w.pass(time.Minute)
}

// due says whether a code is asked for in a login from o.
func (w *world) due(t testing.TB, o wire.Open) bool {
	t.Helper()
	_, got := w.open(t, root, o)
	return got.verdict != wire.NotDue
}

func TestRememberedComputer(t *testing.T) {
	w := rememberingWorld()
	w.remember(t, fromAfar)
	want := audit.Event{Kind: audit.Login, User: "alice", Service: "sshd", Source: "192.0.2.7", TTY: "ssh", Caller: "0",
		Result: audit.Accepted, Reason: "code", Device: "phone", Detail: "computer remembered: 192.0.2.7, sshd",
		At: noon, Kept: true} // one login is one line of the history; remembered lists the computer
	if e := w.last(t, 1); e.Reference == "" {
		t.Errorf("%+v", e)
	} else if want.Reference = e.Reference; e != want {
		t.Errorf("%+v, want %+v", e, want)
	}
	r := w.store.accounts["alice"].Remembered
	if len(r) != 1 || r[0].From != "192.0.2.7" || r[0].Name != "sshd" || !r[0].Since.Equal(noon) ||
		!r[0].Expires.Equal(noon.Add(30*days)) || !r[0].LastUsed.Equal(noon.Truncate(days)) {
		t.Errorf("%+v", r)
	}
	writes := w.store.writes
	d, got := w.open(t, root, fromAfar)
	if got.verdict != wire.NotDue || len(got.tells) != 0 {
		t.Fatalf("%+v", got)
	}
	if e := w.last(t, 2); e.Result != audit.NotDue || e.Reason != "remembered" || e.Detail != "192.0.2.7, sshd" || e.Reference != d.reference {
		t.Errorf("%+v", e)
	}
	if w.store.writes != writes {
		t.Error("a login on the same day wrote something")
	}
	w.pass(days)
	for range 2 {
		if w.due(t, fromAfar) {
			t.Error("not remembered the next day")
		}
	}
	if r := w.store.accounts["alice"].Remembered; w.store.writes != writes+1 || !r[0].LastUsed.Equal(noon.Add(days).Truncate(days)) {
		t.Errorf("%d writes in one day, %+v", w.store.writes-writes, r)
	}
}

// A recovery code is for a lost phone: it forgets the computers. Neither it nor a bypass code has one
// remembered.
func TestOtherWaysRememberNothing(t *testing.T) {
	for typed, c := range map[string]struct {
		purpose string
		left    int // computers
	}{"1234-5678-9ABC": {account.PurposeRecovery, 0}, "12345-6789A": {account.PurposeBypass, 1}} {
		w := rememberingWorld()
		w.remember(t, fromAfar)
		hash := sealed{}.Hash("alice", c.purpose, strings.ReplaceAll(typed, "-", ""))
		acc := w.store.accounts["alice"]
		acc.Recovery = []account.Recovery{{Hash: hash}}
		acc.Bypass = []account.Bypass{{ID: "1", Hash: hash, Expires: noon.Add(days), Uses: 1}}
		w.store.accounts["alice"] = acc
		other := fromAfar
		other.RHost = "192.0.2.8"
		d, _ := w.open(t, root, other)
		if got := d.answer(t, typed); got.verdict != wire.Accepted {
			t.Errorf("%s: %+v", typed, got)
		}
		if n := len(w.store.accounts["alice"].Remembered); n != c.left {
			t.Errorf("%s: %d are remembered, want %d", typed, n, c.left)
		}
	}
}

// What makes out a computer: each of these differs from the one that was remembered.
func TestAnotherComputer(t *testing.T) {
	withKey := func(o wire.Open, info string) wire.Open { o.AuthInfo = info; return o }
	v6 := wire.Open{User: "alice", Service: "sshd", RHost: "2001:db8:1:2::7"}
	for name, c := range map[string]struct {
		remembered, comes wire.Open
		same              bool
	}{
		"the same":                    {fromAfar, fromAfar, true},
		"another terminal":            {fromAfar, wire.Open{User: "alice", Service: "sshd", RHost: "192.0.2.7", TTY: "pts/3"}, true},
		"another address":             {fromAfar, wire.Open{User: "alice", Service: "sshd", RHost: "192.0.2.8"}, false},
		"another service":             {fromAfar, wire.Open{User: "alice", Service: "cockpit", RHost: "192.0.2.7"}, false},
		"same network of IPv6":        {v6, wire.Open{User: "alice", Service: "sshd", RHost: "2001:db8:1:2::8"}, true},
		"another network of IPv6":     {v6, wire.Open{User: "alice", Service: "sshd", RHost: "2001:db8:1:3::7"}, false},
		"the same key":                {withKey(fromAfar, keyOne), withKey(fromAfar, keyOne), true},
		"the same key, then password": {withKey(fromAfar, keyOne), withKey(fromAfar, keyOne+"password\n"), true},
		"another key":                 {withKey(fromAfar, keyOne), withKey(fromAfar, keyTwo), false},
		"one of two keys":             {withKey(fromAfar, keyOne+keyTwo), withKey(fromAfar, keyOne), false},
		"a key where there was none":  {fromAfar, withKey(fromAfar, keyOne), false},
		"no key where there was one":  {withKey(fromAfar, keyOne), fromAfar, false},
		"the key from elsewhere":      {withKey(fromAfar, keyOne), withKey(v6, keyOne), false},
		"no key, but the word":        {withKey(fromAfar, keyOne), withKey(fromAfar, "password publickey\n"+keyOne[1:]), false},
	} {
		w := rememberingWorld()
		w.remember(t, c.remembered)
		if w.due(t, c.comes) == c.same {
			t.Errorf("%s: remembered: %v", name, !c.same)
		}
		if text := fmt.Sprint(w.store.accounts, w.journal()); strings.Contains(text, "AAAAC3") {
			t.Errorf("%s: the key is in %s", name, text)
		}
	}
	w := rememberingWorld()
	w.store.accounts["bob"] = account.Account{User: "bob", Devices: []account.Device{device("bob")}}
	w.remember(t, fromAfar)
	bob := fromAfar
	bob.User = "bob"
	if !w.due(t, bob) {
		t.Error("alice's computer is bob's")
	}
}

// Who is asked whether to remember, and with which answer nothing is.
func TestMayRemember(t *testing.T) {
	for name, c := range map[string]struct {
		caller Caller
		open   wire.Open
		rule   time.Duration
		asked  bool
	}{
		"from afar":      {root, fromAfar, 30 * days, true},
		"no rule for it": {root, fromAfar, 0, false},
		"not root":       {Caller{UID: 1000, User: "alice"}, wire.Open{User: "alice", Service: "sshd", RHost: "192.0.2.7", AuthInfo: keyOne}, 30 * days, false},
		"a terminal":     {root, wire.Open{User: "alice", Service: "login", TTY: "tty1"}, 30 * days, false},
		"a display":      {root, wire.Open{User: "alice", Service: "gdm", RHost: ":0", TTY: ":0"}, 30 * days, false},
		"old module":     {root, wire.Open{Version: wire.Oldest, User: "alice", Service: "sshd", RHost: "192.0.2.7"}, 30 * days, false},
		"a name":         {root, wire.Open{User: "alice", Service: "sshd", RHost: "pc.example.org"}, 30 * days, false},
	} {
		w := newWorld()
		w.cfg.Rules = policy.Rules{{Require: policy.Required, Remember: c.rule}}
		d, _ := w.open(t, c.caller, c.open)
		if got := d.answer(t, w.code(t)); got.done == c.asked || (got.verdict == wire.Accepted) == c.asked {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for _, no := range []string{"", "n", "no", "yess", "да", "123456"} {
		w := rememberingWorld()
		d, _ := w.open(t, root, fromAfar)
		d.answer(t, w.code(t))
		if got := d.answer(t, no); got.verdict != wire.Accepted || len(w.store.accounts["alice"].Remembered) != 0 {
			t.Errorf("%q: %+v", no, got)
		}
	}
	for _, yes := range []string{"y", "Y", " yes "} {
		w := rememberingWorld()
		d, _ := w.open(t, root, fromAfar)
		d.answer(t, w.code(t))
		if got := d.answer(t, yes); got.verdict != wire.Accepted || len(w.store.accounts["alice"].Remembered) != 1 {
			t.Errorf("%q: %+v", yes, got)
		}
	}
}

// The question after the code costs nobody a login that has been won: a computer that can't be stored isn't
// remembered. Who leaves at the question is told of in the journal.
func TestRememberingCostsNoLogin(t *testing.T) {
	w := rememberingWorld()
	d, _ := w.open(t, root, fromAfar)
	d.answer(t, w.code(t))
	w.store.full = errors.New("no space left on device")
	if got := d.answer(t, "y"); got.verdict != wire.Accepted || len(got.tells) != 1 || got.tells[0] != sayNotRemembered() {
		t.Errorf("%+v", got)
	}
	if e := w.last(t, 1); e.Result != audit.Accepted || !strings.Contains(e.Detail, "not remembered: no space") {
		t.Errorf("%+v", e)
	}
	w = rememberingWorld()
	d, _ = w.open(t, root, fromAfar)
	d.answer(t, w.code(t))
	d.Abandon()
	if e := w.last(t, 1); e.Result != audit.Abandoned || e.Reason != "after_code" || e.Device != "phone" {
		t.Errorf("%+v", e)
	}
	// Disabled while the person thinks about it.
	w = rememberingWorld()
	d, _ = w.open(t, root, fromAfar)
	d.answer(t, w.code(t))
	delete(w.store.accounts, "alice")
	if got := d.answer(t, "y"); got.verdict != wire.Accepted || len(w.store.accounts["alice"].Remembered) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestHowLongAComputerIsRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		rule  time.Duration // of now
		after time.Duration // since it was remembered
		still bool
	}{
		"at the end":                  {30 * days, 30*days - time.Second, true},
		"after it":                    {30 * days, 30 * days, false},
		"a longer rule":               {60 * days, 30 * days, false},
		"a shorter rule":              {10 * days, 10 * days, false},
		"a shorter rule, before":      {10 * days, 10*days - time.Second, true},
		"no rule any more":            {0, time.Minute, false},
		"two readings of one clock":   {30 * days, -time.Second, true},
		"a clock set back":            {30 * days, -2 * time.Second, false},
		"a clock set back by a month": {30 * days, -30 * days, false},
	} {
		w := rememberingWorld()
		w.remember(t, fromAfar)
		w.cfg.Rules[0].Remember = c.rule
		w.pass(c.after - time.Minute)
		if w.due(t, fromAfar) == c.still {
			t.Errorf("%s: still remembered: %v", name, !c.still)
		}
	}
	// Set back to before it was last used, though after it was remembered.
	w := rememberingWorld()
	w.remember(t, fromAfar)
	w.pass(20 * days)
	if w.due(t, fromAfar) {
		t.Error("forgotten after 20 days")
	}
	w.pass(-10 * days)
	if !w.due(t, fromAfar) {
		t.Error("a clock that was set back makes it last longer")
	}
}

// Wrong codes of others don't matter to a computer that is remembered.
func TestRememberedInSpiteOfALock(t *testing.T) {
	w := rememberingWorld()
	w.remember(t, fromAfar)
	acc := w.store.accounts["alice"]
	acc.Codes = account.Attempts{Failures: 100, Last: noon}
	w.store.accounts["alice"] = acc
	if w.due(t, fromAfar) {
		t.Error("a lock keeps a remembered computer out")
	}
}

// The list is bounded, and one computer is in it once.
func TestRememberedList(t *testing.T) {
	w := rememberingWorld()
	for i := range account.RememberedMax + 3 {
		o := fromAfar
		o.RHost = fmt.Sprintf("192.0.2.%d", i+1)
		w.remember(t, o)
	}
	r := w.store.accounts["alice"].Remembered
	if len(r) != account.RememberedMax || r[0].From != "192.0.2.4" {
		t.Errorf("%d, the first from %s", len(r), r[0].From)
	}
	w = rememberingWorld()
	w.remember(t, fromAfar)
	w.pass(30 * days)
	w.remember(t, fromAfar)
	if r := w.store.accounts["alice"].Remembered; len(r) != 1 {
		t.Errorf("%+v", r)
	}
}

// Forgotten between the look and the note of its use, it is asked for a code.
func TestForgottenInBetween(t *testing.T) {
	w := rememberingWorld()
	w.remember(t, fromAfar)
	w.pass(days)
	w.Service.store = forgetful{w.store}
	if !w.due(t, fromAfar) {
		t.Error("let in")
	}
}

// forgetful forgets all computers before each change.
type forgetful struct{ *memory }

func (f forgetful) Update(ctx context.Context, user string, change func(account.Account) (account.Account, error)) error {
	return f.memory.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		acc.Remembered = nil
		return change(acc)
	})
}

func TestFingerprintIsThatOfSSHKeygen(t *testing.T) {
	// ssh-keygen -lf of keyOne.
	if got, want := fingerprint(verifiedKeys(keyOne)[0]), "SHA256:"; !strings.HasPrefix(got, want) || len(got) != len(want)+16 {
		t.Errorf("%s", got)
	}
	if got := fingerprint("ssh-ed25519 %"); got != "ssh-ed25519" {
		t.Errorf("%s", got)
	}
	if keys := verifiedKeys("password\n" + keyOne + "keyboard-interactive/pam\n" + keyTwo); len(keys) != 2 || !slices.Contains(keys, strings.TrimSpace(keyTwo[len("publickey "):])) {
		t.Errorf("%q", keys)
	}
}

// Whoever takes the grounds away while the question waits has no computer remembered by its answer, and it
// costs the login nothing.
func TestGroundsThatAreGone(t *testing.T) {
	for name, change := range map[string]func(*account.Account){
		"reset":          func(a *account.Account) { *a = account.Account{User: "alice", MustEnrol: true} },
		"another device": func(a *account.Account) { a.Devices = []account.Device{device("alice")}; a.Devices[0].ID = "q" },
		"one device more": func(a *account.Account) {
			a.Devices = append(a.Devices, account.Device{ID: "q", Name: "token", Digits: 6, Period: 30, Algorithm: account.SHA1, Sealed: seal("alice", "q")})
		},
		"a recovery code":    func(a *account.Account) { a.Recovery = a.Recovery[1:] },
		"new recovery codes": func(a *account.Account) { a.Recovery = []account.Recovery{{Hash: sealed{}.Hash("alice", "x", "3")}} },
	} {
		w := rememberingWorld()
		acc := w.store.accounts["alice"]
		acc.Recovery = []account.Recovery{{Hash: sealed{}.Hash("alice", "x", "1")}, {Hash: sealed{}.Hash("alice", "x", "2")}}
		w.store.accounts["alice"] = acc
		d, _ := w.open(t, root, fromAfar)
		if got := d.answer(t, w.code(t)); got.done {
			t.Fatalf("%s: %+v", name, got)
		}
		acc = w.store.accounts["alice"]
		change(&acc)
		w.store.accounts["alice"] = acc
		if got := d.answer(t, "y"); got.verdict != wire.Accepted || len(got.tells) != 1 || got.tells[0] != sayNotRemembered() {
			t.Errorf("%s: %+v", name, got)
		}
		if e := w.last(t, 1); !strings.Contains(e.Detail, "has changed meanwhile") || len(w.store.accounts["alice"].Remembered) != 0 {
			t.Errorf("%s: %+v", name, e)
		}
	}
}
