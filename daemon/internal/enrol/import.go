package enrol

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/recovery"
)

// driftMax is how far off a device's clock may be to be taken over: beyond, none of its codes would ever
// be accepted.
const driftMax = 20 * time.Minute

// Import gives the user named in from what another program kept of them, as a whole or not at all, and
// unconfirmed. Whoever is enrolled already is refused, unless what they have is to be replaced. With dry,
// it says only whether it would be done.
func (s *Service) Import(ctx context.Context, from control.ImportUser, replace, dry bool) error {
	r := s.report(ctx, audit.Enrol, "import", from.User)
	r.silent = dry
	devices, err := s.devicesOf(from)
	if err != nil {
		return r.refuse(err)
	}
	codes, err := s.shortCodesOf(from)
	if err != nil {
		return r.refuse(err)
	}
	change := func(acc account.Account) (account.Account, error) {
		before := acc
		switch {
		case acc.Enrolled() && !replace:
			return acc, errHasOwn
		case acc.Enrolled():
			acc = account.Account{User: acc.User, Password: acc.Password, Extra: acc.Extra}
		}
		acc.Devices = nil
		for _, d := range devices {
			err := s.newKey(acc, d)
			if err != nil {
				return acc, badImport(err.Error())
			}
			if d, err = s.goingOn(before, d); err != nil {
				return acc, err
			}
			if acc, err = equipped(acc, d); err != nil {
				return acc, err
			}
		}
		acc.Recovery = codes
		if err := acc.Valid(); err != nil {
			return acc, badImport(err.Error())
		}
		return acc, nil
	}
	if dry {
		acc, _, err := s.store.Get(ctx, from.User)
		if err == nil {
			_, err = change(acc)
		}
		if err != nil {
			return r.refuse(err)
		}
		return nil
	}
	if err := s.store.Update(ctx, from.User, change); err != nil {
		return r.refuse(err)
	}
	r.event.Reason = "import"
	r.done(audit.Done, devices[0].Name)
	return nil
}

// goingOn returns the device with what is known of it from before: the codes that were used here don't become
// good again where it takes the place of itself.
func (s *Service) goingOn(before account.Account, d account.Device) (account.Device, error) {
	i, err := s.withKeyOf(before, d)
	if err != nil || i < 0 {
		return d, err
	}
	old := before.Devices[i]
	used := slices.DeleteFunc(slices.Clone(d.Used), func(step int64) bool { return slices.Contains(old.Used, step) })
	used = append(used, old.Used...)
	d.Used = used[max(0, len(used)-account.UsedMax):]
	d.Counter = max(d.Counter, old.Counter)
	return d, nil
}

// devicesOf makes the devices, each with its secret sealed.
func (s *Service) devicesOf(from control.ImportUser) ([]account.Device, error) {
	if len(from.Devices) == 0 {
		return nil, badImport("no device")
	}
	var all []account.Device
	for i, f := range from.Devices {
		d, err := s.deviceOf(from.User, f)
		if err != nil {
			return nil, badImport(fmt.Sprintf("device %d: %v", i+1, err))
		}
		all = append(all, d)
	}
	return all, nil
}

func (s *Service) deviceOf(user string, f control.ImportDevice) (account.Device, error) {
	secret, err := hex.DecodeString(string(f.Secret))
	defer clear(secret)
	switch {
	case err != nil:
		return account.Device{}, fmt.Errorf("its secret is not hexadecimal") // err may quote it
	case f.Counter > otpauth.CounterMax:
		return account.Device{}, fmt.Errorf("its counter is beyond %d", int64(otpauth.CounterMax))
	}
	if err := otpauth.Sized(secret); err != nil {
		return account.Device{}, err
	}
	drift, period := max(-10_000, min(f.Drift, 10_000)), max(0, min(f.Period, 3600)) // no product overflows
	if off := time.Duration(drift) * time.Duration(period) * time.Second; off > driftMax || off < -driftMax {
		return account.Device{}, fmt.Errorf("its clock is %v off, at most %v are taken: set it right first", off.Abs(), driftMax)
	}
	d := account.Device{
		ID: rand.Text(), Name: f.Name, Digits: f.Digits, Period: f.Period, Algorithm: account.Algorithm(f.Algorithm),
		Kind: account.Kind(f.Kind), Counter: f.Counter, Drift: f.Drift, Used: slices.Clone(f.Used),
		Added: s.clock().Round(0).UTC(),
	}
	d.Sealed = s.key.Seal(user, d.ID, secret)
	return d, d.Valid()
}

// shortCodesOf keeps the recovery codes made elsewhere as keyed hashes.
func (s *Service) shortCodesOf(from control.ImportUser) ([]account.Recovery, error) {
	var all []account.Recovery
	for i, typed := range from.Recovery {
		code, kind := recovery.Normal(string(typed))
		if kind != recovery.Digits || len(code) != 8 {
			return nil, badImport(fmt.Sprintf("recovery code %d: not 8 digits", i+1))
		}
		all = append(all, account.Recovery{Hash: s.key.Hash(from.User, account.PurposeRecovery, code), Short: true})
	}
	return all, nil
}

// errHasOwn leaves somebody alone who is enrolled.
var errHasOwn = &refusal{code: control.ErrAlreadyEnrolled, reason: "already_enrolled", message: "already enrolled"}

// badImport is what can't be taken over.
func badImport(why string) *refusal {
	return &refusal{code: control.ErrBadImport, reason: "bad_import", message: why}
}
