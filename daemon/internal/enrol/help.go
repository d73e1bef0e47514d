package enrol

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// Unlock forgets all failures of a user, with codes and with passwords. Everything else is kept. It is how
// root helps whoever is locked.
func (s *Service) Unlock(ctx context.Context, user string) (control.Unlocked, error) {
	r := s.report(ctx, audit.Unlock, "unlock", user)
	var before account.Account
	err := s.store.Update(ctx, user, func(acc account.Account) (account.Account, error) {
		before = acc
		acc = throttle.Unlock(acc)
		acc.Password = account.Attempts{}
		return acc, nil
	})
	if err != nil {
		return control.Unlocked{}, r.refuse(err)
	}
	r.done(audit.Done, "")
	return control.Unlocked{User: user, Failures: throttle.Failures(before) + before.WrongRecovery.Failures, Passwords: before.Password.Failures}, nil
}

// Reset takes everything away that the user has, readable or not, and has the next login enrol.
func (s *Service) Reset(ctx context.Context, user string) (control.Account, error) {
	r := s.report(ctx, audit.Reset, "reset", user)
	acc := account.Account{User: user, MustEnrol: true}
	if err := s.store.Replace(ctx, acc); err != nil {
		return control.Account{}, r.refuse(err)
	}
	r.done(audit.Done, "")
	return s.Describe(acc), nil
}

// Show tells everything that an admin may be told of the account.
func (s *Service) Show(ctx context.Context, user string) (control.Shown, error) {
	acc, _, err := s.store.Get(ctx, user)
	if err != nil {
		return control.Shown{}, s.report(ctx, audit.Control, "show", user).refuse(err)
	}
	acc.User = user
	shown := control.Shown{
		Account: s.Describe(acc), Passwords: acc.Password.Failures, Computers: remembered(acc, s.clock()), Sources: []control.Source{}, Logins: []control.LogEntry{},
	}
	for _, s := range acc.Sources {
		shown.Sources = append(shown.Sources, control.Source{From: s.Key, Used: s.Used, Failures: s.Failures})
	}
	return shown, nil
}
