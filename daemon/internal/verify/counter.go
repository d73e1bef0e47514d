package verify

import (
	"slices"

	"github.com/totpd/totpd/daemon/internal/account"
)

const (
	lookAhead   = 5   // codes after the next one that are accepted: RFC 4226 §7.2
	resyncAhead = 100 // how far ahead a code is found whose successor is accepted: RFC 4226 §7.4
)

// counts is matches of an event-based device.
func (a attempt) counts(d account.Device, key []byte) []match {
	candidates := counters(d, 0, lookAhead)
	if resyncs(d, a.now) && d.Resync.Step >= d.Counter && !slices.Contains(candidates, d.Resync.Step+1) {
		candidates = append(candidates, d.Resync.Step+1)
	}
	last := d.Counter - 1
	if !d.LastUsed.IsZero() && last >= 0 { // else it isn't known who has used it
		candidates = append(candidates, last)
	}
	var found []match
	for _, count := range matching(d, key, a.text, candidates) {
		if count == last {
			found = append(found, match{out: Outcome{Kind: Replayed, Step: count}})
			continue
		}
		after := d
		after.Counter, after.Resync, after.LastUsed = count+1, nil, a.now.Round(0).UTC()
		found = append(found, match{Outcome{Kind: Accepted, Step: count}, after})
	}
	return found
}

// ahead is elsewhere of an event-based device. The person isn't told: the code becomes good if the device is
// used without totpd knowing up to there, and can't be used up alone.
func (a attempt) ahead(d account.Device, key []byte) (account.Device, bool) {
	found := matching(d, key, a.text, counters(d, lookAhead+1, resyncAhead))
	if len(found) == 0 {
		return d, false
	}
	d.Resync = &account.Resync{Step: found[0], At: a.now.Round(0).UTC()}
	return d, true
}

// counters returns the device's counters from the first to the last after its next one.
func counters(d account.Device, first, last int64) []int64 {
	var all []int64
	for i := first; i <= last; i++ {
		all = append(all, d.Counter+i)
	}
	return all
}
