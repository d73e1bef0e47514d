package enrol

import (
	"crypto/rand"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/recovery"
)

// fill writes random bytes.
func fill(b []byte) { rand.Read(b) } // never fails: crypto/rand

// newRecoveryCodes makes the recovery codes of a user: as the person is shown them, and as they are kept.
func (s *Service) newRecoveryCodes(user string) (shown []control.Secret, kept []account.Recovery) {
	for _, code := range recovery.New(fill) {
		shown = append(shown, control.Secret(recovery.Shown(code)))
		kept = append(kept, account.Recovery{Hash: s.key.Hash(user, account.PurposeRecovery, code)})
	}
	return shown, kept
}

// equipped returns a copy of acc with one device more. A new device ends what was granted on the strength
// of those before: computers and terminals that are not asked for a code. It also ends an enrolment that
// waits: whoever began it may not have known of this device.
func equipped(acc account.Account, d account.Device) account.Account {
	acc.Devices = append(acc.Devices[:len(acc.Devices):len(acc.Devices)], d)
	acc.Pending, acc.Remembered, acc.Grace, acc.MustEnrol = nil, nil, nil, false
	return acc
}
