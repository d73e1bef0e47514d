package verify

import (
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/recovery"
)

func TestFirstCode(t *testing.T) {
	slow := phone()
	slow.Period = 60
	for _, c := range []struct {
		name string
		d    account.Device
		off  time.Duration
		want First
	}{
		{"now", phone(), 0, First{Kind: FirstConfirmed}},
		{"a step ago", phone(), -30 * time.Second, First{Kind: FirstConfirmed}},
		{"a step ahead", phone(), 30 * time.Second, First{Kind: FirstConfirmed}},
		{"a minute ago", phone(), -time.Minute, First{Kind: FirstExpired}},
		{"two minutes ago", phone(), -2 * time.Minute, First{Kind: FirstExpired}},
		{"two minutes ago, period 60", slow, -2 * time.Minute, First{Kind: FirstExpired}},
		{"a minute ahead", phone(), time.Minute, First{Kind: FirstClock, ClockOff: time.Minute}},
		{"150 s ago", phone(), -150 * time.Second, First{Kind: FirstClock, ClockOff: -150 * time.Second}},
		{"20 minutes ago", phone(), -20 * time.Minute, First{Kind: FirstClock, ClockOff: -20 * time.Minute}},
		{"20 minutes ahead", slow, 20 * time.Minute, First{Kind: FirstClock, ClockOff: 20 * time.Minute}},
		{"an hour ahead", phone(), time.Hour, First{Kind: FirstWrong}},
	} {
		got := FirstCode(c.d, seed, code(t, c.d, noon.Add(c.off)), 1, noon)
		if c.want.Kind == FirstConfirmed {
			c.want.Step = stepAt(c.d, noon.Add(c.off))
		}
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
	for _, typed := range []string{"", "12345", "12345678", "abcdef"} {
		if got := FirstCode(phone(), seed, typed, 1, noon); got.Kind != FirstMalformed {
			t.Errorf("%q: %+v", typed, got)
		}
	}
	if got := FirstCode(phone(), nil, "123456", 1, noon); got.Kind != FirstWrong {
		t.Errorf("no secret: %+v", got)
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{"", "123456", "123 456", "94287082", "１２３４５６", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		want, _ := codeAt(phone(), seed, stepAt(phone(), noon))
		_, out := judge(open, 0).Answer(alice(), typed, Login{}, noon)
		norm, kind := recovery.Normal(typed)
		if (out.Kind == Accepted) != (kind == recovery.Digits && norm == want) {
			t.Errorf("%q: %+v", typed, out)
		}
	})
}
