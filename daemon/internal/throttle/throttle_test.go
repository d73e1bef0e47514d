package throttle

import (
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

var (
	limits = Limits{Free: 3, FirstWait: 5 * time.Second, LongestWait: 900 * time.Second, Lock: 100}
	start  = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
)

func TestWaitsGrow(t *testing.T) {
	for _, c := range []struct {
		failures int
		want     time.Duration
	}{
		{0, 0}, {1, 0}, {2, 0}, {3, 5 * time.Second}, {4, 10 * time.Second}, {5, 20 * time.Second},
		{6, 40 * time.Second}, {7, 80 * time.Second}, {8, 160 * time.Second}, {9, 320 * time.Second},
		{10, 640 * time.Second}, {11, 900 * time.Second}, {12, 900 * time.Second}, {99, 900 * time.Second},
	} {
		a := account.Attempts{Failures: c.failures, Last: start}
		v := Decide(limits, a, start)
		if c.want == 0 {
			if v.Kind != Allowed {
				t.Errorf("after %d failures: %v, want allowed", c.failures, v)
			}
			continue
		}
		if v.Kind != Wait || !v.Until.Equal(start.Add(c.want)) {
			t.Errorf("after %d failures: %v, want a wait of %v", c.failures, v, c.want)
		}
		if v := Decide(limits, a, start.Add(c.want-1)); v.Kind != Wait {
			t.Errorf("after %d failures, a nanosecond early: %v", c.failures, v)
		}
		if v := Decide(limits, a, start.Add(c.want)); v.Kind != Allowed {
			t.Errorf("after %d failures and their wait: %v", c.failures, v)
		}
	}
}

func TestLock(t *testing.T) {
	a, now := account.Attempts{}, start
	for range 100 {
		if v := Decide(limits, a, now); v.Kind == Locked {
			t.Fatalf("locked after %d failures", a.Failures)
		} else if v.Kind == Wait {
			now = v.Until
		}
		a = Failed(limits, a, now)
	}
	for _, later := range []time.Duration{0, time.Hour, 10 * 365 * 24 * time.Hour, -time.Hour} {
		if v := Decide(limits, a, now.Add(later)); v.Kind != Locked {
			t.Errorf("%v after failure 100: %v, want locked", later, v)
		}
	}
	if took := now.Sub(start); took < 20*time.Hour {
		t.Errorf("100 guesses take %v, want most of a day", took)
	}
}

// A clock that is set back never makes anyone wait longer than the wait was long.
func TestClockMoves(t *testing.T) {
	a := account.Attempts{Failures: 6, Last: start} // 40 s
	for _, c := range []struct {
		name string
		now  time.Time
		want Kind
	}{
		{"set back by a year", start.AddDate(-1, 0, 0), Allowed},
		{"set back by a minute", start.Add(-time.Minute), Allowed},
		{"set back by 2 s", start.Add(-2 * time.Second), Allowed},
		{"another reading of the same time", start.Add(-time.Millisecond), Wait},
		{"set forward by an hour", start.Add(time.Hour), Allowed},
	} {
		v := Decide(limits, a, c.now)
		if v.Kind != c.want {
			t.Errorf("%s: %v, want %v", c.name, v.Kind, c.want)
		}
		if v.Kind == Wait && v.Until.Sub(c.now) > 40*time.Second {
			t.Errorf("%s: told to wait %v, the wait is 40 s", c.name, v.Until.Sub(c.now))
		}
	}
	// The guess that a clock set back allows begins the next wait.
	back := start.Add(-time.Hour)
	a = Failed(limits, a, back)
	if v := Decide(limits, a, back.Add(79*time.Second)); v.Kind != Wait {
		t.Errorf("after a failure at the earlier time: %v, want a wait", v.Kind)
	}
}

func TestOddLimits(t *testing.T) {
	failed := account.Attempts{Failures: 1, Last: start}
	for _, c := range []struct {
		name string
		l    Limits
		a    account.Attempts
		want Kind
	}{
		{"zero limits lock", Limits{}, account.Attempts{}, Locked},
		{"no free failure, none yet", Limits{FirstWait: time.Second, LongestWait: time.Minute, Lock: 9}, account.Attempts{}, Allowed},
		{"no free failure", Limits{FirstWait: time.Second, LongestWait: time.Minute, Lock: 9}, failed, Wait},
		{"first wait above the longest", Limits{Free: 1, FirstWait: time.Hour, LongestWait: time.Second, Lock: 9}, failed, Wait},
	} {
		v := Decide(c.l, c.a, start)
		if v.Kind != c.want || v.Until.Sub(start) > c.l.LongestWait && v.Kind == Wait {
			t.Errorf("%s: %v", c.name, v)
		}
	}
	long := Limits{Free: 1, FirstWait: time.Second, LongestWait: 1 << 62, Lock: 1 << 30}
	if v := Decide(long, account.Attempts{Failures: 1 << 29, Last: start}, start); v.Kind != Wait || v.Until.Before(start) {
		t.Errorf("a long wait overflows: %v", v)
	}
}

func TestFailedCountsAndKeepsTheTime(t *testing.T) {
	a := Failed(limits, account.Attempts{Failures: 4}, start)
	if a.Failures != 5 || !a.Last.Equal(start) {
		t.Errorf("got %+v", a)
	}
}
