package audit

import (
	"encoding/json"
	"testing"
	"time"
)

const day = 24 * time.Hour

// Events are kept for as long as they should be, and hardly longer; no clock is asked.
func TestRetention(t *testing.T) {
	var r Retention
	last, old := int64(0), int64(0)
	run := func(during, keep time.Duration) {
		t.Helper()
		for since := time.Minute; since <= during; since += time.Minute {
			r.Pass(time.Minute)
			if since%time.Hour == 0 {
				last++
			}
			r.Note(last, keep)
			if o := r.Old(keep); o < old {
				t.Fatalf("%d are old after %d were", o, old)
			} else {
				old = o
			}
		}
	}
	if run(90*day-time.Hour, 90*day); old > 0 {
		t.Errorf("%d are old before their time", old)
	}
	run(30*day, 90*day)
	if want := last - 90*24; old > want || old < want-48 {
		t.Errorf("%d of %d are old, not some %d", old, last, want)
	}
	text, err := json.Marshal(r)
	var again Retention
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if n := len(r.Marks); err != nil || n > marksMost+1 || len(text) > 4000 || again.Old(90*day) != old {
		t.Errorf("%d marks, %d bytes, %v", n, len(text), err)
	}
	// Settings that keep less, or more, hold at once.
	if o := r.Old(30 * day); o < last-33*24 || o > last-30*24 {
		t.Errorf("%d of %d are older than 30 days", o, last)
	}
	if o := r.Old(300 * day); o != 0 {
		t.Errorf("%d are older than 300 days", o)
	}
	// Time that goes backwards is none.
	before := r.Ran
	if r.Pass(-day); r.Ran != before {
		t.Error(r.Ran)
	}
}
