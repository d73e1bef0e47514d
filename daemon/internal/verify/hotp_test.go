package verify

import (
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

func eventToken() account.Device {
	return account.Device{ID: "t", Name: "token", Digits: 6, Kind: account.HOTP, Algorithm: account.SHA1, Sealed: []byte{1}}
}

func bob(counter int64) account.Account {
	d := eventToken()
	d.Counter = counter
	return account.Account{User: "bob", Devices: []account.Device{d}}
}

// event is what the token shows at a counter.
func event(t *testing.T, counter int64) string {
	t.Helper()
	c, err := codeAt(eventToken(), seed, counter)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// RFC 4226, appendix D.
func TestVectorsOfRFC4226(t *testing.T) {
	for counter, want := range []string{
		"755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489",
	} {
		acc, out := judge(open, 0).Answer(bob(int64(counter)), want, Login{}, noon)
		if out.Kind != Accepted || out.Step != int64(counter) || acc.Devices[0].Counter != int64(counter)+1 {
			t.Errorf("counter %d: %+v", counter, out)
		}
		if err := acc.Valid(); err != nil {
			t.Error(err)
		}
	}
}

// RFC 4226 §7.2 and §7.4: codes pressed in vain are passed over; further ahead, two in a row are wanted.
func TestCounters(t *testing.T) {
	for _, c := range []struct {
		name   string
		typed  []int64
		after  time.Duration // before the last
		want   Kind          // of the last
		counts int           // failures after it
	}{
		{"the next", []int64{10}, 0, Accepted, 0},
		{"the last of the look-ahead", []int64{15}, 0, Accepted, 0},
		{"beyond it", []int64{16}, 0, Wrong, 1},
		{"one before", []int64{9}, 0, Wrong, 1},
		{"twice", []int64{10, 10}, 0, Replayed, 0},
		{"one passed over", []int64{12, 11}, 0, Wrong, 1},
		{"two in a row", []int64{50, 51}, 0, Accepted, 1},
		{"two at the end", []int64{110, 111}, 0, Accepted, 1},
		{"too far ahead", []int64{111, 112}, 0, Wrong, 2},
		{"not in a row", []int64{50, 52}, 0, Wrong, 2},
		{"not in a row, but then", []int64{50, 52, 53}, 0, Accepted, 2},
		{"the same twice", []int64{50, 50}, 0, Wrong, 2},
		{"backwards", []int64{51, 50}, 0, Wrong, 2},
		{"the second much later", []int64{50, 51}, resyncTime + time.Second, Wrong, 2},
		{"two of before", []int64{3, 4}, 0, Wrong, 2},
		{"a right one between", []int64{50, 10, 51}, 0, Wrong, 2},
	} {
		acc, now := bob(10), noon
		var out Outcome
		for i, counter := range c.typed {
			if i == len(c.typed)-1 {
				now = now.Add(c.after)
			}
			acc, out = judge(open, 0).Answer(acc, event(t, counter), Login{}, now)
			if err := acc.Valid(); err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
		}
		last := c.typed[len(c.typed)-1]
		if out.Kind != c.want || acc.Codes.Failures != c.counts || out.ClockOff != 0 {
			t.Errorf("%s: %+v, %d failures", c.name, out, acc.Codes.Failures)
		}
		if d := acc.Devices[0]; out.Kind == Accepted && (d.Counter != last+1 || d.Resync != nil || !d.LastUsed.Equal(now)) {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
}
