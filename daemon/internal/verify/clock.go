package verify

import (
	"crypto/subtle"
	"slices"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
)

// SkewMax is the largest skew that is honoured: the whole window must stay below account.UsedMax.
const SkewMax = 10

const (
	// resyncTime is for how long a code that was right at another time waits for its successor.
	resyncTime = 5 * time.Minute
	// successors is how many codes after it are successors: people miss one.
	successors = 2
	// learnWithin is how far off a device's clock may be learnt from codes of the window alone.
	learnWithin = 5 * time.Minute
)

// match is a code of a device that an answer is.
type match struct {
	out    Outcome
	device account.Device // of Accepted: as it is after the use
}

// matches returns what the answer is to the device, in the order in which it counts.
func (a attempt) matches(d account.Device, key []byte) []match {
	if d.Kind == account.HOTP {
		return a.counts(d, key)
	}
	last, own := usedBy(d, a.login, a.now)
	inside := a.window(d, a.now)
	candidates := slices.Clone(inside)
	if own && !slices.Contains(candidates, last) {
		candidates = append(candidates, last)
	}
	waiting := resyncs(d, a.now)
	if waiting {
		for i := range int64(successors + 1) { // and itself, which is used up
			if step := d.Resync.Step + i; !slices.Contains(candidates, step) && a.plausible(d, step) {
				candidates = append(candidates, step)
			}
		}
	}
	var found []match
	for _, step := range matching(d, key, a.text, candidates) {
		m := match{out: Outcome{Kind: Replayed, Step: step}}
		switch {
		case own && step == last:
			m.out.Kind = Repeated
		case !slices.Contains(d.Used, step):
			m.out.Kind, m.device = Accepted, a.use(d, step, slices.Contains(inside, step))
		}
		found = append(found, m)
	}
	return found
}

// window is the steps whose codes are due: Skew around where the device's clock is.
func (j Judge) window(d account.Device, now time.Time) []int64 {
	return steps(d, d.Drift, min(j.Skew, SkewMax), now)
}

// plausible says whether the step is one that a device could show whose clock is off within limits.
func (a attempt) plausible(d account.Device, step int64) bool {
	present := stepAt(d, a.now)
	return present >= 0 && step >= 0 && abs(step-present) <= int64(around(d, clockWithin)+successors)
}

// use returns the device after the use of a step by the login. What it shows of the device's clock is learnt.
func (a attempt) use(d account.Device, step int64, due bool) account.Device {
	off := int(step - stepAt(d, a.now))
	if due {
		d.Drift = a.learn(d, off)
	} else {
		d.Drift = off
	}
	d = Use(d, step, a.now)
	d.Resync = nil
	if len(a.login.Mark) > 0 {
		d.Recent = append(d.Recent, account.Recent{Step: step, Mark: slices.Clone(a.login.Mark), At: d.LastUsed})
		d.Recent = d.Recent[max(0, len(d.Recent)-account.RecentMax):]
	}
	return d
}

// learn is the drift of the device after a code that was off steps from the present one, RFC 6238 §6. It
// follows two codes in a row that are off to the same side, by the less of the two: people type a code after
// it was shown, some later than others, and none before.
func (a attempt) learn(d account.Device, off int) int {
	if len(d.Used) == 0 || d.LastUsed.IsZero() {
		return d.Drift
	}
	before := int(d.Used[len(d.Used)-1] - stepAt(d, d.LastUsed))
	if before < d.Drift-a.Skew || before > d.Drift+a.Skew {
		return d.Drift // the step was used up in another way
	}
	drift := d.Drift
	switch {
	case off > drift && before > drift:
		drift = min(off, before)
	case off < drift && before < drift:
		drift = max(off, before)
	}
	if most := around(d, learnWithin); abs(int64(drift)) > int64(most) && abs(int64(drift)) > abs(int64(d.Drift)) {
		return d.Drift
	}
	return drift
}

// elsewhere finds out whether a wrong code was right at another time. It returns the device that accepts the
// successors of that code, and by how much the device's clock is ahead, for the person to be told: 0 when the
// code may be one that has just expired.
//
// It gives nothing away. That code is used up, so it will not be accepted when its time comes, and its
// successors are as secret as any. A guesser gains from them what Judge.odds counts, for resyncTime.
func (a attempt) elsewhere(d account.Device, key []byte) (mended account.Device, off time.Duration, found bool) {
	if d.Kind == account.HOTP {
		d, found = a.ahead(d, key)
		return d, 0, found
	}
	if d.Period <= 0 {
		return d, 0, false
	}
	inside := a.window(d, a.now)
	for _, step := range matching(d, key, a.text, steps(d, 0, around(d, clockWithin), a.now)) {
		if slices.Contains(d.Used, step) || slices.Contains(inside, step) {
			continue
		}
		d.Used = usedUp(d.Used, step)
		d.Recent = stillUsed(d.Recent, d.Used, a.now)
		d.Resync = &account.Resync{Step: step, At: a.now.Round(0).UTC()}
		if off = offset(d, step, a.now); expired(off) {
			off = 0
		}
		return d, off, true
	}
	return d, 0, false
}

// resyncs says whether the device waits for a successor.
func resyncs(d account.Device, now time.Time) bool {
	if d.Resync == nil {
		return false
	}
	ago := now.Sub(d.Resync.At)
	return ago >= 0 && ago <= resyncTime
}

// odds are those of one guess at the codes that the account accepts now, in hundred-millionths, and without
// what is accepted for a resynchronisation alone. A guess has 6 digits or 8: the better ones count.
func (j Judge) odds(acc account.Account, now time.Time) (odds, usual int) {
	var all, without [2]int // of 6 and of 8 digits
	for _, d := range acc.Devices {
		codes, more, shape, worth := max(0, 2*min(j.Skew, SkewMax)+1), successors, 0, 100
		if d.Kind == account.HOTP {
			codes, more = lookAhead+1, 1
		}
		if d.Digits == 8 {
			shape, worth = 1, 1
		}
		without[shape] += codes * worth
		if all[shape] += codes * worth; resyncs(d, now) {
			all[shape] += more * worth
		}
	}
	for _, r := range acc.Recovery {
		if r.Short {
			all[1]++
			without[1]++
		}
	}
	return max(all[0], all[1]), max(without[0], without[1])
}

// usedBy returns the step that login used just now, with a daemon before this one, and whether it did.
func usedBy(d account.Device, login Login, now time.Time) (step int64, own bool) {
	for _, r := range d.Recent {
		if justNow(r.At, now) && r.At.Before(login.Since) && subtle.ConstantTimeCompare(login.Mark, r.Mark) == 1 {
			return r.Step, true
		}
	}
	return 0, false
}

// Use returns a copy of the device in which the code of step is used up, by no login.
func Use(d account.Device, step int64, now time.Time) account.Device {
	d.Used = usedUp(d.Used, step)
	d.Recent = stillUsed(d.Recent, d.Used, now)
	d.LastUsed = now.Round(0).UTC()
	return d
}

// usedUp returns the used steps with one more. Of more than account.UsedMax the oldest use is forgotten, not
// the lowest step: after a clock was wrong, the steps of the right time may be the lower ones.
func usedUp(used []int64, step int64) []int64 {
	used = append(slices.Clone(used), step)
	return slices.Delete(used, 0, max(0, len(used)-account.UsedMax))
}

// stillUsed returns those uses of the last moments whose steps are still known.
func stillUsed(recent []account.Recent, used []int64, now time.Time) []account.Recent {
	return slices.DeleteFunc(slices.Clone(recent), func(r account.Recent) bool {
		return !justNow(r.At, now) || !slices.Contains(used, r.Step)
	})
}
