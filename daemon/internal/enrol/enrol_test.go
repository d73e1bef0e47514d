package enrol

import (
	"bytes"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
	"github.com/totpd/totpd/daemon/internal/audit"
)

func TestEnrol(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	if e.Host != "web1" || e.Name != "phone" || e.Digits != 6 || e.Period != 30 || !e.Expires.Equal(noon.Add(10*time.Minute)) {
		t.Errorf("%+v", e)
	}
	want := "otpauth://totp/web1:alice@web1?issuer=web1&secret=" + string(e.Secret)
	if string(e.URI) != want || len(e.Secret) != 32 || len(want) > 85 {
		t.Errorf("URI of %d bytes %s, want %s", len(e.URI), string(e.URI), want)
	}
	if event := w.last(); event.Result != audit.Started || event.Device != "phone" || event.User != "alice" || event.Caller != "1000" {
		t.Errorf("%+v", event)
	}
	if acc := w.account(); acc.Enrolled() || acc.Pending == nil || bytes.Contains(acc.Pending.Device.Sealed, []byte(e.Secret)) {
		t.Errorf("before the first code: %+v", acc)
	}
	if told, err := w.Status(ctx, "alice"); err != nil || told.Enrolled || !told.PendingUntil.Equal(e.Expires) {
		t.Errorf("status before: %+v, %v", told, err)
	}

	c, err := w.Confirm(ctx, "alice", w.code(e, 0))
	if err != nil || c.Outcome != control.Confirmed || c.Account == nil || !c.Account.Enrolled || c.Account.Devices[0].Name != "phone" {
		t.Fatalf("%+v, %v", c, err)
	}
	if event := w.last(); event.Result != audit.Done || event.Device != "phone" {
		t.Errorf("%+v", event)
	}
	acc := w.account()
	if !acc.Enrolled() || acc.Pending != nil || len(acc.Devices[0].Used) != 1 {
		t.Errorf("after the first code: %+v", acc)
	}
	// The confirming code is used up.
	w.refused(w.DisableWithCode(ctx, "alice", w.code(e, 0)), control.ErrWrongCode, "used_code")

	_, err = w.Start(ctx, "alice", Wanted{}, Consent{})
	w.refused(err, control.ErrAlreadyEnrolled, "already_enrolled")
	if err.Error() != "enrol alice: already enrolled: adding a device needs a code of one, or a recovery code" {
		t.Errorf("%q", err)
	}
	_, err = w.Confirm(ctx, "alice", w.code(e, 30*time.Second))
	w.refused(err, control.ErrNoPending, "no_pending")
}

func TestFirstCodes(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	w.events = nil
	for _, c := range []struct {
		code string
		want control.Confirmation
	}{
		{w.code(e, 5*time.Hour), control.Confirmation{Outcome: control.CodeWrong}},
		{w.code(e, -90*time.Second), control.Confirmation{Outcome: control.CodeExpired}},
		{w.code(e, 7*time.Minute), control.Confirmation{Outcome: control.CodeClock, ClockOff: 420}},
		{w.code(e, -7*time.Minute), control.Confirmation{Outcome: control.CodeClock, ClockOff: -420}},
		{"12345", control.Confirmation{Outcome: control.CodeFormat}},
		{"", control.Confirmation{Outcome: control.CodeFormat}},
		{"12345678", control.Confirmation{Outcome: control.CodeFormat}},
	} {
		got, err := w.Confirm(ctx, "alice", c.code)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v, %v, want %+v", got, err, c.want)
		}
		if event := w.last(); event.Result != audit.Retry || event.Reason != "code_"+string(c.want.Outcome) {
			t.Errorf("%+v", event)
		}
		if acc := w.account(); acc.Enrolled() || acc.Pending == nil || acc.Codes.Failures != 0 {
			t.Errorf("%+v", acc)
		}
	}
	code := w.code(e, 0)
	if got, err := w.Confirm(ctx, "alice", code[:3]+" "+code[3:]); err != nil || got.Outcome != control.Confirmed {
		t.Errorf("in the end: %+v, %v", got, err)
	}
}

func TestAnEnrolmentNotConfirmedIsGone(t *testing.T) {
	w := newWorld(t)
	_, err := w.Confirm(ctx, "alice", "123456")
	w.refused(err, control.ErrNoPending, "no_pending")
	e := w.start()
	w.pass(10*time.Minute - time.Second)
	if told, _ := w.Status(ctx, "alice"); told.PendingUntil.IsZero() {
		t.Error("gone too early")
	}
	w.pass(time.Second)
	w.events = nil
	_, err = w.Confirm(ctx, "alice", w.code(e, 0))
	w.refused(err, control.ErrNoPending, "pending_over")
	if acc, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Errorf("still there: %+v", acc)
	}

	w.start()
	w.pass(11 * time.Minute)
	if told, err := w.Status(ctx, "alice"); err != nil || !told.PendingUntil.IsZero() {
		t.Errorf("%+v, %v", told, err)
	}
	if acc, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Errorf("still there after a look: %+v", acc)
	}

	first := w.start()
	second := w.start()
	w.events = nil
	if got, err := w.Confirm(ctx, "alice", w.code(first, 0)); err != nil || got.Outcome == control.Confirmed {
		t.Errorf("an enrolment that was replaced: %+v, %v", got, err)
	}
	if got, err := w.Confirm(ctx, "alice", w.code(second, 0)); err != nil || got.Outcome != control.Confirmed {
		t.Errorf("the one that replaced it: %+v, %v", got, err)
	}
}

func TestNamesAndSettings(t *testing.T) {
	w := newWorld(t)
	for _, name := range []string{"a\nb", strings.Repeat("x", 65), "\xff"} {
		_, err := w.Start(ctx, "alice", Wanted{Name: name}, Consent{})
		w.refused(err, control.ErrBadRequest, "bad_name")
		_, err = w.Set(ctx, "alice", "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ", name, true)
		w.refused(err, control.ErrBadRequest, "bad_name")
	}
	w.cfg.Digits = 7
	_, err := w.Start(ctx, "alice", Wanted{}, Consent{})
	w.refused(err, control.ErrUnavailable, "settings")
}

// Whatever happens, no secret and no code is in an error, in a journal line or in what prints.
func TestNothingSecretIsPrinted(t *testing.T) {
	w := newWorld(t)
	e := w.start()
	code, wrong := w.code(e, 0), "271828"
	printed := fmt.Sprintf("%v %+v %#v %s %d %x", e, e, e, e.URI, e.Secret, e.Secret)
	_, err := w.Confirm(ctx, "alice", wrong)
	printed += fmt.Sprint(err)
	c, err := w.Confirm(ctx, "alice", code)
	printed += fmt.Sprint(c, err)
	printed += fmt.Sprint(w.DisableWithCode(ctx, "alice", code), w.DisableWithCode(ctx, "alice", wrong))
	acc, err := w.Set(ctx, "bob", string(e.URI), "", true)
	printed += fmt.Sprintf("%+v %v", acc, err)
	_, err = w.Set(ctx, "carol", strings.Replace(string(e.URI), "secret=", "secret=1", 1), "", true)
	printed += fmt.Sprint(err)
	var journal strings.Builder
	log := audit.New(&journal)
	for _, event := range w.events {
		log.Record(event)
	}
	printed += journal.String()
	secret, _ := otpauth.Base32(string(e.Secret))
	for _, never := range []string{string(e.Secret), string(e.Secret[:16]), string(secret), fmt.Sprintf("%x", secret), fmt.Sprintf("%x", string(e.Secret)), fmt.Sprint(secret), code, wrong} {
		if strings.Contains(printed, never) {
			t.Errorf("%q in:\n%s", never, printed)
		}
	}
}

func TestRaceOfConfirmations(t *testing.T) {
	w := newWorld(t)
	code := w.code(w.start(), 0)
	var wait sync.WaitGroup
	outcomes := make(chan control.ConfirmOutcome, 16)
	for range 16 {
		wait.Go(func() {
			if c, err := w.Confirm(ctx, "alice", code); err == nil {
				outcomes <- c.Outcome
			}
		})
	}
	wait.Wait()
	close(outcomes)
	if n := len(outcomes); n != 1 || <-outcomes != control.Confirmed {
		t.Errorf("%d confirmations", n)
	}
}
