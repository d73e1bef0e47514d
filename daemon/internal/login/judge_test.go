package login

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
	"github.com/totpd/totpd/daemon/wire"
)

const (
	recoveryCode = "7K3MQ2NDZX09"
	bypassCode   = "QWERTYPASD"
)

// withCodes is alice's account with so many recovery codes, the first of them recoveryCode, and a bypass code
// for one login.
func withCodes(recovery int) account.Account {
	acc := account.Account{User: "alice", Devices: []account.Device{device("alice")}}
	for i := range recovery {
		text := recoveryCode
		if i > 0 {
			text = fmt.Sprintf("%012d", i)
		}
		acc.Recovery = append(acc.Recovery, account.Recovery{Hash: sealed{}.Hash("alice", account.PurposeRecovery, text)})
	}
	acc.Bypass = []account.Bypass{{
		ID: "1", Hash: sealed{}.Hash("alice", account.PurposeBypass, bypassCode), By: "0", Made: noon, Expires: noon.Add(time.Hour), Uses: 1,
	}}
	return acc
}

// Of 50 logins at once with one code, one is let in, whatever kind of code it is.
func TestRaceOfLoginsWithOneCodeOfEachKind(t *testing.T) {
	disk := newDisk(t)
	w := newWorld()
	w.Service.store = disk
	for _, c := range []struct {
		code             string
		recovery, bypass int // that are left
	}{{w.code(t), 3, 1}, {"7k3m-q2nd-zx09", 2, 1}, {bypassCode, 3, 0}} {
		err := disk.Update(t.Context(), "alice", func(account.Account) (account.Account, error) { return withCodes(3), nil })
		if err != nil {
			t.Fatal(err)
		}
		if n := w.atOnce(t, 50, c.code); n != 1 {
			t.Errorf("%q was accepted %d times", c.code, n)
		}
		acc, _, err := disk.Get(t.Context(), "alice")
		if err != nil || len(acc.Recovery) != c.recovery || len(acc.Bypass) != c.bypass {
			t.Errorf("%q: %d recovery and %d bypass codes are left, %v", c.code, len(acc.Recovery), len(acc.Bypass), err)
		}
	}
}

func TestRecoveryCodeInALogin(t *testing.T) {
	for left, want := range map[int]string{
		9: "9 recovery codes are left", 3: "3 recovery codes are left",
		2: "2 recovery codes are left: make new ones with totpctl recovery-codes new",
		1: "1 recovery code is left: make new ones with totpctl recovery-codes new",
		0: "that was your last recovery code: make new ones with totpctl recovery-codes new",
	} {
		w := newWorld()
		w.store.accounts["alice"] = withCodes(left + 1)
		got := w.login(t, "alice", w.wrong(t), "7k3m q2nd zx09")
		if got.verdict != wire.Accepted || len(got.tells) != 1 || got.tells[0] != want {
			t.Errorf("%d left: %+v", left, got)
		}
		e := w.last(t, 2)
		if e.Result != audit.Accepted || e.Reason != "recovery_code" || e.Detail != fmt.Sprintf("%d left", left) {
			t.Errorf("event %+v", e)
		}
		if acc := w.store.accounts["alice"]; throttle.Failures(acc) != 0 {
			t.Errorf("the login's own failure counts: %+v", acc.Codes)
		}
		if strings.Contains(w.journal(), recoveryCode) {
			t.Error("the code is in the journal")
		}
	}
	w := newWorld()
	w.store.accounts["alice"] = withCodes(3)
	if got := w.login(t, "alice", bypassCode); got.verdict != wire.Accepted || len(got.tells) != 0 || w.last(t, 1).Reason != "bypass_code" {
		t.Errorf("%+v", got)
	}
	w = newWorld()
	w.store.accounts["alice"] = withCodes(3)
	got := w.login(t, "alice", "000000000009", "QWERTYPASE")
	if len(got.asks) != 1 || !strings.Contains(got.tells[0], "or its time is over") || w.last(t, 2).Reason != "wrong_bypass_code" {
		t.Errorf("%+v", got)
	}
	if first := w.events.all[0]; first.Reason != "wrong_recovery_code" || throttle.Failures(w.store.accounts["alice"]) != 0 {
		t.Errorf("%+v", first)
	}
}

// Whoever would have to wait for long, or is locked, is asked for a recovery code instead, and is told why.
func TestRecoveryCodeDuringALock(t *testing.T) {
	for name, c := range map[string]struct {
		failures int
		told     string
	}{
		"wait": {8, "too many wrong codes: the next one is looked at in 3 minutes, a recovery code or one from your administrator now"},
		"lock": {100, "locked after too many wrong codes: type a recovery code, or ask your administrator for a code"},
	} {
		w := newWorld()
		acc := withCodes(10)
		acc.Codes = account.Attempts{Failures: c.failures, Last: noon}
		w.store.accounts["alice"] = acc
		d := w.begin("alice")
		got := read(t, d.Open(context.Background()))
		if len(got.asks) != 1 || got.asks[0] != askRecovery || len(got.tells) != 1 || got.tells[0] != c.told {
			t.Fatalf("%s: %+v", name, got)
		}
		writes := w.store.writes
		got = read(t, d.Answer(context.Background(), []byte(w.code(t))))
		if len(got.asks) != 1 || got.asks[0] != askRecovery || got.tells[0] != c.told || w.store.writes != writes {
			t.Errorf("%s, a right code of the phone: %+v", name, got)
		}
		if e := w.last(t, 1); e.Result != audit.Retry || !strings.HasPrefix("locked wait", e.Reason) && e.Reason != "wait" {
			t.Errorf("%s: event %+v", name, e)
		}
		if got = read(t, d.Answer(context.Background(), []byte(recoveryCode))); got.verdict != wire.Accepted {
			t.Errorf("%s, a recovery code: %+v", name, got)
		}
		if n := throttle.Failures(w.store.accounts["alice"]); n != c.failures {
			t.Errorf("%s: %d failures after it", name, n)
		}
	}
	// Where the user has logged in from elsewhere, there is one more thing to do.
	w := newWorld()
	acc := throttle.Know(withCodes(10), "192.0.2.99", noon)
	acc.Codes = account.Attempts{Failures: 50, Last: noon}
	w.store.accounts["alice"] = acc
	got := read(t, w.begin("alice").Open(context.Background()))
	if len(got.asks) != 1 || !strings.HasSuffix(got.tells[0], "or log in from a place you have logged in from before") {
		t.Errorf("%+v", got)
	}
	// The last try ends it.
	w = newWorld()
	acc = withCodes(10)
	acc.Codes = account.Attempts{Failures: 100, Last: noon}
	w.store.accounts["alice"] = acc
	if got := w.login(t, "alice", "000000", "000000", "000000"); got.verdict != wire.Refused || !strings.Contains(got.tells[0], "ask your administrator") {
		t.Errorf("%+v", got)
	}
	// The wrong code with which a long wait begins leads there too.
	w = newWorld()
	acc = withCodes(10)
	acc.Codes = account.Attempts{Failures: 8, Last: noon.Add(-time.Hour)}
	w.store.accounts["alice"] = acc
	if got := w.login(t, "alice", w.wrong(t)); len(got.asks) != 1 || got.asks[0] != askRecovery || w.last(t, 1).Result != audit.Retry {
		t.Errorf("%+v", got)
	}
}

func TestLockElsewhere(t *testing.T) {
	w := newWorld()
	if got := w.login(t, "alice", w.code(t)); got.verdict != wire.Accepted {
		t.Fatal(got)
	}
	w.pass(time.Minute)
	acc := w.store.accounts["alice"]
	acc.Codes = account.Attempts{Failures: 50, Last: noon}
	w.store.accounts["alice"] = acc
	away := w.Begin(root, wire.Open{User: "alice", Service: "sshd", RHost: "203.0.113.9"})
	got := read(t, away.Open(context.Background()))
	if got.verdict != wire.Refused || !strings.Contains(got.tells[0], "locked here") {
		t.Errorf("away: %+v", got)
	}
	if e := w.last(t, 2); e.Reason != "locked" || e.Detail != "not for sources of earlier logins" {
		t.Errorf("event %+v", e)
	}
	if got := w.login(t, "alice", w.code(t)); got.verdict != wire.Accepted {
		t.Errorf("at home: %+v", got)
	}
}

// A program that isn't root's can't say that it is where the user has logged in before.
func TestOnlyRootIsBelievedASource(t *testing.T) {
	alice := Caller{UID: 1000, User: "alice"}
	w := newWorld()
	open := wire.Open{User: "alice", Service: "sshd", RHost: "192.0.2.7", RUser: "bob"}
	for _, c := range []struct {
		caller Caller
		want   string
	}{{alice, "local"}, {root, "192.0.2.7"}} {
		d := w.Begin(c.caller, open)
		d.user = "alice"
		if got := d.login(noon).Source; got != c.want {
			t.Errorf("uid %d: %q, want %q", c.caller.UID, got, c.want)
		}
	}
}

func TestWrongClockIsTold(t *testing.T) {
	w := newWorld()
	slow := func() string {
		code, err := totp.GenerateCode(secret32, w.now.Add(-4*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		return code
	}
	d := w.begin("alice")
	d.Open(context.Background())
	got := read(t, d.Answer(context.Background(), []byte(slow())))
	if len(got.asks) != 1 || got.tells[0] != "your phone's clock is about 4 minutes behind: type the next code it shows too" {
		t.Errorf("%+v", got)
	}
	if e := w.last(t, 1); e.Reason != "wrong_code" || e.Detail != "the device's clock is about 4 minutes behind" {
		t.Errorf("%+v", e)
	}
	w.pass(30 * time.Second)
	if got = read(t, d.Answer(context.Background(), []byte(slow()))); got.verdict != wire.Accepted {
		t.Errorf("%+v", got)
	}
	if n := throttle.Failures(w.store.accounts["alice"]); n != 0 {
		t.Errorf("%d failures are left", n)
	}
	w.pass(time.Hour)
	if got := w.login(t, "alice", slow()); got.verdict != wire.Accepted {
		t.Errorf("an hour later: %+v", got)
	}
}

// One PAM handle is one login, also when the application asks again: its success forgives what it failed.
func TestFailuresOfOneLoginInSeveralDialogues(t *testing.T) {
	for _, c := range []struct {
		name  string
		wrong wire.LoginID
		after time.Duration
		left  int
	}{
		{"the same login", id("a"), time.Minute, 0},
		{"the same login, much later", id("a"), failuresTime + time.Second, 2},
		{"another login", id("b"), time.Minute, 2},
		{"a login without an id", "", time.Minute, 2},
	} {
		w := newWorld()
		for range 2 {
			if got := w.answer(t, root, c.wrong, w.wrong(t)); got != 0 {
				t.Fatal(got)
			}
		}
		w.pass(c.after)
		if got := w.answer(t, root, id("a"), w.code(t)); got != wire.Accepted {
			t.Fatal(got)
		}
		if n := throttle.Failures(w.store.accounts["alice"]); n != c.left {
			t.Errorf("%s: %d failures are left, want %d", c.name, n, c.left)
		}
	}
}

func TestFailuresAreBounded(t *testing.T) {
	f := newFailures()
	for i := range 3 * failuresMax {
		f.add("alice", fmt.Appendf(nil, "%032d", i), 1, noon.Add(time.Duration(i)*time.Second/10))
	}
	if len(f.all) != failuresMax {
		t.Errorf("%d logins are remembered", len(f.all))
	}
	last := fmt.Appendf(nil, "%032d", 3*failuresMax-1)
	at := noon.Add(6 * time.Minute)
	if f.of("alice", last, at) != 1 || f.of("bob", last, at) != 0 || f.of("alice", fmt.Appendf(nil, "%032d", 0), at) != 0 {
		t.Error("the wrong ones are remembered")
	}
	f.forget("alice", last)
	if f.of("alice", last, at) != 0 {
		t.Error("not forgotten")
	}
}

func TestTimesInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "1 s", time.Second: "1 s", 1500 * time.Millisecond: "2 s", 40 * time.Second: "40 s", 2 * time.Minute: "120 s",
		121 * time.Second: "3 minutes", 15 * time.Minute: "15 minutes", 2 * time.Hour: "120 minutes",
		2*time.Hour + time.Second: "3 hours", 24 * time.Hour: "24 hours",
	} {
		if got := wait(d); got != want {
			t.Errorf("%v is %q, want %q", d, got, want)
		}
	}
	for off, want := range map[time.Duration]string{
		time.Minute: "about a minute ahead", -4 * time.Minute: "about 4 minutes behind", 20 * time.Minute: "about 20 minutes ahead",
		-150 * time.Second: "about 3 minutes behind",
	} {
		if got := ahead(off); got != want {
			t.Errorf("%v is %q, want %q", off, got, want)
		}
	}
	long := sayWait(verify.Outcome{Until: noon.Add(time.Hour), ClockOff: -4 * time.Minute}, noon, "X")
	if long != "your phone's clock is about 4 minutes behind, and too many wrong codes: try again in 60 minutes (reference X)" {
		t.Errorf("%q", long)
	}
}
