package enrol

import (
	"context"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// Export hands out the keys of the user's devices, as otpauth URIs, for another system. It is the only way
// in which a key leaves totpd again: its caller is root, and the owner consents with a code.
func (s *Service) Export(ctx context.Context, user, code string) (control.Export, error) {
	r := s.report(ctx, audit.Export, "export", user)
	var devices []account.Device
	err := s.change(ctx, r, user, Consent{Code: code}, func(acc account.Account, _ time.Time) (account.Account, error) {
		devices = acc.Devices
		return acc, nil
	})
	if err != nil {
		return control.Export{}, err
	}
	all := control.Export{User: user}
	for _, d := range devices {
		secret, err := s.key.Open(user, d.ID, d.Sealed)
		if err != nil {
			return control.Export{}, r.refuse(brokenSecret(err))
		}
		uri, err := newURI(s.cfg.Issuer, user, s.cfg.Host, d, secret)
		if err != nil {
			return control.Export{}, r.refuse(badSettings(err))
		}
		all.Devices = append(all.Devices, control.ExportedDevice{Name: d.Name, URI: control.Secret(uri)})
	}
	r.done(audit.Done, r.event.Device)
	return all, nil
}
