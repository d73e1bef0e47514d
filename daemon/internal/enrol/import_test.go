package enrol

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// another is what another program keeps of alice: the secret of RFC 6238, whose code of noon it has used.
func another() control.ImportUser {
	return control.ImportUser{
		User: "alice",
		Devices: []control.ImportDevice{
			{Name: "phone", Secret: "3132333435363738393031323334353637383930", Digits: 6, Period: 30, Algorithm: "SHA1",
				Drift: 1, Used: []int64{noon.Unix() / 30}},
			{Name: "token", Secret: "00112233445566778899", Digits: 8, Algorithm: "SHA1", Kind: "hotp", Counter: 7},
		},
		Recovery: []control.Secret{"12345678", "87654321"},
	}
}

func TestImport(t *testing.T) {
	w := newWorld(t)
	if err := w.Import(ctx, another(), false, true); err != nil || len(w.events) != 0 {
		t.Fatalf("dry: %v, %+v", err, w.events)
	}
	if _, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Fatal("dry, and stored")
	}
	if err := w.Import(ctx, another(), false, false); err != nil {
		t.Fatal(err)
	}
	if e := w.last(); e.Kind != audit.Enrol || e.Result != audit.Done || e.Reason != "import" || e.Device != "phone" {
		t.Errorf("%+v", e)
	}
	acc := w.account()
	if len(acc.Devices) != 2 || len(acc.Recovery) != 2 || !acc.Recovery[0].Short ||
		!bytes.Equal(acc.Recovery[0].Hash, w.key.Hash("alice", "recovery", "12345678")) {
		t.Fatalf("%+v", acc)
	}
	phone, token := acc.Devices[0], acc.Devices[1]
	if phone.Drift != 1 || !slices.Equal(phone.Used, []int64{noon.Unix() / 30}) || token.Kind != account.HOTP || token.Counter != 7 || token.Period != 0 {
		t.Errorf("%+v\n%+v", phone, token)
	}
	for i, d := range acc.Devices {
		secret, err := w.key.Open("alice", d.ID, d.Sealed)
		if err != nil || hex.EncodeToString(secret) != string(another().Devices[i].Secret) {
			t.Errorf("%s: %v", d.Name, err)
		}
	}
	// The code that was used there, and the one of a step later.
	for _, c := range []struct {
		at   time.Time
		want verify.Kind
	}{{noon, verify.Replayed}, {noon.Add(30 * time.Second), verify.Accepted}} {
		code, err := totp.GenerateCode(otpauth.Encode([]byte("12345678901234567890")), c.at)
		if err != nil {
			t.Fatal(err)
		}
		if _, out := w.judge("alice").Answer(acc, code, verify.Login{}, noon); out.Kind != c.want {
			t.Errorf("the code of %v: %+v", c.at, out)
		}
	}
	// A scratch code, once.
	acc, out := w.judge("alice").Answer(acc, "1234 5678", verify.Login{}, noon)
	if out.Kind != verify.Accepted || out.Way != verify.RecoveryCode || out.Left != 1 {
		t.Errorf("%+v", out)
	}
	if _, out := w.judge("alice").Answer(acc, "12345678", verify.Login{}, noon); out.Kind == verify.Accepted {
		t.Errorf("again: %+v", out)
	}
}

func TestImportOfTheEnrolled(t *testing.T) {
	w := newWorld(t)
	w.enrolled()
	before := fmt.Sprint(w.account())
	w.refused(w.Import(ctx, another(), false, false), control.ErrAlreadyEnrolled, "already_enrolled")
	if err := w.Import(ctx, another(), false, true); err == nil || len(w.events) != 0 {
		t.Errorf("dry: %v, %+v", err, w.events)
	}
	if fmt.Sprint(w.account()) != before {
		t.Error("changed all the same")
	}
	if err := w.Import(ctx, another(), true, false); err != nil {
		t.Fatal(err)
	}
	if acc := w.account(); len(acc.Devices) != 2 || len(acc.Recovery) != 2 {
		t.Errorf("%+v", acc)
	}
}

// What was used here stays used when the same keys are taken over once more, with an old file.
func TestImportOnceMore(t *testing.T) {
	w := newWorld(t)
	if err := w.Import(ctx, another(), false, false); err != nil {
		t.Fatal(err)
	}
	code, err := totp.GenerateCode(otpauth.Encode([]byte("12345678901234567890")), noon.Add(30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	err = w.store.Update(ctx, "alice", func(acc account.Account) (account.Account, error) {
		acc, out := w.judge("alice").Answer(acc, code, verify.Login{}, noon)
		if out.Kind != verify.Accepted {
			t.Errorf("%+v", out)
		}
		acc.Devices[1].Counter = 12
		return acc, nil
	})
	if err == nil {
		err = w.Import(ctx, another(), true, false)
	}
	if err != nil {
		t.Fatal(err)
	}
	acc := w.account()
	if _, out := w.judge("alice").Answer(acc, code, verify.Login{}, noon); out.Kind != verify.Replayed {
		t.Errorf("%+v", out)
	}
	if used := acc.Devices[0].Used; !slices.Equal(used, []int64{noon.Unix() / 30, noon.Unix()/30 + 1}) || acc.Devices[1].Counter != 12 {
		t.Errorf("used %v, counter %d", used, acc.Devices[1].Counter)
	}
}

// A user is taken over as a whole or not at all.
func TestImportOfWhatCantBe(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		change func(*control.ImportUser)
		want   string
	}{
		{func(u *control.ImportUser) { u.Devices = nil }, "no device"},
		{func(u *control.ImportUser) { u.Devices[1].Secret = "001122334455667788" }, "device 2: the secret has 72 bits, at least 80 are needed"},
		{func(u *control.ImportUser) { u.Devices[1].Secret = "GEZDGNBV" }, "device 2: its secret is not hexadecimal"},
		{func(u *control.ImportUser) { u.Devices[0].Digits = 7 }, "device 1: 7 digits, must be 6 or 8"},
		{func(u *control.ImportUser) { u.Devices[0].Period = 45 }, "device 1: a period of 45 s, must be 30 or 60"},
		{func(u *control.ImportUser) { u.Devices[0].Drift = 1 << 60 }, "device 1: its clock is 83h20m0s off, at most 20m0s are taken: set it right first"},
		{func(u *control.ImportUser) { u.Devices[1].Counter = otpauth.CounterMax + 1 }, "device 2: its counter is beyond 9007199254740992"},
		{func(u *control.ImportUser) { u.Devices[0].Drift = -41 }, "device 1: its clock is 20m30s off, at most 20m0s are taken: set it right first"},
		{func(u *control.ImportUser) { u.Devices[0].Used = []int64{1, 1} }, "device 1: step 1 is listed as used twice"},
		{func(u *control.ImportUser) { u.Devices[1].Name = "phone" }, "device 2: its id or name is used twice"},
		{func(u *control.ImportUser) { u.Devices[1].Kind = "motp" }, `device 2: kind "motp", must be hotp or nothing`},
		{func(u *control.ImportUser) { u.Recovery[1] = "123456" }, "recovery code 2: not 8 digits"},
		{func(u *control.ImportUser) { u.Recovery[1] = u.Recovery[0] }, "recovery code: one is there twice"},
	} {
		from := another()
		c.change(&from)
		e := w.refused(w.Import(ctx, from, false, false), control.ErrBadImport, "bad_import")
		if e.Message != "import alice: "+c.want {
			t.Errorf("%q, want %q", e.Message, c.want)
		}
		if _, stored, _ := w.store.Get(ctx, "alice"); stored {
			t.Fatal("stored in part")
		}
	}
}
