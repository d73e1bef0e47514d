package verify

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

var (
	limits = throttle.Limits{Free: 3, FirstWait: 5 * time.Second, LongestWait: 900 * time.Second, Lock: 100}
	noon   = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	seed   = []byte("12345678901234567890")
)

func phone() account.Device {
	return account.Device{ID: "p", Name: "phone", Digits: 6, Period: 30, Algorithm: account.SHA1, Sealed: []byte{1}}
}

func alice() account.Account {
	return account.Account{User: "alice", Devices: []account.Device{phone()}}
}

func open(account.Device) ([]byte, error) { return seed, nil }

func hash(purpose, text string) []byte {
	sum := sha256.Sum256([]byte(purpose + "/" + text))
	return sum[:]
}

func judge(open func(account.Device) ([]byte, error), skew int) Judge {
	return Judge{Open: open, Hash: hash, Skew: skew, Limits: limits}
}

func code(t *testing.T, d account.Device, at time.Time) string {
	t.Helper()
	c, err := codeAt(d, seed, stepAt(d, at))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// RFC 6238, appendix B, with the seeds of its reference implementation (errata 2866).
func TestVectorsOfRFC6238(t *testing.T) {
	seeds := map[account.Algorithm]string{
		account.SHA1:   "12345678901234567890",
		account.SHA256: "12345678901234567890123456789012",
		account.SHA512: "1234567890123456789012345678901234567890123456789012345678901234",
	}
	for _, v := range []struct {
		unix int64
		code map[account.Algorithm]string
	}{
		{59, map[account.Algorithm]string{account.SHA1: "94287082", account.SHA256: "46119246", account.SHA512: "90693936"}},
		{1111111109, map[account.Algorithm]string{account.SHA1: "07081804", account.SHA256: "68084774", account.SHA512: "25091201"}},
		{1111111111, map[account.Algorithm]string{account.SHA1: "14050471", account.SHA256: "67062674", account.SHA512: "99943326"}},
		{1234567890, map[account.Algorithm]string{account.SHA1: "89005924", account.SHA256: "91819424", account.SHA512: "93441116"}},
		{2000000000, map[account.Algorithm]string{account.SHA1: "69279037", account.SHA256: "90698825", account.SHA512: "38618901"}},
		{20000000000, map[account.Algorithm]string{account.SHA1: "65353130", account.SHA256: "77737706", account.SHA512: "47863826"}},
	} {
		for algorithm, want := range v.code {
			d := account.Device{ID: "t", Name: "token", Digits: 8, Period: 30, Algorithm: algorithm, Sealed: []byte{1}}
			acc := account.Account{User: "alice", Devices: []account.Device{d}}
			secret := func(account.Device) ([]byte, error) { return []byte(seeds[algorithm]), nil }
			_, out := judge(secret, 0).Answer(acc, want, Login{}, time.Unix(v.unix, 0))
			if out.Kind != Accepted || out.Step != v.unix/30 || out.Device != "token" {
				t.Errorf("%s at %d: %+v", algorithm, v.unix, out)
			}
			if first := FirstCode(d, []byte(seeds[algorithm]), want, 0, time.Unix(v.unix, 0)); first.Kind != FirstConfirmed {
				t.Errorf("%s at %d: first code %+v", algorithm, v.unix, first)
			}
		}
	}
}

func TestSkew(t *testing.T) {
	for _, c := range []struct {
		skew, offset int
		want         Kind
	}{
		{0, 0, Accepted}, {0, 1, Wrong}, {0, -1, Wrong},
		{1, 1, Accepted}, {1, -1, Accepted}, {1, 2, Wrong}, {1, -2, Wrong},
		{-5, 0, Wrong}, {1000, SkewMax, Accepted}, {1000, SkewMax + 1, Wrong}, {1000, -SkewMax - 1, Wrong},
	} {
		typed := code(t, phone(), noon.Add(time.Duration(c.offset)*30*time.Second))
		if _, out := judge(open, c.skew).Answer(alice(), typed, Login{}, noon); out.Kind != c.want {
			t.Errorf("skew %d, code %d steps off: %d, want %d", c.skew, c.offset, out.Kind, c.want)
		}
	}
}

func TestWhatPeopleType(t *testing.T) {
	right := code(t, phone(), noon)
	for typed, want := range map[string]Kind{
		right:                                Accepted,
		right[:3] + " " + right[3:]:          Accepted,
		right[:3] + "-" + right[3:]:          Accepted,
		" " + right + " ":                    Accepted,
		"":                                   Malformed,
		" ":                                  Malformed,
		right[:5]:                            Malformed,
		right + "0":                          Malformed,
		"00" + right:                         Malformed, // 8 digits, and the phone shows 6
		right + "\n":                         Malformed,
		right[:5] + "x":                      Malformed,
		"+" + right[1:]:                      Malformed,
		right[:5] + "٣":                      Malformed, // a digit, but not ASCII
		"１２３４５６":                             Malformed,
		right + strings.Repeat(" ", 60):      Malformed,
		strings.Repeat("0", 512):             Malformed,
		strings.Repeat("\xff", 6):            Malformed,
		right[:3] + "\u00a0" + right[3:]:     Accepted, // as an app copies it
		right[:5] + string('0'+'9'-right[5]): Wrong,
	} {
		after, out := judge(open, 0).Answer(alice(), typed, Login{}, noon)
		if out.Kind != want {
			t.Errorf("%q: %d, want %d", typed, out.Kind, want)
		}
		if failed := after.Codes.Failures == 1; failed != (want == Wrong) {
			t.Errorf("%q: %d failures", typed, after.Codes.Failures)
		}
	}
}

func TestACodeOnce(t *testing.T) {
	typed := code(t, phone(), noon)
	before := alice()
	after, out := judge(open, 1).Answer(before, typed, Login{}, noon)
	if out.Kind != Accepted || len(after.Devices[0].Used) != 1 || !after.Devices[0].LastUsed.Equal(noon) {
		t.Fatalf("%+v, %+v", out, after)
	}
	if len(before.Devices[0].Used) != 0 {
		t.Error("the account that was judged changed too")
	}
	for _, later := range []time.Duration{0, 10 * time.Second, 30 * time.Second, -30 * time.Second} {
		again, out := judge(open, 1).Answer(after, typed, Login{}, noon.Add(later))
		if out.Kind != Replayed || again.Codes.Failures != 0 {
			t.Errorf("the same code %v later: %+v, %d failures", later, out, again.Codes.Failures)
		}
	}
	// An earlier code of the window is still good: it was never used.
	if _, out := judge(open, 1).Answer(after, code(t, phone(), noon.Add(-30*time.Second)), Login{}, noon); out.Kind != Accepted {
		t.Errorf("the code before the used one: %+v", out)
	}
}

// A host whose clock was a year ahead and is right again: nobody is locked out, nothing used can be
// used again, neither now nor when that year has passed.
func TestClockWrongThenRight(t *testing.T) {
	ahead := noon.AddDate(1, 0, 0)
	acc := alice()
	var out Outcome
	for _, at := range []time.Time{noon, ahead, noon.Add(time.Minute)} {
		if acc, out = judge(open, 1).Answer(acc, code(t, phone(), at), Login{}, at); out.Kind != Accepted {
			t.Fatalf("at %v: %+v", at, out)
		}
	}
	for _, at := range []time.Time{noon, ahead, noon.Add(time.Minute)} {
		if _, out := judge(open, 1).Answer(acc, code(t, phone(), at), Login{}, at); out.Kind != Replayed {
			t.Errorf("again at %v: %+v", at, out)
		}
	}
}

func TestUsedStepsAreDroppedOldestUseFirst(t *testing.T) {
	acc := alice()
	future := noon.AddDate(10, 0, 0)
	at := []time.Time{future} // the highest step, used first
	for i := range account.UsedMax - 1 {
		at = append(at, noon.Add(time.Duration(i)*30*time.Second))
	}
	use := func(at time.Time) Kind {
		var out Outcome
		acc, out = judge(open, 0).Answer(acc, code(t, phone(), at), Login{}, at)
		if err := acc.Valid(); err != nil {
			t.Fatal(err)
		}
		return out.Kind
	}
	for _, when := range at {
		if k := use(when); k != Accepted {
			t.Fatalf("at %v: %d", when, k)
		}
	}
	for _, when := range at {
		if k := use(when); k != Replayed {
			t.Fatalf("again at %v: %d", when, k)
		}
	}
	if k := use(noon.Add(-time.Hour)); k != Accepted {
		t.Fatalf("one more: %d", k)
	}
	if n := len(acc.Devices[0].Used); n != account.UsedMax {
		t.Errorf("%d used steps, want %d", n, account.UsedMax)
	}
	for _, when := range at[1:] {
		if k := use(when); k != Replayed {
			t.Errorf("after the oldest was dropped, again at %v: %d", when, k)
		}
	}
}

func TestNothingIsJudgedDuringAWait(t *testing.T) {
	acc := alice()
	right := code(t, phone(), noon)
	wrong := right[:5] + string('0'+'9'-right[5])
	var out Outcome
	for i := range 3 {
		if acc, out = judge(open, 0).Answer(acc, wrong, Login{}, noon); out.Kind != Wrong || acc.Codes.Failures != i+1 {
			t.Fatalf("failure %d: %+v", i+1, out)
		}
	}
	if !out.Until.Equal(noon.Add(5 * time.Second)) {
		t.Errorf("the third failure lets wait until %v", out.Until)
	}
	for _, typed := range []string{right, wrong, ""} {
		after, out := judge(open, 0).Answer(acc, typed, Login{}, noon.Add(4*time.Second))
		if out.Kind != Waiting || fmt.Sprint(after) != fmt.Sprint(acc) {
			t.Errorf("%q during the wait: %+v, %+v", typed, out, after)
		}
	}
	if acc, out = judge(open, 0).Answer(acc, right, Login{Failed: 3}, noon.Add(5*time.Second)); out.Kind != Accepted || acc.Codes.Failures != 0 {
		t.Errorf("after the wait: %+v, %d failures", out, acc.Codes.Failures)
	}
}

// From where the user never logged in, the second half of the guesses isn't judged.
func TestFailuresLock(t *testing.T) {
	right := code(t, phone(), noon)
	wrong := right[:5] + string('0'+'9'-right[5])
	year := noon.AddDate(1, 0, 0)
	for _, c := range []struct {
		source   string
		failures int
	}{{"192.0.2.7", 49}, {"local", 99}} {
		acc := throttle.Know(alice(), "local", noon)
		acc.Codes = account.Attempts{Failures: c.failures, Last: noon.Add(-time.Hour)}
		login := Login{Source: c.source}
		acc, out := judge(open, 1).Answer(acc, wrong, login, noon)
		if out.Kind != Wrong || !out.Locks || out.Elsewhere != (c.failures < 99) {
			t.Fatalf("failure %d: %+v", c.failures+1, out)
		}
		if _, out = judge(open, 1).Answer(acc, code(t, phone(), year), login, year); out.Kind != Locked {
			t.Errorf("a right code a year later: %+v", out)
		}
		if _, out := judge(open, 1).Answer(acc, code(t, phone(), year), Login{Source: "local"}, year); (out.Kind == Accepted) != (c.failures < 99) {
			t.Errorf("from where the user logs in: %+v", out)
		}
	}
}

func TestSecretsThatDoNotOpen(t *testing.T) {
	typed := code(t, phone(), noon)
	broken := errors.New("sealed with another key")
	for name, secrets := range map[string]func(account.Device) ([]byte, error){
		"error": func(account.Device) ([]byte, error) { return nil, broken },
		"empty": func(account.Device) ([]byte, error) { return nil, nil },
		"one of two": func(d account.Device) ([]byte, error) {
			if d.ID == "p" {
				return seed, nil
			}
			return nil, broken
		},
	} {
		acc := alice()
		second := phone()
		second.ID, second.Name = "q", "token"
		acc.Devices = append(acc.Devices, second)
		after, out := judge(secrets, 1).Answer(acc, typed, Login{}, noon)
		if out.Kind != BrokenSecret || out.Err == nil || fmt.Sprint(after) != fmt.Sprint(acc) {
			t.Errorf("%s: %+v", name, out)
		}
	}
}

func TestDevicesOfTwoKinds(t *testing.T) {
	acc := alice()
	token := account.Device{ID: "t", Name: "token", Digits: 8, Period: 60, Algorithm: account.SHA256, Sealed: []byte{1}}
	acc.Devices = append(acc.Devices, token)
	for _, d := range acc.Devices {
		if _, out := judge(open, 1).Answer(acc, code(t, d, noon), Login{}, noon); out.Kind != Accepted || out.Device != d.Name {
			t.Errorf("%s: %+v", d.Name, out)
		}
	}
}

func TestNobodyGetsInOnAnOddRecord(t *testing.T) {
	for name, change := range map[string]func(*account.Device){
		"no digits":         func(d *account.Device) { d.Digits = 0 },
		"no period":         func(d *account.Device) { d.Period = 0 },
		"unknown algorithm": func(d *account.Device) { d.Algorithm = "MD5" },
	} {
		acc := alice()
		change(&acc.Devices[0])
		for _, typed := range []string{"", "0", "000000", code(t, phone(), noon)} {
			if _, out := judge(open, 1).Answer(acc, typed, Login{}, noon); out.Kind == Accepted {
				t.Errorf("%s: %q was accepted", name, typed)
			}
			if first := FirstCode(acc.Devices[0], seed, typed, 1, noon); first.Kind == FirstConfirmed {
				t.Errorf("%s: %q was confirmed", name, typed)
			}
		}
	}
	if _, out := judge(open, 1).Answer(account.Account{User: "alice"}, "", Login{}, noon); out.Kind != NotEnrolled {
		t.Errorf("not enrolled: %+v", out)
	}
	before1970 := time.Unix(-30, 0)
	if _, out := judge(open, 1).Answer(alice(), "000000", Login{}, before1970); out.Kind != Wrong {
		t.Errorf("before 1970: %+v", out)
	}
}
