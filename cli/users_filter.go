package main

import (
	"iter"
	"path"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// usersOptions say whom to list.
type usersOptions struct {
	enrolled, notEnrolled, locked, bypass, mustEnrol, fewRecoveryCodes, broken bool
	unusedSince                                                                string
}

func (o *usersOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.BoolVar(&o.enrolled, "enrolled", false, "who has a second factor")
	f.BoolVar(&o.notEnrolled, "not-enrolled", false, "who has none")
	f.BoolVar(&o.locked, "locked", false, "who is locked")
	f.StringVar(&o.unusedSince, "unused-since", "", "whose devices were not used since this `TIME`,\nsuch as 90d or 2026-03-01")
	f.BoolVar(&o.fewRecoveryCodes, "few-recovery-codes", false, "who has less than three recovery codes left")
	f.BoolVar(&o.bypass, "bypass", false, "who has a bypass code")
	f.BoolVar(&o.mustEnrol, "must-enrol", false, "who was reset, and has not enrolled since")
	f.BoolVar(&o.broken, "broken", false, "whose record is broken")
	cmd.RegisterFlagCompletionFunc("unused-since", cobra.NoFileCompletions)
}

// filter returns who is to be listed.
func (o usersOptions) filter(pattern string, now time.Time) (func(control.Account) bool, error) {
	if _, err := path.Match(pattern, ""); err != nil {
		return nil, &misuse{quote(pattern) + " is no pattern", "totpctl users 'a*'"}
	}
	var unused time.Time
	if o.unusedSince != "" {
		var err error
		if unused, err = since(o.unusedSince, now); err != nil {
			return nil, &misuse{"--unused-since is a time such as 90d or 2026-03-01, not " + quote(o.unusedSince), "totpctl users --unused-since 90d"}
		}
	}
	if o.enrolled && o.notEnrolled {
		return nil, &misuse{"nobody has a second factor and has none", "leave --enrolled or --not-enrolled out"}
	}
	return func(a control.Account) bool {
		sound := a.Broken == "" // of others the rest isn't known
		for _, c := range []struct{ asked, fits bool }{
			{pattern != "", matches(pattern, a.User)},
			{o.broken, !sound},
			{o.enrolled, sound && a.Enrolled},
			{o.notEnrolled, sound && !a.Enrolled},
			{o.locked, sound && (a.Locked || a.LockedElsewhere)},
			{o.unusedSince != "", sound && a.Enrolled && latest(a).Before(unused)},
			{o.fewRecoveryCodes, sound && a.Enrolled && a.RecoveryLeft < fewCodes},
			{o.bypass, sound && len(a.Bypass) > 0},
			{o.mustEnrol, sound && a.MustEnrol},
		} {
			if c.asked && !c.fits {
				return false
			}
		}
		return true
	}, nil
}

func matches(pattern, user string) bool {
	ok, _ := path.Match(pattern, user)
	return ok
}

// dates returns when the first of an account's devices was added, and when the last one was used.
func dates(a control.Account) (added, used time.Time) {
	for _, d := range a.Devices {
		if added.IsZero() || d.Added.Before(added) {
			added = d.Added
		}
		if d.LastUsed.After(used) {
			used = d.LastUsed
		}
	}
	return added, used
}

// latest returns when a device was last used, or added if none was since.
func latest(a control.Account) time.Time {
	_, latest := dates(a)
	for _, d := range a.Devices {
		if d.Added.After(latest) {
			latest = d.Added
		}
	}
	return latest
}

// noting collects the names of those, fitting the pattern, whose records are broken.
func noting(users iter.Seq2[control.Account, error], pattern string, broken *[]string) iter.Seq2[control.Account, error] {
	return func(yield func(control.Account, error) bool) {
		for a, err := range users {
			if err == nil && a.Broken != "" && (pattern == "" || matches(pattern, a.User)) {
				*broken = append(*broken, a.User)
			}
			if !yield(a, err) {
				return
			}
		}
	}
}

// only yields those accounts that fit, and an error.
func only(users iter.Seq2[control.Account, error], fits func(control.Account) bool) iter.Seq2[control.Account, error] {
	return func(yield func(control.Account, error) bool) {
		for a, err := range users {
			if (err != nil || fits(a)) && !yield(a, err) {
				return
			}
		}
	}
}
