package verify

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

// play has a person type codes of the phone's clock, one after the other, each so long after noon; the phone
// is off by off. It returns the account and the last outcome.
func play(t *testing.T, acc account.Account, off time.Duration, at ...time.Duration) (account.Account, Outcome) {
	t.Helper()
	var out Outcome
	for _, since := range at {
		now := noon.Add(since)
		if acc, out = judge(open, 1).Answer(acc, code(t, phone(), now.Add(off)), Login{}, now); acc.Valid() != nil {
			t.Fatal(acc.Valid())
		}
	}
	return acc, out
}

func TestClockOff(t *testing.T) {
	const step = 30 * time.Second
	for _, c := range []struct {
		name    string
		off     time.Duration
		at      []time.Duration
		want    Kind
		clock   time.Duration
		drift   int
		waiting bool // for a successor
	}{
		{"4 minutes slow", -4 * time.Minute, []time.Duration{0}, Wrong, -4 * time.Minute, 0, true},
		{"4 minutes slow, and the next", -4 * time.Minute, []time.Duration{0, step}, Accepted, 0, -8, false},
		{"and the one after that", -4 * time.Minute, []time.Duration{0, 2 * step}, Accepted, 0, -8, false},
		{"and the same again", -4 * time.Minute, []time.Duration{0, 0}, Replayed, 0, 0, true},
		{"and one much later", -4 * time.Minute, []time.Duration{0, 3 * step}, Wrong, -4 * time.Minute, 0, true},
		{"and its next", -4 * time.Minute, []time.Duration{0, 3 * step, 4 * step}, Accepted, 0, -8, false},
		{"20 minutes fast", 20 * time.Minute, []time.Duration{0}, Wrong, 20 * time.Minute, 0, true},
		{"20 minutes fast, and the next", 20 * time.Minute, []time.Duration{0, step}, Accepted, 0, 40, false},
		{"21 minutes fast", 21 * time.Minute, []time.Duration{0, step}, Wrong, 0, 0, false},
		{"just expired", -2 * step, []time.Duration{0}, Wrong, 0, 0, true},
		{"a minute fast", 2 * step, []time.Duration{0}, Wrong, time.Minute, 0, true},
		{"resynchronised, a day later", -4 * time.Minute, []time.Duration{0, step, 24 * time.Hour}, Accepted, 0, -8, false},
	} {
		acc, out := play(t, alice(), c.off, c.at...)
		d := acc.Devices[0]
		if out.Kind != c.want || out.ClockOff != c.clock || d.Drift != c.drift || (d.Resync != nil) != c.waiting {
			t.Errorf("%s: %+v, drift %d, %+v", c.name, out, d.Drift, d.Resync)
		}
	}
	// The phone is set right again: two codes in a row.
	acc, _ := play(t, alice(), -4*time.Minute, 0, step)
	if acc, out := play(t, acc, 0, time.Hour); out.Kind != Wrong || out.ClockOff != 0 {
		t.Errorf("set right: %+v", out)
	} else if acc, out = play(t, acc, 0, time.Hour+step); out.Kind != Accepted || acc.Devices[0].Drift != 0 {
		t.Errorf("set right, the next code: %+v", out)
	}
	// In another login, and by another person: what waits is the account's.
	acc, _ = play(t, alice(), -4*time.Minute, 0)
	now := noon.Add(resyncTime + time.Second)
	next := code(t, phone(), noon.Add(-4*time.Minute+step))
	if _, out := judge(open, 1).Answer(acc, next, Login{}, now); out.Kind != Wrong {
		t.Errorf("the successor after %v: %+v", resyncTime, out)
	}
}

// What the person is told is of no use: the code that was right at another time is used up, also when its
// time comes, or when the clock is set to it.
func TestToldCodesAreUsedUp(t *testing.T) {
	for _, off := range []time.Duration{-15 * time.Minute, -time.Minute, time.Minute, 15 * time.Minute} {
		acc, out := play(t, alice(), off, 0)
		if out.Kind != Wrong {
			t.Fatalf("%v: %+v", off, out)
		}
		typed := code(t, phone(), noon.Add(off))
		if _, out := judge(open, 1).Answer(acc, typed, Login{}, noon.Add(off)); out.Kind != Replayed {
			t.Errorf("%v: at its own time: %+v", off, out)
		}
	}
}

// Codes of two devices that look alike elsewhere don't get in each other's way.
func TestOnlyTheDeviceThatShowedItWaits(t *testing.T) {
	acc := alice()
	second := phone()
	second.ID, second.Name, second.Sealed = "q", "tablet", []byte{2}
	acc.Devices = append(acc.Devices, second)
	secrets := func(d account.Device) ([]byte, error) { return append([]byte(d.ID), seed...), nil }
	typed, _ := codeAt(second, append([]byte("q"), seed...), stepAt(second, noon.Add(-4*time.Minute)))
	acc, out := judge(secrets, 1).Answer(acc, typed, Login{}, noon)
	if out.ClockOff == 0 || acc.Devices[0].Resync != nil || acc.Devices[1].Resync == nil {
		t.Errorf("%+v, %+v", out, acc.Devices)
	}
}

// A clock that goes wrong slowly is followed; people who are slow now and then are not.
func TestDriftIsLearnt(t *testing.T) {
	type login struct{ at, off time.Duration }
	run := func(logins []login) (int, int) {
		acc, refused := alice(), 0
		for _, l := range logins {
			now := noon.Add(l.at)
			var out Outcome
			acc, out = judge(open, 1).Answer(acc, code(t, phone(), now.Add(l.off)), Login{}, now)
			if out.Kind != Accepted {
				refused++
			}
		}
		return acc.Devices[0].Drift, refused
	}
	var slow, fast, late, far []login
	for i := range 800 {
		day := time.Duration(i) * 24 * time.Hour
		slow = append(slow, login{day, -time.Duration(i) * 300 * time.Millisecond})
		fast = append(fast, login{day, time.Duration(i) * 300 * time.Millisecond})
		far = append(far, login{day, -time.Duration(i) * time.Second})
		late = append(late, login{day, -time.Duration(i%3/2) * 30 * time.Second})
	}
	if drift, refused := run(slow); drift != -8 || refused > 0 {
		t.Errorf("4 minutes slow after two years: drift %d, %d refused", drift, refused)
	}
	if drift, refused := run(fast); drift != 7 || refused > 0 {
		t.Errorf("4 minutes fast after two years: drift %d, %d refused", drift, refused)
	}
	if drift, refused := run(late); drift != 0 || refused > 0 {
		t.Errorf("every third code is typed late: drift %d, %d refused", drift, refused)
	}
	if drift, _ := run(far); drift != -10 {
		t.Errorf("13 minutes slow after two years: drift %d", drift)
	}
}

// Days of a person's logins while the host's clock is set wrong and right again, over and over. Nobody is
// locked out: a third code in a row at the latest gets in. Nothing gets in twice.
func TestTheHostsClockJumps(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	acc := alice()
	var used []string
	var off time.Duration // of the host
	worst := 0
	for login := range 100 {
		if random.IntN(10) == 0 {
			off = []time.Duration{0, -12 * time.Minute, 12 * time.Minute, time.Minute, -3 * time.Minute}[random.IntN(5)]
		}
		right := noon.Add(time.Duration(login) * 40 * time.Minute)
		for try := 1; ; try++ {
			now := right.Add(off)
			typed := code(t, phone(), right)
			var out Outcome
			acc, out = judge(open, 1).Answer(acc, typed, Login{Source: "local", Failed: try - 1}, now)
			if err := acc.Valid(); err != nil {
				t.Fatal(err)
			}
			if out.Kind == Accepted {
				used = append(used, typed)
				worst = max(worst, try)
				break
			}
			if try == 3 {
				t.Fatalf("login %d, the host's clock is off by %v: %+v, drift %d", login, off, out, acc.Devices[0].Drift)
			}
			right = right.Add(30 * time.Second)
		}
		for _, typed := range used[max(0, len(used)-8):] {
			for _, at := range []time.Duration{off, 0, -40 * time.Minute, 12 * time.Minute} {
				if _, out := judge(open, 1).Answer(acc, typed, Login{}, right.Add(at)); out.Kind == Accepted {
					t.Fatalf("login %d: a used code is accepted", login)
				}
			}
		}
	}
	if worst != 2 {
		t.Errorf("%d codes were needed", worst)
	}
}

// The odds that are counted are those that there are: as many codes of a million are accepted.
func TestOdds(t *testing.T) {
	two := alice()
	second := eventToken()
	second.Counter = 3
	two.Devices = append(two.Devices, second)
	resync, _ := play(t, alice(), -10*time.Minute, 0)
	eight := phone()
	eight.Digits = 8
	long := account.Account{User: "carol", Devices: []account.Device{eight}, Recovery: []account.Recovery{{Hash: hash("", "x"), Short: true}}}
	for _, c := range []struct {
		name  string
		acc   account.Account
		skew  int
		codes int // of the digits that the first device shows
		odds  int
	}{
		{"a phone", alice(), 1, 3, 300}, {"no skew", alice(), 0, 1, 100}, {"more skew", alice(), 5, 11, 1100},
		{"a token", bob(3), 1, 6, 600}, {"both", two, 1, 9, 900}, {"waiting for a successor", resync, 1, 5, 500},
		{"8 digits, and a short recovery code", long, 1, 3, 4},
	} {
		odds, usual := judge(open, c.skew).odds(c.acc, noon)
		if odds != c.odds || (usual == odds) == (c.name == "waiting for a successor") {
			t.Errorf("%s: %d, %d, want %d", c.name, odds, usual, c.odds)
		}
		var accepted []string
		for _, d := range c.acc.Devices {
			for _, step := range append(counters(d, -2, 12), steps(d, 0, 30, noon)...) {
				typed, _ := codeAt(d, seed, step)
				if _, out := judge(open, c.skew).Answer(c.acc, typed, Login{}, noon); out.Kind == Accepted && !slices.Contains(accepted, typed) {
					accepted = append(accepted, typed)
				}
			}
		}
		if len(accepted) != c.codes {
			t.Errorf("%s: %d codes are accepted, want %d", c.name, len(accepted), c.codes)
		}
	}
}

// An odd record lets nobody in and breaks nothing.
func TestOddDrift(t *testing.T) {
	for _, drift := range []int{-1 << 62, -1000, 1000, 1 << 62} {
		acc := alice()
		acc.Devices[0].Drift = drift
		if _, out := judge(open, 1).Answer(acc, code(t, phone(), noon), Login{}, noon); out.Kind != Wrong {
			t.Errorf("%s: %+v", fmt.Sprint(drift), out)
		}
	}
}
