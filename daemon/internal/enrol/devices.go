package enrol

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// Rename gives a device another name. Nothing else changes by it.
func (s *Service) Rename(ctx context.Context, user, from, to string) (control.Account, error) {
	r := s.report(ctx, audit.Devices, "devices rename", user)
	r.event.Detail = fmt.Sprintf("renamed from %q", from)
	return s.reshape(ctx, r, user, to, Consent{Admin: true}, func(acc account.Account) (account.Account, error) {
		i := named(acc, from)
		if i < 0 {
			return acc, noDevice(from)
		}
		if from == to {
			return acc, nil
		}
		name, err := free(acc, to, "")
		if err != nil {
			return acc, err
		}
		acc.Devices = slices.Clone(acc.Devices)
		acc.Devices[i].Name = name
		return acc, nil
	})
}

// Remove takes one of several devices away. The last one goes with Disable.
func (s *Service) Remove(ctx context.Context, user, name string, consent Consent) (control.Account, error) {
	r := s.report(ctx, audit.Devices, "devices remove", user)
	r.event.Detail = "removed"
	return s.reshape(ctx, r, user, name, consent, func(acc account.Account) (account.Account, error) {
		i := named(acc, name)
		switch {
		case i < 0:
			return acc, noDevice(name)
		case len(acc.Devices) == 1:
			return acc, errLastDevice
		}
		acc.Devices = slices.Delete(slices.Clone(acc.Devices), i, i+1)
		return acc, nil
	})
}

// reshape changes the list of devices and tells what it is then. device is the one that it is about.
func (s *Service) reshape(ctx context.Context, r *report, user, device string, consent Consent, then func(account.Account) (account.Account, error)) (control.Account, error) {
	var after account.Account
	err := s.change(ctx, r, user, consent, func(acc account.Account, _ time.Time) (account.Account, error) {
		if !acc.Enrolled() {
			return acc, errNotEnrolled
		}
		var err error
		after, err = then(acc)
		return after, err
	})
	if err != nil {
		return control.Account{}, err
	}
	r.done(audit.Done, device)
	return s.Describe(after), nil
}

// equipped returns a copy of acc with one device more, if there is room. A new device ends what was granted on the strength
// of those before: computers and terminals that are not asked for a code. It also ends an enrolment that
// waits: whoever began it may not have known of this device.
func equipped(acc account.Account, d account.Device) (account.Account, error) {
	if len(acc.Devices) >= account.DevicesMax {
		return acc, errTooManyDevices
	}
	acc.Devices = append(slices.Clone(acc.Devices), d)
	acc.Pending, acc.Remembered, acc.Grace, acc.MustEnrol = nil, nil, nil, false
	return acc, nil
}

// newKey refuses a device that would show the same codes as one that is there: each of them would be good once
// for either.
func (s *Service) newKey(acc account.Account, d account.Device) error {
	i, err := s.withKeyOf(acc, d)
	if err != nil {
		return err
	}
	if i >= 0 {
		return &refusal{code: control.ErrNameTaken, reason: "key_taken", message: fmt.Sprintf("the device %q has this key already", acc.Devices[i].Name)}
	}
	return nil
}

// withKeyOf returns which of the account's devices shows the same codes as d, or -1.
func (s *Service) withKeyOf(acc account.Account, d account.Device) (int, error) {
	secret, err := s.key.Open(acc.User, d.ID, d.Sealed)
	if err != nil {
		return -1, brokenSecret(err)
	}
	return slices.IndexFunc(acc.Devices, func(o account.Device) bool {
		if o.Kind != d.Kind || o.Period != d.Period || o.Algorithm != d.Algorithm {
			return false
		}
		its, err := s.key.Open(acc.User, o.ID, o.Sealed)
		return err == nil && subtle.ConstantTimeCompare(its, secret) == 1
	}), nil
}

// free returns the name of one device more: the wanted one, if no device has it, or when none is wanted the
// other one, if there is one, with a number behind it where that is needed.
func free(acc account.Account, want, otherwise string) (string, error) {
	if want != "" || otherwise == "" {
		err := account.ValidName(want)
		if err == nil && strings.TrimSpace(want) != want {
			err = errors.New("a device name neither begins nor ends with a space")
		}
		if err != nil {
			return "", &refusal{code: control.ErrBadRequest, reason: "bad_name", message: err.Error()}
		}
		if named(acc, want) >= 0 {
			return "", &refusal{code: control.ErrNameTaken, reason: "name_taken", message: fmt.Sprintf("there is a device %q already", want)}
		}
		return want, nil
	}
	name := otherwise
	for n := 2; named(acc, name) >= 0; n++ {
		name = fmt.Sprintf("%s %d", otherwise, n)
	}
	return name, nil
}

// named returns which device has this name, or -1.
func named(acc account.Account, name string) int {
	return slices.IndexFunc(acc.Devices, func(d account.Device) bool { return d.Name == name })
}

func noDevice(name string) *refusal {
	return &refusal{code: control.ErrNoDevice, reason: "no_device", message: fmt.Sprintf("there is no device %.64q", name)}
}
