package verify

import (
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

// Restored returns a copy of an account that was stored some time ago and is put back now, in which no code
// of a time-based device is good that may have been used since: the next one to come is the first. What was
// only granted for a time is gone: bypass codes, computers and terminals that are not asked for a code, and
// an enrolment that waits. What can't be told is kept: a recovery code and a counter are as they were then.
func Restored(acc account.Account, skew int, now time.Time) account.Account {
	acc.Bypass, acc.Remembered, acc.Grace, acc.Pending, acc.Repeats = nil, nil, nil, nil, nil
	acc.Devices = slices.Clone(acc.Devices)
	for i := range acc.Devices {
		d := &acc.Devices[i]
		d.Recent, d.Resync = nil, nil
		present := stepAt(*d, now)
		if present < 0 {
			continue
		}
		present += int64(d.Drift)
		used := slices.Clone(d.Used)
		for s := present - int64(around(*d, clockWithin)); s <= present+int64(min(skew, SkewMax)); s++ {
			if s >= 0 && !slices.Contains(used, s) {
				used = append(used, s)
			}
		}
		d.Used = used[max(0, len(used)-account.UsedMax):]
	}
	return acc
}
