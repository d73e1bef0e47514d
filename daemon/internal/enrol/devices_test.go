package enrol

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// change spoils or fills alice's account.
func (w *world) change(fn func(*account.Account)) {
	w.t.Helper()
	err := w.store.Update(ctx, "alice", func(a account.Account) (account.Account, error) { fn(&a); return a, nil })
	if err != nil {
		w.t.Fatal(err)
	}
}

// names are those of alice's devices.
func (w *world) names() string {
	var all []string
	for _, d := range w.account().Devices {
		all = append(all, d.Name)
	}
	return strings.Join(all, ", ")
}

func TestADeviceMore(t *testing.T) {
	w := newWorld(t)
	e := w.enrolled()
	before := w.account().Recovery
	w.change(func(a *account.Account) {
		a.Remembered = []account.Remembered{{Hash: make([]byte, 32), Expires: w.now.Add(time.Hour)}}
		a.Grace = []account.Grace{{Hash: make([]byte, 32), Expires: w.now.Add(time.Hour)}}
		a.MustEnrol = true
	})
	start := func(code string) (control.Enrolment, error) {
		return w.Start(ctx, "alice", Wanted{Digits: 8, Period: 60, Algorithm: account.SHA256}, Consent{Code: code})
	}
	_, err := start("")
	w.refused(err, control.ErrAlreadyEnrolled, "already_enrolled")
	_, err = start(w.code(e, 5*time.Hour))
	w.refused(err, control.ErrWrongCode, "wrong_code")
	_, err = start("7K3MQ-2NDZX")
	w.refused(err, control.ErrWrongCode, "bypass_code")
	if acc := w.account(); acc.Pending != nil || acc.Codes.Failures != 1 {
		t.Fatalf("after refusals: %+v", acc)
	}
	code := w.code(e, 0)
	second, err := start(code)
	if err != nil || second.Name != "phone 2" || second.Digits != 8 || second.Period != 60 || second.Algorithm != "SHA256" {
		t.Fatalf("%+v, %v", second, err)
	}
	if event := w.last(); event.Result != audit.Started || event.Device != "phone 2" {
		t.Errorf("%+v", event)
	}
	_, err = start(code)
	w.refused(err, control.ErrWrongCode, "used_code")
	if w.account().Pending == nil {
		t.Error("a refusal ends the enrolment that waits")
	}
	if len(w.account().Remembered) != 1 {
		t.Error("computers are forgotten before the device counts")
	}
	c, err := w.Confirm(ctx, "alice", w.code(second, 0))
	if err != nil || c.Outcome != control.Confirmed || len(c.RecoveryCodes) != 0 || c.Account.RecoveryLeft != 10 {
		t.Fatalf("%+v, %v", c, err)
	}
	if event := w.last(); event.Result != audit.Done || event.Device != "phone 2" {
		t.Errorf("%+v", event)
	}
	acc := w.account()
	if w.names() != "phone, phone 2" || len(acc.Remembered)+len(acc.Grace) != 0 || acc.MustEnrol || acc.Pending != nil {
		t.Errorf("%+v", acc)
	}
	if !slices.EqualFunc(acc.Recovery, before, func(a, b account.Recovery) bool { return string(a.Hash) == string(b.Hash) }) {
		t.Error("a second device changes the recovery codes")
	}
	w.pass(time.Minute)
	if err := w.DisableWithCode(ctx, "alice", w.code(second, 0)); err != nil {
		t.Error("a code of the second device:", err)
	}
}

// An admin needs no code of the user's, and may leave the first code to the user.
func TestForSomebodyElse(t *testing.T) {
	w := newWorld(t)
	given, err := w.Give(ctx, "alice", Wanted{Name: "token"})
	if err != nil || given.Name != "token" || len(given.RecoveryCodes) != 10 || !given.Expires.IsZero() {
		t.Fatalf("%+v, %v", given, err)
	}
	if event := w.last(); event.Kind != audit.Enrol || event.Result != audit.Done || event.Device != "token" || event.Caller != "1000" {
		t.Errorf("%+v", event)
	}
	again, err := w.Give(ctx, "alice", Wanted{})
	if err != nil || again.Name != "phone" || again.RecoveryCodes != nil {
		t.Fatalf("%+v, %v", again, err)
	}
	w.events = nil
	_, err = w.Give(ctx, "alice", Wanted{Name: "token"})
	w.refused(err, control.ErrNameTaken, "name_taken")
	third, err := w.Start(ctx, "alice", Wanted{}, Consent{Admin: true})
	if err != nil || third.Name != "phone 2" {
		t.Fatalf("%+v, %v", third, err)
	}
	w.events = nil
	if c, err := w.Set(ctx, "alice", base+"GEZDGNBVGY3TQOJQ", "", true); err != nil || c.RecoveryCodes != nil {
		t.Fatalf("%+v, %v", c, err)
	}
	w.events = nil
	// What gives a device ends an enrolment that waits.
	_, err = w.Confirm(ctx, "alice", w.code(third, 0))
	w.refused(err, control.ErrNoPending, "no_pending")
	if w.names() != "token, phone, token 2" {
		t.Error(w.names())
	}
	if err := w.DisableWithCode(ctx, "alice", w.code(given, 0)); err != nil {
		t.Error("a code of what was given:", err)
	}
}

func TestBadDevices(t *testing.T) {
	w := newWorld(t)
	for want, part := range map[Wanted]string{
		{Digits: 7}:         "7 digits",
		{Period: 45}:        "a period of 45 s",
		{Algorithm: "MD5"}:  `algorithm "MD5"`,
		{Digits: -6}:        "-6 digits",
		{Name: "a\x1b[31m"}: "printable",
	} {
		_, err := w.Start(ctx, "alice", want, Consent{})
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%+v: %v", want, err)
		}
		w.events = nil
	}
	if _, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Error("something was stored")
	}
}

func TestRenameAndRemove(t *testing.T) {
	w := newWorld(t)
	_, err := w.Rename(ctx, "alice", "phone", "x")
	w.refused(err, control.ErrNotEnrolled, "not_enrolled")
	e := w.enrolled()
	if _, err := w.Set(ctx, "alice", base+"GEZDGNBVGY3TQOJQ", "fob", true); err != nil {
		t.Fatal(err)
	}
	w.events = nil
	_, err = w.Rename(ctx, "alice", "phone", "fob")
	w.refused(err, control.ErrNameTaken, "name_taken")
	_, err = w.Rename(ctx, "alice", "telephone", "x")
	w.refused(err, control.ErrNoDevice, "no_device")
	_, err = w.Rename(ctx, "alice", "phone", "a\nb")
	w.refused(err, control.ErrBadRequest, "bad_name")
	told, err := w.Rename(ctx, "alice", "phone", "old phone")
	if err != nil || told.Devices[0].Name != "old phone" || w.names() != "old phone, fob" {
		t.Fatalf("%+v, %v", told, err)
	}
	if event := w.last(); event.Kind != audit.Devices || event.Result != audit.Done || event.Device != "old phone" || event.Detail != `renamed from "phone"` {
		t.Errorf("%+v", event)
	}
	if _, err := w.Rename(ctx, "alice", "fob", "fob"); err != nil {
		t.Error("to the name it has:", err)
	}
	w.events = nil

	remove := func(name, code string) error {
		_, err := w.Remove(ctx, "alice", name, Consent{Code: code})
		return err
	}
	w.refused(remove("fob", w.code(e, 5*time.Hour)), control.ErrWrongCode, "wrong_code")
	w.refused(remove("fob", ""), control.ErrWrongCode, "malformed")
	w.refused(remove("fax", w.code(e, 0)), control.ErrNoDevice, "no_device")
	if err := remove("fob", w.code(e, 0)); err != nil {
		t.Fatal("the code was not used up by the refusal:", err)
	}
	if event := w.last(); event.Kind != audit.Devices || event.Device != "fob" || event.Detail != "removed" {
		t.Errorf("%+v", event)
	}
	w.pass(time.Minute)
	w.refused(remove("old phone", w.code(e, 0)), control.ErrLastDevice, "last_device")
	_, err = w.Remove(ctx, "alice", "old phone", Consent{Admin: true})
	w.refused(err, control.ErrLastDevice, "last_device")
	if w.names() != "old phone" {
		t.Error(w.names())
	}
}

func TestEightDevices(t *testing.T) {
	w := newWorld(t)
	e := w.enrolled()
	for n := range 7 {
		if _, err := w.Give(ctx, "alice", Wanted{}); err != nil {
			t.Fatalf("device %d: %v", n+2, err)
		}
	}
	w.events = nil
	_, err := w.Give(ctx, "alice", Wanted{})
	w.refused(err, control.ErrTooMany, "too_many")
	_, err = w.Set(ctx, "alice", base+"GEZDGNBVGY3TQOJQ", "", true)
	w.refused(err, control.ErrTooMany, "too_many")
	_, err = w.Start(ctx, "alice", Wanted{}, Consent{Code: w.code(e, 0)})
	w.refused(err, control.ErrTooMany, "too_many")
	if !strings.HasSuffix(w.names(), ", phone 8") {
		t.Error(w.names())
	}
	if _, err := w.Rename(ctx, "alice", "phone 8", "last"); err != nil {
		t.Error("an account that is full:", err)
	}
}

// Two devices that show the same codes would accept each of them twice.
func TestKeyTwice(t *testing.T) {
	w := newWorld(t)
	const uri = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQ"
	for _, differs := range []string{"", "&period=60", "&algorithm=SHA256"} {
		if _, err := w.Set(ctx, "alice", uri+differs, "", false); err != nil {
			t.Fatal(err)
		}
	}
	w.events = nil
	for _, same := range []string{"", "&digits=8", "&issuer=x"} {
		_, err := w.Set(ctx, "alice", uri+same, "", false)
		if e := w.refused(err, control.ErrNameTaken, "key_taken"); !strings.Contains(e.Message, `the device "token" has this key already`) {
			t.Error(e.Message)
		}
	}
	if n := len(w.account().Devices); n != 3 {
		t.Errorf("%d devices", n)
	}
	twice := another()
	twice.Devices = append(twice.Devices, twice.Devices[0])
	twice.Devices[2].Name = "again"
	w.refused(w.Import(ctx, twice, true, false), control.ErrBadImport, "bad_import")
}

func TestNamesThatAreNone(t *testing.T) {
	w := newWorld(t)
	w.enrolled()
	for _, name := range []string{"", " ", " phone", "phone ", "a\nb", "\xff", strings.Repeat("x", 65)} {
		_, err := w.Rename(ctx, "alice", "phone", name)
		w.refused(err, control.ErrBadRequest, "bad_name")
		if name == "" {
			continue // one that is given
		}
		_, err = w.Start(ctx, "alice", Wanted{Name: name}, Consent{Admin: true})
		w.refused(err, control.ErrBadRequest, "bad_name")
	}
}

func TestExport(t *testing.T) {
	w := newWorld(t)
	_, err := w.Export(ctx, "alice", "123456")
	w.refused(err, control.ErrNotEnrolled, "not_enrolled")
	e := w.enrolled()
	if _, err := w.Set(ctx, "alice", "otpauth://hotp/x?secret=GEZDGNBVGY3TQOJQ&counter=5", "fob", true); err != nil {
		t.Fatal(err)
	}
	w.events = nil
	_, err = w.Export(ctx, "alice", w.code(e, 5*time.Hour))
	w.refused(err, control.ErrWrongCode, "wrong_code")
	code := w.code(e, 0)
	all, err := w.Export(ctx, "alice", code)
	if err != nil || len(all.Devices) != 2 || all.Devices[0] != (control.ExportedDevice{Name: "phone", URI: e.URI}) ||
		all.Devices[1].URI != "otpauth://hotp/web1:alice@web1?counter=5&issuer=web1&secret=GEZDGNBVGY3TQOJQ" {
		t.Fatalf("%v, %v", all, err)
	}
	if event := w.last(); event.Kind != audit.Export || event.Result != audit.Done || event.Caller != "1000" || event.Device != "phone" {
		t.Errorf("%+v", event)
	}
	if printed := fmt.Sprintf("%v %+v %#v", all, all, all); strings.Contains(printed, string(e.Secret)) {
		t.Error("a key prints:", printed)
	}
	_, err = w.Export(ctx, "alice", code)
	w.refused(err, control.ErrWrongCode, "used_code")
}
