package audit

import "time"

// Retention says which events are old. It goes by how long the daemon has run, and by marks of how far the history
// had got when: no clock that was set, and no event's own time, which a wrong clock may have written, makes
// anything old. While the daemon doesn't run, nothing gets older. It is pure, and its values can be stored.
type Retention struct {
	Ran   time.Duration `json:"ran"`   // in all, in nanoseconds
	Marks []Mark        `json:"marks"` // the oldest first
}

// Mark says that all events up to Last were there once the daemon had run for At.
type Mark struct {
	At   time.Duration `json:"at"`
	Last int64         `json:"last"`
}

// marksMost is how many marks there are for the days that events are kept: they go in as many portions.
const marksMost = 64

// Pass counts time that the daemon has run.
func (r *Retention) Pass(passed time.Duration) { r.Ran += max(0, passed) }

// Note marks that the newest event is last, unless there is a mark that is recent enough.
func (r *Retention) Note(last int64, keep time.Duration) {
	if n := len(r.Marks); n > 0 && (r.Marks[n-1].Last >= last || r.Ran-r.Marks[n-1].At < keep/marksMost) {
		return
	}
	r.Marks = append(r.Marks, Mark{r.Ran, last})
}

// Old returns the ID of the newest event that is older than keep, 0 where there is none, and drops the marks
// before that.
func (r *Retention) Old(keep time.Duration) (old int64) {
	for len(r.Marks) > 0 && r.Ran-r.Marks[0].At >= keep {
		old = r.Marks[0].Last
		if len(r.Marks) == 1 || r.Ran-r.Marks[1].At < keep {
			break
		}
		r.Marks = r.Marks[1:]
	}
	return old
}
