package audit

import (
	"fmt"
	"sync"
	"time"
)

// tellEvery is how often a line says how many were left out.
const tellEvery = time.Minute

// authorsMax is how many authors such lines name.
const authorsMax = 20

// Limit keeps one author from filling the journal, and pushing out the lines of others: each has so many lines at
// once, and then one a second. How many were left out is told.
type Limit struct {
	allow Allowances
	say   func(string)
	after func(time.Duration, func())

	mu   sync.Mutex
	left map[string]int // lines that were left out since that was last said, by author
}

// NewLimit returns a limit of so many lines at once. say writes what was left out.
func NewLimit(atOnce int, say func(string)) *Limit {
	return &Limit{
		allow: Allowances{AtOnce: atOnce, Every: time.Second, Most: 4096}, say: say, left: map[string]int{},
		after: func(d time.Duration, f func()) { time.AfterFunc(d, f) },
	}
}

// Allows says whether who may have a line more.
func (l *Limit) Allows(who string, at time.Time) bool {
	if l.allow.Take(who, at) {
		return true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.left[who]; !known && len(l.left) >= authorsMax {
		who = "others"
	}
	if l.left[who]++; len(l.left) == 1 && l.left[who] == 1 {
		l.after(tellEvery, l.tell)
	}
	return false
}

// allowsEvent says whether an event has a line. What was judged always has one.
func (l *Limit) allowsEvent(e *Event) bool {
	if e.Judged() {
		return true
	}
	who := e.author()
	if e.Asker != "" {
		who += ", asked for by " + e.Asker
	}
	return l.Allows(who, e.At)
}

// tell says what was left out.
func (l *Limit) tell() {
	l.mu.Lock()
	left := l.left
	l.left = map[string]int{}
	l.mu.Unlock()
	for who, n := range left {
		l.say(fmt.Sprintf("%d more lines about %s were left out", n, quoted(who)))
	}
}
