package enrol

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// Status tells what may be told of the user's account. It also drops an enrolment whose time is over.
func (s *Service) Status(ctx context.Context, user string) (control.Account, error) {
	acc, _, err := s.store.Get(ctx, user)
	if err != nil {
		return control.Account{}, s.report(ctx, audit.Enrol, "status", user).refuse(err)
	}
	acc.User = user
	if acc.Pending != nil && !s.clock().Before(acc.Pending.Expires) {
		s.forget(ctx, user)
	}
	return s.Describe(acc), nil
}

// forget drops an enrolment whose time is over. Nothing depends on it: it will not be confirmed
// either way, and what can't be written now is dropped another time.
func (s *Service) forget(ctx context.Context, user string) {
	_ = s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		if acc.Pending == nil || s.clock().Before(acc.Pending.Expires) {
			return acc, errUnchanged
		}
		acc.Pending = nil
		return acc, nil
	})
}

// Describe tells what may be told of an account.
func (s *Service) Describe(acc account.Account) control.Account {
	now := s.clock()
	tells := control.Account{
		User: acc.User, UID: acc.UID, Enrolled: acc.Enrolled(), Devices: []control.Device{}, Failures: throttle.Failures(acc),
	}
	for _, d := range acc.Devices {
		tells.Devices = append(tells.Devices, control.Device{
			Name: d.Name, Digits: d.Digits, Period: d.Period, Algorithm: string(d.Algorithm),
			Added: d.Added, LastUsed: d.LastUsed, Kind: string(d.Kind),
		})
	}
	tells.MustEnrol = acc.MustEnrol
	tells.RecoveryLeft = len(acc.Recovery)
	for _, b := range live(acc, now) {
		tells.Bypass = append(tells.Bypass, told(b))
	}
	for _, d := range acc.Devices {
		if s.key == nil { // offline
			break
		}
		if _, err := s.key.Open(acc.User, d.ID, d.Sealed); err != nil {
			tells.Broken = (&account.Broken{Why: account.SealedOtherwise}).Error()
		}
	}
	tells.Remembered = len(remembered(acc, now))
	if acc.Pending != nil && now.Before(acc.Pending.Expires) {
		tells.PendingUntil = acc.Pending.Expires
	}
	s.held(&tells, acc, now)
	return tells
}
