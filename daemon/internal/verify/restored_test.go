package verify

import (
	"bytes"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

// Whatever may have been used before the moment of a restoration is not good after it; the next code is.
func TestRestored(t *testing.T) {
	hash := bytes.Repeat([]byte{1}, account.HashSize)
	for _, drift := range []int{0, -3} {
		acc := alice()
		acc.Repeats = []account.Repeat{{Mark: hash, Hash: hash, At: noon}}
		acc.Devices[0].Used = []int64{1, 2, 3}
		acc.Devices[0].Drift = drift
		acc.Devices[0].Recent = []account.Recent{{Step: 3, Mark: make([]byte, account.MarkSize), At: noon}}
		acc.Devices = append(acc.Devices, account.Device{ID: "h", Name: "token", Digits: 6, Algorithm: account.SHA1, Kind: account.HOTP, Sealed: []byte{1}, Counter: 7})
		acc.Recovery = []account.Recovery{{Hash: hash}}
		acc.Bypass = []account.Bypass{{ID: "1", Hash: hash, Uses: 1, Expires: noon}}
		acc.Remembered = []account.Remembered{{Hash: hash, Expires: noon}}
		acc.Grace = []account.Grace{{Hash: hash, Expires: noon}}
		acc.Pending = &account.Pending{Device: phone(), Expires: noon}
		after := Restored(acc, 1, noon)
		if err := after.Valid(); err != nil {
			t.Fatal(err)
		}
		if len(after.Recovery) != 1 || after.Bypass != nil || after.Remembered != nil || after.Grace != nil || after.Pending != nil || after.Repeats != nil {
			t.Errorf("%+v", after)
		}
		if len(acc.Devices[0].Used) != 3 || acc.Devices[0].Recent == nil {
			t.Error("the account given is changed")
		}
		if d := after.Devices[1]; d.Counter != 7 || d.Used != nil {
			t.Errorf("%+v", d)
		}
		used := map[int64]bool{}
		for _, s := range after.Devices[0].Used {
			used[s] = true
		}
		present := noon.Unix()/30 + int64(drift)
		for s := present - 40; s <= present+1; s++ {
			if !used[s] {
				t.Errorf("drift %d: step %d of the present one is good", drift, s-present)
			}
		}
		if used[present+2] || !used[3] {
			t.Errorf("drift %d: %v", drift, after.Devices[0].Used)
		}
		if drift != 0 {
			continue
		}
		for _, c := range []struct {
			off  time.Duration
			want Kind
		}{{-30 * time.Second, Replayed}, {0, Replayed}, {30 * time.Second, Replayed}} {
			if _, out := judge(open, 1).Answer(after, code(t, phone(), noon.Add(c.off)), Login{}, noon); out.Kind != c.want {
				t.Errorf("code of %v: %+v", c.off, out)
			}
		}
		soon := noon.Add(time.Minute)
		if _, out := judge(open, 1).Answer(after, code(t, phone(), soon), Login{}, soon); out.Kind != Accepted {
			t.Errorf("the code of a minute later: %+v", out)
		}
	}
}
