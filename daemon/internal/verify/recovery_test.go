package verify

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/recovery"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

const (
	first, second = "7K3MQ2NDZX09", "ABCDEFGHJKMN"
	short         = "12345678"
	helpdesk      = "QWERTYPASD"
)

// carol has a phone, three recovery codes, one of them short, and a bypass code for two logins.
func carol() account.Account {
	acc := alice()
	for _, text := range []string{first, second, short} {
		acc.Recovery = append(acc.Recovery, account.Recovery{Hash: hash(account.PurposeRecovery, text), Short: text == short})
	}
	acc.Bypass = []account.Bypass{{
		ID: "1", Hash: hash(account.PurposeBypass, helpdesk), By: "0", Made: noon, Expires: noon.Add(time.Hour), Uses: 2,
	}}
	acc.Remembered = []account.Remembered{{Hash: hash("computer", "x"), Name: "x", Since: noon, Expires: noon.Add(time.Hour)}}
	acc.Grace = []account.Grace{{Hash: hash("grace", "x"), Expires: noon.Add(time.Hour)}}
	return acc
}

func TestRecoveryCodes(t *testing.T) {
	acc := carol()
	acc.Devices[0].Digits = 8 // so that a short one is typed as its code is
	for i, typed := range []string{"7k3m-q2nd zxo9", second, " 1234 5678"} {
		before := fmt.Sprintf("%+v", acc)
		after, out := judge(open, 1).Answer(acc, typed, Login{}, noon)
		if fmt.Sprintf("%+v", acc) != before {
			t.Error("the account that was judged changed too")
		}
		if out.Kind != Accepted || out.Way != RecoveryCode || out.Left != 2-i || len(after.Recovery) != 2-i {
			t.Errorf("%q: %+v", typed, out)
		}
		if err := after.Valid(); err != nil || len(after.Remembered)+len(after.Grace) != 0 || len(after.Bypass) != 1 {
			t.Errorf("%q: %+v, %v", typed, after, err)
		}
		if _, out = judge(open, 1).Answer(after, typed, Login{}, noon); out.Kind == Accepted || out.Kind == Repeated {
			t.Errorf("%q again: %+v", typed, out)
		}
		acc = after
	}
	// What is none is counted by itself, and is told from what can't be one.
	acc = carol()
	after, out := judge(open, 1).Answer(acc, "7K3M-Q2ND-ZX08", Login{}, noon)
	if out.Kind != Wrong || out.Way != RecoveryCode || out.Counted != 0 || throttle.Failures(after) != 0 || after.WrongRecovery.Failures != 1 {
		t.Errorf("a wrong one: %+v, %+v", out, after)
	}
	if _, out = judge(open, 1).Answer(alice(), first, Login{}, noon); out.Kind != Malformed {
		t.Errorf("of somebody without any: %+v", out)
	}
	// A long one that looks like the short one, and the other way round, aren't each other.
	acc.Recovery[0].Short = true
	if _, out = judge(open, 1).Answer(acc, first, Login{}, noon); out.Kind != Wrong {
		t.Errorf("%+v", out)
	}
}

func TestShortRecoveryCodesAreGuesses(t *testing.T) {
	acc := carol()
	after, out := judge(open, 1).Answer(acc, "87654321", Login{Source: "192.0.2.7"}, noon)
	if out.Kind != Wrong || out.Counted != 1 || after.Codes.Failures != 1 {
		t.Errorf("%+v, %+v", out, after)
	}
	acc.Codes = account.Attempts{Failures: 100, Last: noon}
	if _, out = judge(open, 1).Answer(acc, short, Login{}, noon); out.Kind != Locked {
		t.Errorf("during a lock: %+v", out)
	}
}

func TestBypassCodes(t *testing.T) {
	acc := carol()
	for i, want := range []Kind{Accepted, Accepted, Malformed} {
		var out Outcome
		acc, out = judge(open, 1).Answer(acc, "qwert-ypasd", Login{}, noon)
		if out.Kind != want || out.Kind == Accepted && out.Way != BypassCode {
			t.Errorf("use %d: %+v", i+1, out)
		}
		if err := acc.Valid(); err != nil || len(acc.Devices[0].Used) != 0 || len(acc.Remembered) != 1 || len(acc.Recovery) != 3 {
			t.Errorf("use %d: %+v, %v", i+1, acc, err)
		}
	}
	for after, want := range map[time.Duration]Kind{time.Hour - time.Second: Accepted, time.Hour: Wrong} {
		changed, out := judge(open, 1).Answer(carol(), helpdesk, Login{}, noon.Add(after))
		if out.Kind != want || (len(changed.Bypass) == 0) != (want == Wrong) {
			t.Errorf("%v after it was made: %+v, %+v", after, out, changed.Bypass)
		}
	}
	if _, out := judge(open, 1).Answer(carol(), "QWERTYPASE", Login{}, noon); out.Kind != Wrong || out.Way != BypassCode || out.Counted != 0 {
		t.Errorf("a wrong one: %+v", out)
	}
	// Also of somebody whose devices are gone.
	acc = carol()
	acc.Devices, acc.Recovery = nil, nil
	if _, out := judge(open, 1).Answer(acc, helpdesk, Login{}, noon); out.Kind != Accepted {
		t.Errorf("without a device: %+v", out)
	}
	// Any write drops what has expired.
	acc, _ = judge(open, 1).Answer(carol(), "000000", Login{}, noon.Add(2*time.Hour))
	if len(acc.Bypass) != 0 {
		t.Errorf("%+v", acc.Bypass)
	}
}

// What can't be guessed is judged when nothing else is, and the person is told so.
func TestRecoveryOnly(t *testing.T) {
	wrong := func(acc account.Account, n int) account.Account {
		acc.Codes, acc.Strangers = account.Attempts{Failures: n, Last: noon}, account.Attempts{Failures: n, Last: noon}
		return acc
	}
	bare := func(acc account.Account) account.Account { acc.Recovery, acc.Bypass = nil, nil; return acc }
	onlyShort := bare(carol())
	onlyShort.Recovery = carol().Recovery[2:]
	onlyBypass := bare(carol())
	onlyBypass.Bypass = carol().Bypass
	late := onlyBypass
	late.Bypass = []account.Bypass{onlyBypass.Bypass[0]}
	late.Bypass[0].Expires = noon
	busy := wrong(carol(), 100)
	busy.WrongRecovery = account.Attempts{Failures: 4, Last: noon}
	for _, c := range []struct {
		name string
		acc  account.Account
		want Kind
		only bool
	}{
		{"no failures", carol(), 0, false},
		{"40 s", wrong(carol(), 6), Waiting, false},
		{"80 s", wrong(carol(), 7), Waiting, true},
		{"locked", wrong(carol(), 100), Locked, true},
		{"locked, and no recovery code", wrong(bare(carol()), 100), Locked, false},
		{"locked, and short ones", wrong(onlyShort, 100), Locked, false},
		{"locked, and a bypass code", wrong(onlyBypass, 100), Locked, true},
		{"locked, and a bypass code of before", wrong(late, 100), Locked, false},
		{"locked, and too many wrong recovery codes", busy, Waiting, false},
	} {
		out, allowed := judge(open, 1).Allowed(c.acc, Login{Source: "away"}, noon)
		if out.Kind != c.want || out.RecoveryOnly != c.only || allowed != (c.want == 0) {
			t.Errorf("%s: %+v", c.name, out)
		}
		if allowed {
			continue
		}
		typed := code(t, phone(), noon)
		for _, typed := range []string{typed, "", "x", short} {
			after, again := judge(open, 1).Answer(c.acc, typed, Login{Source: "away"}, noon)
			if again != out || fmt.Sprintf("%+v", after) != fmt.Sprintf("%+v", c.acc) {
				t.Errorf("%s, %q: %+v", c.name, typed, again)
			}
		}
		_, again := judge(open, 1).Answer(c.acc, first, Login{Source: "away"}, noon)
		if got := again.Kind == Accepted; got != (len(c.acc.Recovery) == 3 && c.acc.WrongRecovery.Failures == 0) {
			t.Errorf("%s, a recovery code: %+v", c.name, again)
		}
		if got, out := judge(open, 1).Answer(c.acc, first, Login{Source: "away"}, noon); out.Kind == Accepted && throttle.Failures(got) != throttle.Failures(c.acc) {
			t.Errorf("%s: a recovery code forgives %d of %d failures", c.name, throttle.Failures(got), throttle.Failures(c.acc))
		}
	}
}

// A login that lost its verdict repeats a code of a counter, a recovery code or a bypass code too, and
// nobody else does.
func TestRepeatedWithoutASteps(t *testing.T) {
	mark := sha256.Sum256([]byte("a login"))
	other := sha256.Sum256([]byte("another"))
	for i, typed := range []string{event(t, 2), first, short, helpdesk, first, short, helpdesk} {
		acc := carol()
		acc.Devices = append(acc.Devices, eventToken())
		if i > 3 { // it is the last one
			acc.Devices, acc.Recovery, acc.Bypass[0].Uses = nil, acc.Recovery[2*(i%2):2*(i%2)+1], 1
			if typed == helpdesk {
				acc.Recovery = nil
			} else {
				acc.Bypass = nil
			}
		}
		after, out := judge(open, 1).Answer(acc, typed, Login{Mark: mark[:]}, noon)
		if out.Kind != Accepted {
			t.Fatalf("%q: %+v", typed, out)
		}
		if err := after.Valid(); err != nil || bytes.Contains(after.Repeats[0].Hash, []byte(typed)) {
			t.Errorf("%v", err)
		}
		since := noon.Add(time.Millisecond)
		for _, c := range []struct {
			name  string
			login Login
			at    time.Duration
			typed string
			want  bool
		}{
			{"the same login", Login{Mark: mark[:], Since: since}, time.Second, typed, true},
			{"30 s later", Login{Mark: mark[:], Since: since}, 30 * time.Second, typed, true},
			{"too late", Login{Mark: mark[:], Since: since}, 31 * time.Second, typed, false},
			{"the same daemon", Login{Mark: mark[:]}, time.Second, typed, false},
			{"another login", Login{Mark: other[:], Since: since}, time.Second, typed, false},
			{"none", Login{Since: since}, time.Second, typed, false},
			{"another code", Login{Mark: mark[:], Since: since}, time.Second, strings.Map(turned, typed), false},
		} {
			again, out := judge(open, 1).Answer(after, c.typed, c.login, noon.Add(c.at))
			if (out.Kind == Repeated) != c.want || c.want && fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", after) {
				t.Errorf("%q, %s: %+v", typed, c.name, out)
			}
		}
	}
	// What is kept for it is gone with the next write after its time.
	after, _ := judge(open, 1).Answer(carol(), first, Login{Mark: mark[:]}, noon)
	if after, _ = judge(open, 1).Answer(after, "000000", Login{}, noon.Add(time.Minute)); len(after.Repeats) != 0 {
		t.Errorf("%+v", after.Repeats)
	}
}

// turned is another digit or letter of a code.
func turned(r rune) rune {
	if r == '9' || r == 'Z' {
		return '0'
	}
	return '9'
}

// The shape of an answer says what it is looked for as; nothing is two things.
func FuzzAnswerShapes(f *testing.F) {
	for _, s := range []string{first, short, helpdesk, "123456", "", "\x00", "7k3m-q2nd-zx09"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		text, _ := recovery.Normal(typed)
		right, _ := codeAt(phone(), seed, stepAt(phone(), noon))
		want := Way(0)
		switch text {
		case first, second, short:
			want = RecoveryCode
		case helpdesk:
			want = BypassCode
		case right:
			want = Code
		}
		_, out := judge(open, 0).Answer(carol(), typed, Login{}, noon)
		if (out.Kind == Accepted) != (want != 0) || want != 0 && out.Way != want {
			t.Errorf("%q: %+v", typed, out)
		}
	})
}
