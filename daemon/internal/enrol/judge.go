package enrol

import (
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// judge is what the codes of a user are judged by, as in a login from this host.
func (s *Service) judge(user string) verify.Judge {
	return verify.By(s.key, user, s.cfg.Skew, s.cfg.Limits)
}

// held tells of waits and locks. A wait is that of sources from where the user has not logged in.
func (s *Service) held(told *control.Account, acc account.Account, now time.Time) {
	v, known := s.judge(acc.User).Held(acc, now)
	switch {
	case known == throttle.Locked:
		told.Locked = true
	case v.Kind == throttle.Locked:
		told.LockedElsewhere = true
	case v.Kind == throttle.Wait:
		told.WaitUntil = v.Until.Round(0).UTC()
	}
}
