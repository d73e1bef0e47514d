package throttle

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

// from is the throttle of a login from there, of somebody with one phone.
func from(source string) Codes { return Codes{Limits: limits, Source: source, Odds: 300, Usual: 300} }

// user is somebody who has logged in from home.
func user() account.Account {
	return Know(account.Account{User: "alice", Devices: []account.Device{{
		ID: "1", Name: "phone", Digits: 6, Period: 30, Algorithm: account.SHA1, Sealed: []byte{1},
	}}}, "home", start)
}

func valid(t *testing.T, a account.Account) {
	t.Helper()
	if err := a.Valid(); err != nil {
		t.Fatal(err)
	}
}

// fail fails n times, each after the wait that is due. It returns how long the waits were.
func fail(t *testing.T, c Codes, a account.Account, n int, now time.Time) (account.Account, time.Time, []time.Duration) {
	t.Helper()
	var waits []time.Duration
	for range n {
		switch v := c.Decide(a, now); v.Kind {
		case Wait:
			waits = append(waits, v.Until.Sub(now))
			now = v.Until
		case Locked:
			t.Fatalf("locked after %d", Failures(a))
		}
		before := fmt.Sprintf("%+v", a)
		after := c.Failed(a, now)
		if now2 := fmt.Sprintf("%+v", a); now2 != before {
			t.Fatal("the account that was judged changed too")
		}
		a = after
		valid(t, a)
	}
	return a, now, waits
}

func TestTwoBudgets(t *testing.T) {
	// Strangers wait for each other; the owner waits for nobody else.
	a, now := user(), start
	for i := range 50 {
		c := from(fmt.Sprint("address ", i))
		if i > 2 {
			if v := from("yet another").Decide(a, now); v.Kind != Wait {
				t.Fatalf("after %d failures another stranger: %v", i, v)
			}
		}
		if v := from("home").Decide(a, now); v.Kind != Allowed {
			t.Fatalf("after %d failures of strangers the owner: %v", i, v)
		}
		a, now, _ = fail(t, c, a, 1, now)
	}
	if took := now.Sub(start); took < 10*time.Hour {
		t.Errorf("50 guesses take strangers %v", took)
	}
	for _, later := range []time.Duration{0, 24 * time.Hour, 10 * 365 * 24 * time.Hour} {
		if v := from("address 1").Decide(a, now.Add(later)); v.Kind != Locked || !v.Elsewhere {
			t.Errorf("%v later, strangers: %+v", later, v)
		}
	}
	// The other half is the owner's, at 30 s each at the most.
	a, now, waits := fail(t, from("home"), a, 50, now)
	if last := waits[len(waits)-1]; last != knownWait || waits[0] != 5*time.Second || len(waits) != 47 {
		t.Errorf("the owner waits %v", waits)
	}
	if v := from("home").Decide(a, now.AddDate(1, 0, 0)); v.Kind != Locked || v.Elsewhere {
		t.Errorf("after 100 failures: %+v", v)
	}
	a = Unlock(a)
	valid(t, a)
	for _, source := range []string{"home", "address 1"} {
		if v := from(source).Decide(a, now); v.Kind != Allowed || Failures(a) != 0 || len(a.Sources) != 1 {
			t.Errorf("unlocked, from %s: %+v, %+v", source, v, a)
		}
	}
}

func TestTheLockGoesByTheOdds(t *testing.T) {
	for _, c := range []struct {
		odds, lock       int
		known, strangers int
	}{
		{300, 100, 100, 50}, {600, 100, 50, 25}, {900, 100, 33, 16}, {100, 100, 100, 50}, {3, 100, 100, 50},
		{300, 20, 20, 10}, {900, 20, 20, 10}, {10_000, 100, 3, 1}, {15_000, 100, 2, 1}, {20_000, 100, 1, 1},
		{1_000_000, 100, 1, 1}, {300, 1, 1, 1}, {300, 2, 2, 1}, {0, 100, 100, 50}, {300, 0, 0, 0},
	} {
		for source, want := range map[string]int{"home": c.known, "away": c.strangers} {
			codes := Codes{Limits: Limits{Lock: c.lock}, Source: source, Odds: c.odds, Usual: c.odds}
			a, n := user(), 0
			for ; codes.Decide(a, start).Kind == Allowed; n++ {
				a = codes.Failed(a, start)
			}
			if n != want {
				t.Errorf("odds %d, lock %d, from %s: %d guesses, want %d", c.odds, c.lock, source, n, want)
			}
		}
	}
}

// What a guess was worth when it was made stays, whatever the account has later.
func TestOddsAreKept(t *testing.T) {
	c := Codes{Limits: Limits{Lock: 100}, Source: "home", Odds: 900, Usual: 300}
	a := user()
	for range 30 { // 27,000
		a = c.Failed(a, start)
	}
	c.Odds = 300
	n := 0
	for ; c.Decide(a, start).Kind == Allowed; n++ {
		a = c.Failed(a, start)
	}
	if n != 10 || a.Spent.Odds != OddsMax {
		t.Errorf("%d more guesses, odds %d", n, a.Spent.Odds)
	}
}

// A success forgives what its own login failed, and no guess of anybody else.
func TestASuccessForgivesItsLogin(t *testing.T) {
	for _, c := range []struct {
		name                       string
		away, home, failed         int
		source                     string
		left, odds, row, strangers int
	}{
		{"nothing", 0, 0, 0, "home", 0, 0, 0, 0},
		{"two of its own", 0, 2, 2, "home", 0, 0, 0, 0},
		{"one of two", 0, 2, 1, "home", 1, 300, 0, 0},
		{"a stranger's", 5, 0, 0, "home", 5, 1500, 0, 5},
		{"both", 5, 2, 2, "home", 5, 1500, 0, 5},
		{"of its own, away", 5, 0, 2, "away", 3, 900, 0, 3},
		{"away, where nothing failed", 0, 2, 0, "away", 2, 600, 2, 0},
		{"more than there are", 1, 0, 9, "away", 0, 0, 0, 0},
		{"less than nothing", 1, 0, -1, "away", 1, 300, 0, 1},
	} {
		a, now, _ := fail(t, from("away"), user(), c.away, start)
		a, now, _ = fail(t, from("home"), a, c.home, now)
		a = from(c.source).Succeeded(a, c.failed, now)
		valid(t, a)
		i := known(a, "home")
		if Failures(a) != c.left || a.Spent.Odds != c.odds || a.Sources[i].Failures != c.row || a.Strangers.Failures != c.strangers {
			t.Errorf("%s: %d failures, odds %d, row %d, strangers %d", c.name, Failures(a), a.Spent.Odds, a.Sources[i].Failures, a.Strangers.Failures)
		}
		if known(a, c.source) < 0 {
			t.Errorf("%s: %s isn't known after a success", c.name, c.source)
		}
	}
	clean, _ := json.Marshal(from("home").Succeeded(user(), 0, start))
	if strings.Contains(string(clean), "failures") || strings.Contains(string(clean), "spent") {
		t.Errorf("a success without failures leaves %s", clean)
	}
}

func TestYears(t *testing.T) {
	a, now, _ := fail(t, from("home"), user(), 7, start)
	for _, c := range []struct {
		after time.Duration
		left  int
	}{
		{0, 7}, {period - time.Hour, 7}, {period, 7}, {2*period - time.Hour, 7}, {2*period + time.Hour, 0},
	} {
		at := now.Add(c.after)
		a = from("home").Succeeded(a, 0, at)
		valid(t, a)
		if n := Failures(a); n != c.left || c.left == 0 && a.Spent != (account.Spent{}) {
			t.Errorf("%v later: %d failures, %+v", c.after, n, a.Spent)
		}
	}
	// Those of two years count together.
	a, now, _ = fail(t, from("away"), user(), 40, start)
	a = from("home").Succeeded(a, 0, now.Add(period))
	a, now, _ = fail(t, from("away"), a, 10, now.Add(period))
	if v := from("away").Decide(a, now); v.Kind != Locked || spent(a.Spent).total() != 15_000 {
		t.Errorf("40 of one year and 10 of the next: %v", v)
	}
	// A clock that was years ahead when a failure was counted doesn't keep it for years.
	a, _, _ = fail(t, from("home"), user(), 1, start.AddDate(10, 0, 0))
	for range 3 {
		a = from("home").Succeeded(a, 0, now)
		now = now.Add(period)
	}
	if Failures(a) != 0 {
		t.Errorf("%d failures of a wrong clock are kept", Failures(a))
	}
}

func TestRowOfStrangersEnds(t *testing.T) {
	a, now, _ := fail(t, from("away"), user(), 12, start)
	if v := from("other").Decide(a, now.Add(899*time.Second)); v.Kind != Wait {
		t.Errorf("in the wait: %v", v)
	}
	a, _, waits := fail(t, from("other"), a, 3, now.Add(24*time.Hour))
	if len(waits) != 0 || a.Strangers.Failures != 3 || Failures(a) != 15 {
		t.Errorf("a day later: waits %v, %+v", waits, a.Strangers)
	}
}

// A clock that is set never makes anyone wait longer than the wait was long, nor ends a lock.
func TestClockOfCodesMoves(t *testing.T) {
	a, now, _ := fail(t, from("away"), user(), 10, start)
	a, now, _ = fail(t, from("home"), a, 5, now)
	for _, source := range []string{"home", "away"} {
		for _, moved := range []time.Duration{-365 * 24 * time.Hour, -time.Hour, time.Hour, 365 * 24 * time.Hour} {
			if v := from(source).Decide(a, now.Add(moved)); v.Kind != Allowed {
				t.Errorf("from %s, moved by %v: %v", source, moved, v)
			}
		}
	}
}

func TestSources(t *testing.T) {
	a := user()
	for i := range 40 {
		a = Know(a, fmt.Sprint("address ", i), start.Add(time.Duration(i)*time.Second))
		a = Know(a, "home", start)
		valid(t, a)
	}
	if len(a.Sources) != account.SourcesMax || known(a, "home") < 0 || known(a, "address 39") < 0 || known(a, "address 8") >= 0 {
		t.Errorf("%d sources: %+v", len(a.Sources), a.Sources)
	}
	for _, source := range []string{"", "host " + strings.Repeat("x", 256), "host \xff", "host a\nb"} {
		b := Know(user(), source, start)
		valid(t, b)
		record, err := json.Marshal(b)
		var read account.Account
		if err != nil || json.Unmarshal(record, &read) != nil || known(read, source) < 0 || known(read, source+"x") >= 0 {
			t.Errorf("%.20q: %s, %v", source, record, err)
		}
	}
	// The whole list adds less to a record than a sector.
	long := account.Account{User: "alice"}
	for i := range account.SourcesMax {
		long = Know(long, fmt.Sprintf("2001:db8:%x::/64", i), start)
	}
	if record, _ := json.Marshal(long); len(record) > 2200 {
		t.Errorf("%d bytes", len(record))
	}
}

func TestRecoveryCodesAreLimitedByThemselves(t *testing.T) {
	now := start
	a := user()
	for i, want := range []time.Duration{0, 0, 5, 10, 20, 40, 60, 60} {
		a = from(fmt.Sprint("address ", i)).FailedRecovery(a, now)
		valid(t, a)
		v := from("another").DecideRecovery(a, now)
		if want *= time.Second; (v.Kind == Wait) != (want > 0) || want > 0 && v.Until.Sub(now) != want {
			t.Errorf("after %d: %v, want %v", i+1, v, want)
		}
		now = now.Add(want)
	}
	if Failures(a) != 0 || a.Strangers.Failures != 0 || from("another").Decide(a, now).Kind != Allowed {
		t.Errorf("%+v", a)
	}
	if v := from("home").DecideRecovery(a, start); v.Kind != Allowed {
		t.Errorf("the owner waits for strangers: %v", v)
	}
	if v := from("another").DecideRecovery(a, start.AddDate(10, 0, 0)); v.Kind != Allowed {
		t.Errorf("it is locked: %v", v)
	}
	// From a known source they are of its row.
	for range 20 {
		a = from("home").FailedRecovery(a, now)
	}
	if v := from("home").DecideRecovery(a, now); v.Kind != Wait || v.Until.Sub(now) != knownWait || Failures(a) != 0 {
		t.Errorf("%v", v)
	}
	if a = from("home").Succeeded(a, 0, now); a.WrongRecovery != (account.Attempts{}) || a.Sources[0].Failures != 0 {
		t.Errorf("%+v", a)
	}
}

// A record of before is as strict as it was, or stricter.
func TestRecordOfBefore(t *testing.T) {
	for _, c := range []struct {
		record string
		now    time.Time
		want   Verdict
	}{
		{`{"failures":2,"last":"2026-03-01T12:00:00Z"}`, start, Verdict{Kind: Allowed}},
		{`{"failures":6,"last":"2026-03-01T12:00:00Z"}`, start, Verdict{Kind: Wait, Until: start.Add(40 * time.Second)}},
		{`{"failures":6,"last":"2026-03-01T12:00:00Z"}`, start.Add(40 * time.Second), Verdict{Kind: Allowed}},
		{`{"failures":50,"last":"2026-03-01T12:00:00Z"}`, start.AddDate(1, 0, 0), Verdict{Kind: Locked}},
		{`{"failures":100,"last":"2026-03-01T12:00:00Z"}`, start.AddDate(1, 0, 0), Verdict{Kind: Locked}},
	} {
		var a account.Account
		if err := json.Unmarshal([]byte(`{"user":"alice","codes":`+c.record+`}`), &a); err != nil {
			t.Fatal(err)
		}
		valid(t, a)
		if v := from("home").Decide(a, c.now); !reflect.DeepEqual(v, c.want) {
			t.Errorf("%s: %+v, want %+v", c.record, v, c.want)
		}
		if c.want.Kind == Locked {
			continue
		}
		before := Failures(a)
		a = from("home").Failed(a, c.now)
		valid(t, a)
		if Failures(a) != before+1 || a.Spent.Odds != (before+1)*300 || a.Strangers.Failures != before+1 {
			t.Errorf("%s, one more: %+v", c.record, a)
		}
		a = from("home").Succeeded(a, 1, c.now)
		valid(t, a)
		if Failures(a) != before || a.Spent.Odds != before*300 {
			t.Errorf("%s, and a success: %+v", c.record, a)
		}
	}
}
