package enrol

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// Adopt gives a user the account that is kept under a name: the user's own, which knows another uid, or that of the
// user's former name. Its caller has made sure that nobody else owns it. Codes that are bound to the former name, and
// remembered computers, are not taken along.
func (s *Service) Adopt(ctx context.Context, is account.Identity, from string) (control.Account, error) {
	r := s.report(ctx, audit.Enrol, "adopt", is.Name)
	r.event.Reason = "adopted"
	var now account.Account
	if from == is.Name {
		err := s.store.Update(ctx, is.Name, func(acc account.Account) (account.Account, error) {
			if !acc.Holds() {
				return acc, errNotEnrolled
			}
			acc.UID = &is.UID
			now = acc
			return acc, nil
		})
		if err != nil {
			return control.Account{}, r.refuse(err)
		}
		r.done(audit.Done, "")
		return s.Describe(now), nil
	}
	r.event.Detail = "the account of " + from
	former, _, err := s.store.Get(ctx, from)
	if err == nil {
		err = s.move(ctx, former, is, &now)
	}
	if err == nil {
		// Until this is done, the former name has it too, as whoever has that name has another uid.
		err = s.store.Delete(ctx, from)
	}
	if err != nil {
		return control.Account{}, r.refuse(err)
	}
	r.done(audit.Done, "")
	return s.Describe(now), nil
}

// move stores a copy of an account for a user who has none.
func (s *Service) move(ctx context.Context, former account.Account, is account.Identity, now *account.Account) error {
	switch {
	case !former.Enrolled() && !former.MustEnrol:
		return errNotEnrolled
	case former.UID != nil && *former.UID != is.UID:
		return errOtherUID
	}
	moved := account.Account{
		User: is.Name, UID: &is.UID, Codes: former.Codes, Password: former.Password, MustEnrol: former.MustEnrol,
		Spent: former.Spent, Sources: former.Sources, Strangers: former.Strangers, WrongRecovery: former.WrongRecovery,
		Extra: former.Extra,
	}
	for _, d := range former.Devices {
		secret, err := s.key.Open(former.User, d.ID, d.Sealed)
		if err != nil {
			return brokenSecret(err)
		}
		d.Sealed = s.key.Seal(is.Name, d.ID, secret)
		clear(secret)
		moved.Devices = append(moved.Devices, d)
	}
	return s.store.Update(ctx, is.Name, func(acc account.Account) (account.Account, error) {
		if acc.Enrolled() || acc.MustEnrol {
			return acc, errHasAccount
		}
		*now = moved
		return moved, nil
	})
}
