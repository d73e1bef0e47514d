package login

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// firstCode is what an app shows that has been given the key of the dialogue's enrolment.
func (w *world) firstCode(t testing.TB, d *Dialogue) string {
	t.Helper()
	key, err := otp.NewKeyFromURL(string(d.enrolment.offer.URI))
	if err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(key.Secret(), w.clock())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// answer reads what an answer leads to.
func (d *Dialogue) answer(t testing.TB, text string) shown {
	t.Helper()
	return read(t, d.Answer(context.Background(), []byte(text)))
}

// mustEnrol is a world where bob has to, and a login of his.
func mustEnrol(t testing.TB) (*world, *Dialogue, shown) {
	t.Helper()
	w := newWorld()
	w.cfg.Rules = policy.Rules{{Require: policy.Required}}
	d := w.begin("bob")
	return w, d, d.proven(t)
}

// proven opens a login, and does what the module does for whoever has proved to be the user.
func (d *Dialogue) proven(t testing.TB) shown {
	t.Helper()
	got := read(t, d.Open(context.Background()))
	if d.state == proving {
		got = d.answer(t, wire.Proven)
	}
	return got
}

// Nobody enrols whom the module doesn't know to be the user: no key is made, nothing is told but what a wrong
// code is told. A module that can't tell is asked nothing.
func TestEnrolmentTakesAProof(t *testing.T) {
	for _, typed := range []string{"", "proof", "Proven", "proven ", "123456"} {
		w := newWorld()
		w.cfg.Rules = policy.Rules{{Require: policy.Required}}
		d := w.begin("bob")
		step := d.Open(context.Background())
		if f, _, err := wire.Decode(step.Frames); err != nil || f.Kind != wire.KindAsk || f.Style != wire.Proof || step.Done {
			t.Fatalf("%+v, %v", step, err)
		}
		if got := d.answer(t, typed); got.verdict != wire.Refused || len(got.tells) != 1 || got.tells[0] != sayRefused(d.reference) {
			t.Errorf("%q: %+v", typed, got)
		}
		if e := w.last(t, 1); e.Reason != "not_proven" || w.store.writes != 0 {
			t.Errorf("%q: %+v", typed, e)
		}
	}
	w := newWorld()
	w.cfg.Rules = policy.Rules{{Require: policy.Required}}
	d, got := w.open(t, root, wire.Open{Version: wire.Oldest, User: "bob", Service: "sshd", RHost: "192.0.2.7"})
	if got.verdict != wire.Refused || got.tells[0] != sayEnrolFirst(d.reference) {
		t.Errorf("an old module: %+v", got)
	}
}

// The whole way, by each number of the text.
func TestEnrolmentInTheLogin(t *testing.T) {
	blocks := regexp.MustCompile(`[█▀▄]{3}`)
	for i := range 3 {
		w, d, got := mustEnrol(t)
		numbers := regexp.MustCompile(`(?m)^(\d\d) shows`).FindAllStringSubmatch(strings.Join(got.tells, "\n"), -1)
		if len(numbers) != 3 || len(got.asks) != 1 || got.asks[0] != askChoice {
			t.Fatalf("%+v", got)
		}
		got = d.answer(t, " "+numbers[i][1]+" ")
		if len(got.tells) != 1 || got.asks[0] != askFirstCode || blocks.MatchString(got.tells[0]) != (i < 2) {
			t.Fatalf("number %d: %+v", i, got)
		}
		if lines := strings.Count(got.tells[0], "\n") + 2; lines > 24 {
			t.Errorf("number %d: %d lines with the question", i, lines)
		}
		if !strings.Contains(got.tells[0], inFours(string(d.enrolment.offer.Secret))) {
			t.Errorf("number %d: no setup key in %q", i, got.tells[0])
		}
		if w.store.accounts["bob"].Enrolled() || w.store.writes != 0 {
			t.Error("enrolled before the first code")
		}
		code := w.firstCode(t, d)
		got = d.answer(t, code)
		codes := regexp.MustCompile(`[0-9A-Z]{4}-[0-9A-Z]{4}-[0-9A-Z]{4}`).FindAllString(got.tells[0], -1)
		if len(codes) != 10 || got.asks[0] != askNoted || got.done {
			t.Fatalf("number %d: %+v", i, got)
		}
		acc := w.store.accounts["bob"]
		if len(acc.Devices) != 1 || len(acc.Recovery) != 10 || acc.Pending != nil {
			t.Errorf("number %d: %+v", i, acc)
		}
		if got = d.answer(t, ""); got.verdict != wire.Accepted {
			t.Errorf("number %d: %+v", i, got)
		}
		want := audit.Event{Kind: audit.Login, User: "bob", Service: "sshd", Source: "192.0.2.7", TTY: "ssh", Caller: "0",
			Result: audit.Accepted, Reason: "enrolled", Device: "phone", Reference: d.reference, At: noon}
		if e := w.last(t, 3); e != want {
			t.Errorf("number %d: %+v", i, e)
		}
		for _, e := range w.events.all[:2] {
			if e.Kind != audit.Enrol || e.Reference != d.reference || e.Source != "192.0.2.7" || e.Caller != "0" {
				t.Errorf("number %d: %+v", i, e)
			}
		}
		// The code that confirmed it is used up.
		if got := w.login(t, "bob", code); got.done || !strings.Contains(got.tells[0], "used already") {
			t.Errorf("number %d, again: %+v", i, got)
		}
		all := w.journal()
		for _, never := range []string{code, string(d.enrolment.offer.Secret), codes[0], numbers[i][1] + " "} {
			if strings.Contains(all, never) {
				t.Errorf("number %d: %q is in the journal:\n%s", i, never, all)
			}
		}
	}
}

// Whoever has enrolled in a login isn't locked out from there by what strangers type afterwards.
func TestEnrolmentMakesTheSourceKnown(t *testing.T) {
	w, d, _ := mustEnrol(t)
	d.answer(t, strconv.Itoa(d.enrolment.choices.key))
	d.answer(t, w.firstCode(t, d))
	acc := w.store.accounts["bob"]
	acc.Codes = account.Attempts{Failures: 60, Last: noon}
	w.store.accounts["bob"] = acc
	key, _ := otp.NewKeyFromURL(string(d.enrolment.offer.URI))
	w.pass(time.Minute)
	code, err := totp.GenerateCode(key.Secret(), w.clock())
	if got := w.login(t, "bob", code); err != nil || got.verdict != wire.Accepted {
		t.Errorf("%+v, %v", got, err)
	}
}

// A reset ends with the enrolment.
func TestEnrolmentEndsAReset(t *testing.T) {
	w := newWorld()
	w.store.accounts["bob"] = account.Account{User: "bob", MustEnrol: true}
	d := w.begin("bob")
	d.proven(t)
	d.answer(t, strconv.Itoa(d.enrolment.choices.key))
	d.answer(t, w.firstCode(t, d))
	if got := d.answer(t, ""); got.verdict != wire.Accepted || w.store.accounts["bob"].MustEnrol {
		t.Errorf("%+v", got)
	}
}

// Whoever can't read the text is refused with what to do, and what was typed is in no journal.
func TestNoChoice(t *testing.T) {
	for name, c := range map[string]struct {
		answers []string
		reason  string
	}{
		"empty":            {[]string{""}, "no_choice"},
		"a password twice": {[]string{"correct horse", "correct horse"}, "no_choice"},
		"a wrong number":   {[]string{"1", "0"}, "no_choice"},
		"a code":           {[]string{"123456", ""}, "no_choice"},
	} {
		w, d, _ := mustEnrol(t)
		var got shown
		for i, a := range c.answers {
			if got = d.answer(t, a); got.done != (i == len(c.answers)-1) {
				t.Fatalf("%s: %+v", name, got)
			}
		}
		if got.verdict != wire.Refused || len(got.tells) != 1 || got.tells[0] != sayNoChoice(d.reference) {
			t.Errorf("%s: %+v", name, got)
		}
		if e := w.events.all[len(w.events.all)-1]; e.Reason != c.reason || e.Reference != d.reference {
			t.Errorf("%s: %+v", name, e)
		}
		if w.store.writes != 0 || strings.Contains(w.journal(), "horse") || strings.Contains(w.journal(), "123456") {
			t.Errorf("%s: %s", name, w.journal())
		}
	}
	// The second answer is in time.
	_, d, _ := mustEnrol(t)
	if got := d.answer(t, "7"); len(got.tells) != 1 || got.asks[0] != askChoice {
		t.Errorf("%+v", got)
	}
	if got := d.answer(t, strconv.Itoa(d.enrolment.choices.dark)); got.done || got.asks[0] != askFirstCode {
		t.Errorf("%+v", got)
	}
}

func TestChoices(t *testing.T) {
	for range 1000 {
		c := newChoices(true)
		for _, n := range []int{c.dark, c.light, c.key} {
			if n < 10 || n > 99 {
				t.Fatalf("%+v", c)
			}
		}
		if c.dark == c.light || c.dark == c.key || c.light == c.key {
			t.Fatalf("%+v", c)
		}
	}
	if c := newChoices(false); c.dark != 0 || c.light != 0 || c.key < 10 {
		t.Errorf("%+v", c)
	}
}

// In a terminal that is known to be too narrow, no QR code is offered, and none can be had.
func TestNarrowTerminal(t *testing.T) {
	for columns, offered := range map[uint16]bool{0: true, 30: false, 80: true} {
		w := newWorld()
		w.cfg.Rules = policy.Rules{{Require: policy.Required}}
		d := w.Begin(root, wire.Open{Version: wire.Version, User: "bob", Service: "login", TTY: "tty1", Columns: columns})
		got := d.proven(t)
		if strings.Contains(got.tells[0], "QR") != offered {
			t.Errorf("%d columns: %q", columns, got.tells)
		}
		if offered {
			continue
		}
		if got := d.answer(t, "0"); got.asks[0] != askChoice || len(regexp.MustCompile(`\b\d\d\b`).FindAllString(got.tells[0], -1)) != 1 {
			t.Errorf("%d columns, not offered: %+v", columns, got)
		}
		if got := d.answer(t, strconv.Itoa(d.enrolment.choices.key)); got.asks[0] != askFirstCode {
			t.Errorf("%d columns: %+v", columns, got)
		}
	}
}

func TestFirstCodes(t *testing.T) {
	for name, c := range map[string]struct {
		off  time.Duration
		said string
	}{
		"expired":      {-90 * time.Second, "its time is over"},
		"clock behind": {-5 * time.Minute, "about 5 minutes behind"},
		"clock ahead":  {10 * time.Minute, "about 10 minutes ahead"},
		"wrong":        {5 * time.Hour, "not right: type the one shown for web1 (bob)"},
	} {
		w, d, _ := mustEnrol(t)
		d.answer(t, strconv.Itoa(d.enrolment.choices.key))
		w.pass(c.off)
		code := w.firstCode(t, d)
		w.pass(-c.off)
		if got := d.answer(t, code); got.done || !strings.Contains(got.tells[0], c.said) || got.asks[0] != askFirstCode {
			t.Errorf("%s: %+v", name, got)
		}
	}
	w, d, _ := mustEnrol(t)
	d.answer(t, strconv.Itoa(d.enrolment.choices.key))
	var got shown
	for i := range 10 {
		if got = d.answer(t, ""); got.done != (i == 9) || !got.done && !strings.Contains(got.tells[0], "6 digits") {
			t.Fatalf("answer %d: %+v", i+1, got)
		}
	}
	if got.verdict != wire.Refused || got.tells[0] != sayNotEnrolledNow(d.reference) || w.store.writes != 0 {
		t.Errorf("%+v", got)
	}
	if e := w.events.all[len(w.events.all)-1]; e.Kind != audit.Login || e.Reason != "no_first_code" || e.Reference != d.reference {
		t.Errorf("%+v", e)
	}
}

func TestEnrolmentThatCannotEnd(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(*world)
		verdict wire.Outcome
		reason  string
	}{
		"too late": {func(w *world) { w.pass(10 * time.Minute) }, wire.Refused, "enrolment_over"},
		"enrolled elsewhere": {func(w *world) {
			w.store.accounts["bob"] = account.Account{User: "bob", Devices: []account.Device{device("bob")}}
		}, wire.Refused, "already_enrolled"},
		"full disk": {func(w *world) { w.store.full = fmt.Errorf("no space left on device") }, wire.Unavailable, "enrolment"},
	} {
		w, d, _ := mustEnrol(t)
		d.answer(t, strconv.Itoa(d.enrolment.choices.key))
		c.spoil(w)
		before := fmt.Sprint(w.store.accounts["bob"])
		got := d.answer(t, w.firstCode(t, d))
		if got.verdict != c.verdict || !strings.Contains(got.tells[0], d.reference) {
			t.Errorf("%s: %+v", name, got)
		}
		if e := w.events.all[len(w.events.all)-1]; e.Kind != audit.Login || e.Reason != c.reason {
			t.Errorf("%s: %+v", name, e)
		}
		if after := fmt.Sprint(w.store.accounts["bob"].Devices); name != "too late" && !strings.Contains(before, strings.Trim(after, "[]")) {
			t.Errorf("%s: %s, was %s", name, after, before)
		}
	}
}

// Abandoned midway, the account is as it was, and the key that was shown is nobody's: the next login, of the
// next daemon too, begins anew with another.
func TestAbandonedMidway(t *testing.T) {
	w, d, _ := mustEnrol(t)
	d.answer(t, strconv.Itoa(d.enrolment.choices.key))
	code := w.firstCode(t, d)
	d.Abandon()
	if e := w.events.all[len(w.events.all)-1]; e.Result != audit.Abandoned || e.Reason != "before_first_code" || w.store.writes != 0 {
		t.Errorf("%+v", e)
	}
	w.restart()
	again := w.begin("bob")
	if got := again.proven(t); got.asks[0] != askChoice {
		t.Fatalf("%+v", got)
	}
	if again.enrolment.offer.Secret == d.enrolment.offer.Secret {
		t.Error("the key of an abandoned login is used again")
	}
	again.answer(t, strconv.Itoa(again.enrolment.choices.key))
	if got := again.answer(t, code); got.done || !strings.Contains(got.tells[0], "not right") {
		t.Errorf("%+v", got)
	}
}

// Who has confirmed the device and was cut off before writing anything down is asked for a code next time.
func TestAbandonedAfterTheFirstCode(t *testing.T) {
	w, d, _ := mustEnrol(t)
	d.answer(t, strconv.Itoa(d.enrolment.choices.key))
	d.answer(t, w.firstCode(t, d))
	d.Abandon()
	if e := w.events.all[len(w.events.all)-1]; e.Result != audit.Abandoned || e.Reason != "after_enrolment" {
		t.Errorf("%+v", e)
	}
	if got := w.login(t, "bob"); len(got.asks) != 1 || got.asks[0] != w.cfg.Prompt {
		t.Errorf("%+v", got)
	}
}

// Where there is no enrolment, it is said where there is.
func TestNoEnrolmentHere(t *testing.T) {
	for name, c := range map[string]struct {
		rule   policy.Rule
		caller Caller
		want   func(string) string
		reason string
	}{
		"forbidden":       {policy.Rule{NoEnrolAtLogin: true}, root, sayEnrolElsewhere, "enrol_elsewhere"},
		"another network": {policy.Rule{EnrolFrom: from(t, "198.51.100.0/24")}, root, sayEnrolElsewhere, "enrol_elsewhere"},
		"not root":        {policy.Rule{}, Caller{UID: 1000, User: "bob"}, sayEnrolFirst, "not_enrolled"},
	} {
		w := newWorld()
		c.rule.Require = policy.Required
		w.cfg.Rules = policy.Rules{c.rule}
		d := w.Begin(c.caller, wire.Open{User: "bob", Service: "sshd", RHost: "192.0.2.7"})
		got := read(t, d.Open(context.Background()))
		if got.verdict != wire.Refused || len(got.tells) != 1 || got.tells[0] != c.want(d.reference) {
			t.Errorf("%s: %+v", name, got)
		}
		if e := w.last(t, 1); e.Reason != c.reason || e.Reference != d.reference {
			t.Errorf("%s: %+v", name, e)
		}
	}
	w := newWorld()
	w.cfg.Rules = policy.Rules{{Require: policy.Required, EnrolFrom: from(t, "192.0.2.0/24")}}
	if got := w.login(t, "bob"); got.done || got.asks[0] != askChoice {
		t.Errorf("from the right network: %+v", got)
	}
}

// The module gives up after 32 questions and 64 texts, which the longest enrolment stays below.
func TestEnrolmentIsShortEnoughForTheModule(t *testing.T) {
	w, d, got := mustEnrol(t)
	asks, tells := len(got.asks), len(got.tells)
	step := func(text string) {
		got = d.answer(t, text)
		asks, tells = asks+len(got.asks), tells+len(got.tells)
	}
	step("7")
	step(strconv.Itoa(d.enrolment.choices.light))
	for range 9 {
		step("000000")
	}
	step(w.firstCode(t, d))
	step("")
	if got.verdict != wire.Accepted || asks > 32 || tells > 64 {
		t.Errorf("%d questions, %d texts, %+v", asks, tells, got)
	}
}
