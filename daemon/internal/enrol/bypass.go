package enrol

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/recovery"
)

// Limits of a bypass code.
const (
	bypassShortest = time.Minute
	bypassLongest  = 7 * 24 * time.Hour
	bypassUsesMax  = 20
)

// bypassIDSize is how many letters the ID of a bypass code has.
const bypassIDSize = 6

// Bypass makes a code that lets the user in, for a time and a number of logins, without a device.
func (s *Service) Bypass(ctx context.Context, user string, lasts time.Duration, uses int) (control.BypassCode, error) {
	r := s.report(ctx, audit.Bypass, "bypass", user)
	switch {
	case lasts < bypassShortest || lasts > bypassLongest:
		return control.BypassCode{}, r.refuse(badBypass("a bypass code lasts from 1 minute to 7 days"))
	case uses < 1 || uses > bypassUsesMax:
		return control.BypassCode{}, r.refuse(badBypass(fmt.Sprintf("a bypass code has 1 to %d uses", bypassUsesMax)))
	}
	code := recovery.NewBypass(fill)
	made := account.Bypass{
		ID: rand.Text()[:bypassIDSize], Hash: s.key.Hash(user, account.PurposeBypass, code), By: audit.CallerOf(ctx), Uses: uses,
	}
	err := s.change(ctx, r, user, Consent{Admin: true}, func(acc account.Account, now time.Time) (account.Account, error) {
		acc.Bypass = live(acc, now)
		if len(acc.Bypass) >= account.BypassMax {
			return acc, errTooManyBypasses
		}
		made.Made = now.Round(0).UTC()
		made.Expires = made.Made.Add(lasts)
		acc.Bypass = append(acc.Bypass, made)
		return acc, nil
	})
	if err != nil {
		return control.BypassCode{}, err
	}
	r.event.Detail = fmt.Sprintf("made %s: until %s, uses %d", made.ID, made.Expires.Format(time.RFC3339), uses)
	r.done(audit.Done, "")
	return control.BypassCode{User: user, Code: control.Secret(recovery.Shown(code)), Bypass: told(made)}, nil
}

func badBypass(message string) *refusal {
	return &refusal{code: control.ErrBadRequest, reason: "bad_bypass", message: message}
}

// Revoke ends one bypass code, or all of them where no ID is given. It says how many.
func (s *Service) Revoke(ctx context.Context, user, id string) (control.Revoked, error) {
	r := s.report(ctx, audit.Bypass, "bypass", user)
	var ended int
	err := s.change(ctx, r, user, Consent{Admin: true}, func(acc account.Account, now time.Time) (account.Account, error) {
		now = now.Round(0)
		kept := slices.DeleteFunc(live(acc, now), func(b account.Bypass) bool { return id == "" || b.ID == id })
		ended = len(live(acc, now)) - len(kept)
		if ended == 0 && id != "" {
			return acc, errNoBypass
		}
		acc.Bypass = kept
		return acc, nil
	})
	if err != nil {
		return control.Revoked{}, err
	}
	r.event.Detail = fmt.Sprintf("revoked %d", ended)
	if id != "" {
		r.event.Detail = "revoked " + id
	}
	r.done(audit.Done, "")
	return control.Revoked{User: user, Revoked: ended}, nil
}

// live returns the bypass codes whose time isn't over, in a list of their own.
func live(acc account.Account, now time.Time) []account.Bypass {
	return slices.DeleteFunc(slices.Clone(acc.Bypass), func(b account.Bypass) bool { return !b.Live(now) })
}

// told is what may be told of a bypass code.
func told(b account.Bypass) control.Bypass {
	return control.Bypass{ID: b.ID, By: b.By, Made: b.Made, Expires: b.Expires, Uses: b.Uses}
}
