package enrol

import (
	"context"
	"crypto/rand"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
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

// NewRecoveryCodes takes the place of the recovery codes that are left with new ones.
func (s *Service) NewRecoveryCodes(ctx context.Context, user string, consent Consent) (control.RecoveryCodes, error) {
	r := s.report(ctx, audit.Recovery, "recovery-codes new", user)
	codes, hashed := s.newRecoveryCodes(user)
	err := s.change(ctx, r, user, consent, func(acc account.Account, _ time.Time) (account.Account, error) {
		if !acc.Enrolled() {
			return acc, errNotEnrolled
		}
		acc.Recovery = hashed
		return acc, nil
	})
	if err != nil {
		return control.RecoveryCodes{}, err
	}
	r.done(audit.Done, r.event.Device)
	return control.RecoveryCodes{User: user, Codes: codes}, nil
}
