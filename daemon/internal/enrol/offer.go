package enrol

import (
	"context"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// Offer is the enrolment of a first device inside a login. Nothing is stored of it until its first code
// confirms it: it ends with the login that it was made for, and no other one can go on with it.
type Offer struct {
	control.Enrolment
	pending account.Pending
	source  string
}

// Offer makes one for a login from source (source.Key), which is known once the device is the user's. It waits
// for ten minutes.
func (s *Service) Offer(ctx context.Context, user, source string) (Offer, error) {
	r := s.report(ctx, audit.Enrol, "enrol", user)
	dev, made, err := s.make(user, Wanted{})
	if err != nil {
		return Offer{}, r.refuse(err)
	}
	dev.Name = "phone"
	made.Name, made.Expires = dev.Name, dev.Added.Add(pendingFor)
	r.done(audit.Started, dev.Name)
	return Offer{Enrolment: made, pending: account.Pending{Device: dev, Expires: made.Expires}, source: source}, nil
}

// Take judges the first code of an offer as Confirm does.
func (s *Service) Take(ctx context.Context, o Offer, code string) (control.Confirmation, error) {
	return s.confirm(ctx, o.User, code, &o)
}
