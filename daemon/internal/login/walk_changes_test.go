package login

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// may fails when an error says that nobody knows.
func (w *walker) may(err error) bool {
	w.t.Helper()
	var e *control.Error
	if err != nil && (!errors.As(err, &e) || e.Code == control.ErrUnavailable) {
		w.t.Fatalf("%s: %v: %+v", w.did, err, w.world.events.all[len(w.world.events.all)-1])
	}
	w.world.events.all = nil
	return err == nil
}

func (w *walker) keeps(codes []control.Secret) {
	for _, c := range codes {
		w.typed = append(w.typed, string(c))
	}
	w.count["devices"]++
}

var names = []string{"", "", "", "phone", "token", "電話", "a \"b\"", "<&>", " x", "a\nb", strings.Repeat("ä", 32), strings.Repeat("ä", 33)}

func (w *walker) name() string { return names[w.rand.Intn(len(names))] }

// consent is an admin's, or that of somebody who types something.
func (w *walker) consent() enrol.Consent {
	if w.rand.Intn(2) == 0 {
		return enrol.Consent{Admin: true}
	}
	return enrol.Consent{Code: w.answer(&Dialogue{state: asked}, w.account())}
}

func (w *walker) enrols() {
	ctx := context.Background()
	want := enrol.Wanted{
		Name: w.name(), Digits: []int{0, 6, 7, 8}[w.rand.Intn(4)], Period: []int{0, 30, 60}[w.rand.Intn(3)],
		Algorithm: []account.Algorithm{"", account.SHA256, account.SHA512}[w.rand.Intn(3)],
	}
	_, err := w.enrol.Start(ctx, "alice", want, w.consent())
	if w.may(err); w.rand.Intn(4) == 0 {
		w.time()
	}
	acc := w.account()
	if acc.Pending == nil {
		return
	}
	typed := "000000"
	if w.rand.Intn(4) > 0 && w.clock().Unix() >= 0 {
		typed = w.shows(acc.Pending.Device, w.clock().Unix()/int64(acc.Pending.Device.Period))
	}
	if c, err := w.enrol.Confirm(ctx, "alice", typed); w.may(err) {
		w.keeps(c.RecoveryCodes)
	}
}

func (w *walker) gives() {
	if e, err := w.enrol.Give(context.Background(), "alice", enrol.Wanted{Name: w.name()}); w.may(err) {
		w.keeps(e.RecoveryCodes)
	}
}

func (w *walker) sets() {
	uri := "otpauth://totp/x?secret=" + []string{"GEZDGNBVGY3TQOJQ", fmt.Sprintf("%s%s", "GEZDGNBVGY3TQOJQ", strings.Repeat("ABCD", 2*(1+w.rand.Intn(6))))}[w.rand.Intn(2)]
	switch w.rand.Intn(3) {
	case 0:
		uri = strings.Replace(uri, "totp", "hotp", 1) + "&counter=" + []string{"0", "7", "9007199254740992"}[w.rand.Intn(3)]
	case 1:
		uri += "&digits=8"
	}
	if c, err := w.enrol.Set(context.Background(), "alice", uri, w.name(), w.rand.Intn(2) == 0); w.may(err) {
		w.keeps(c.RecoveryCodes)
	}
}

// deviceName is that of a device, or none.
func (w *walker) deviceName() string {
	if acc := w.account(); acc.Enrolled() {
		return acc.Devices[w.rand.Intn(len(acc.Devices))].Name
	}
	return w.name()
}

func (w *walker) renames() {
	_, err := w.enrol.Rename(context.Background(), "alice", w.deviceName(), w.name())
	w.may(err)
}

func (w *walker) removes() {
	_, err := w.enrol.Remove(context.Background(), "alice", w.deviceName(), w.consent())
	w.may(err)
}

func (w *walker) recovers() {
	if c, err := w.enrol.NewRecoveryCodes(context.Background(), "alice", w.consent()); w.may(err) {
		w.keeps(c.Codes)
	}
}

func (w *walker) bypasses() {
	b, err := w.enrol.Bypass(context.Background(), "alice", time.Duration(w.rand.Intn(200))*time.Hour, w.rand.Intn(4))
	if w.may(err) {
		w.typed = append(w.typed, string(b.Code))
	}
}

func (w *walker) revokes() {
	id := ""
	if acc := w.account(); len(acc.Bypass) > 0 && w.rand.Intn(4) > 0 {
		id = acc.Bypass[w.rand.Intn(len(acc.Bypass))].ID
	}
	_, err := w.enrol.Revoke(context.Background(), "alice", id)
	w.may(err)
}

func (w *walker) forgets() {
	which := []control.ForgetRequest{{All: true}, {From: "192.0.2.7"}, {ID: "00000000"}, {From: "nowhere"}}[w.rand.Intn(4)]
	_, err := w.enrol.Forget(context.Background(), "alice", which)
	w.may(err)
}

func (w *walker) unlocks() {
	_, err := w.enrol.Unlock(context.Background(), "alice")
	w.may(err)
}

// imports takes up to four devices, and short recovery codes.
func (w *walker) imports() {
	from := control.ImportUser{User: "alice"}
	for i := range w.rand.Intn(5) {
		d := control.ImportDevice{
			Name: fmt.Sprintf("old %d", i), Secret: control.Secret(hex.EncodeToString([]byte(fmt.Sprintf("%020d", w.rand.Int63())))),
			Digits: 6 + 2*w.rand.Intn(2), Period: 30, Algorithm: "SHA1", Drift: w.rand.Intn(100) - 50, Used: []int64{w.now.Unix() / 30, 3},
		}
		if w.rand.Intn(3) == 0 {
			d.Kind, d.Period, d.Drift, d.Used, d.Counter = "hotp", 0, 0, nil, int64(w.rand.Intn(1000)-3)
		}
		from.Devices = append(from.Devices, d)
	}
	for range w.rand.Intn(3) {
		from.Recovery = append(from.Recovery, control.Secret(fmt.Sprintf("%08d", w.rand.Intn(4))))
	}
	if w.may(w.enrol.Import(context.Background(), from, w.rand.Intn(8) == 0, false)) {
		w.forgotten()
	}
}

// forgotten lets short recovery codes, which are made elsewhere, pay once more.
func (w *walker) forgotten() {
	for what := range w.paid {
		if strings.HasPrefix(what, "recovery") {
			delete(w.paid, what)
		}
	}
}

// seldom is what ends a walk before it gets far: the end of the account, and a backup that is put back.
func (w *walker) seldom() {
	ctx := context.Background()
	acc := w.account()
	switch w.rand.Intn(12) {
	case 0:
		w.may(w.enrol.Disable(ctx, "alice"))
	case 1:
		w.may(w.enrol.DisableWithCode(ctx, "alice", w.answer(&Dialogue{state: asked}, acc)))
	case 2:
		_, err := w.enrol.Reset(ctx, "alice")
		w.may(err)
	case 3, 4, 5:
		w.backups = append(w.backups, acc)
	case 6, 7:
		if len(w.backups) == 0 {
			return
		}
		if err := w.disk.Replace(ctx, verify.Restored(w.backups[w.rand.Intn(len(w.backups))], 1, w.now)); err != nil {
			w.t.Fatalf("%s: a backup can't be put back: %v", w.did, err)
		}
		w.paid, w.seen = map[string]int{}, map[string]map[int64]int{}
	}
}
