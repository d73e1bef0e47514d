package audit

import (
	"sync"
	"time"
)

// Allowances let each of many do something so often at once, and then once in a while.
type Allowances struct {
	AtOnce int
	Every  time.Duration
	Most   int // of whom this is known: the others share one allowance

	mu   sync.Mutex
	left map[string]allowance
}

// allowance is what is left, at a time.
type allowance struct {
	n  float64
	at time.Time
}

// theRest share an allowance.
const theRest = ""

// Take says whether who may do it once more, and counts it. A clock that is set back gives nothing, and takes
// nothing.
func (a *Allowances) Take(who string, at time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.left == nil {
		a.left = map[string]allowance{}
	}
	if _, known := a.left[who]; !known && len(a.left) >= a.Most {
		a.forget(at)
		if len(a.left) >= a.Most {
			who = theRest
		}
	}
	now := a.now(who, at)
	may := now.n >= 1
	if may {
		now.n--
	}
	a.left[who] = now
	return may
}

// now is the allowance of one at a time.
func (a *Allowances) now(who string, at time.Time) allowance {
	then, known := a.left[who]
	if !known {
		return allowance{float64(a.AtOnce), at}
	}
	earned := max(0, at.Sub(then.at).Seconds()/a.Every.Seconds())
	return allowance{min(float64(a.AtOnce), then.n+earned), at}
}

// forget drops those who have all of their allowance again: they are like those of whom nothing is known.
func (a *Allowances) forget(at time.Time) {
	for who := range a.left {
		if a.now(who, at).n >= float64(a.AtOnce) {
			delete(a.left, who)
		}
	}
}
