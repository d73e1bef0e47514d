// Package share divides a few slots among many who want one, so that nobody's wish keeps others out.
// It owns who holds how many slots; what is done with a slot is decided elsewhere.
//
// Always true: nobody holds more slots than are left free. So one requester takes at most half of them, two
// take a third each, and somebody who holds none gets one at once, until there are as many requesters as
// slots. Of those who wait, the one who holds the fewest comes first.
package share

import (
	"context"
	"slices"
	"sync"
)

// Slots are what is divided. The zero value has none.
type Slots struct {
	each int

	mu      sync.Mutex
	free    int
	held    map[string]int
	waiting []*waiter // in the order in which they came
}

type waiter struct {
	who     string
	granted chan struct{}
}

// New returns n slots, of which nobody holds more than each.
func New(n, each int) *Slots { return &Slots{each: each, free: n, held: map[string]int{}} }

// Take waits for a slot for the requester of ctx, and returns what gives it back. It returns ctx's error when
// ctx ends first.
func (s *Slots) Take(ctx context.Context) (giveBack func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiter{who: Requester(ctx), granted: make(chan struct{})}
	s.mu.Lock()
	s.waiting = append(s.waiting, w)
	s.grant()
	s.mu.Unlock()
	back := sync.OnceFunc(func() { s.giveBack(w) })
	select {
	case <-w.granted:
		return back, nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	i := slices.Index(s.waiting, w)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	s.mu.Unlock()
	if i < 0 { // granted just now
		back()
	}
	return nil, ctx.Err()
}

func (s *Slots) giveBack(w *waiter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free++
	if s.held[w.who]--; s.held[w.who] == 0 {
		delete(s.held, w.who)
	}
	s.grant()
}

// grant gives slots to those who wait, as long as somebody may have one.
func (s *Slots) grant() {
	for s.free > 0 {
		next := -1
		for i, w := range s.waiting {
			has := s.held[w.who]
			if has < s.free && has < s.each && (next < 0 || has < s.held[s.waiting[next].who]) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := s.waiting[next]
		s.waiting = slices.Delete(s.waiting, next, next+1)
		s.free--
		s.held[w.who]++
		close(w.granted)
	}
}

type requesterKey struct{}

// With returns a context that says whose share is used.
func With(ctx context.Context, requester string) context.Context {
	return context.WithValue(ctx, requesterKey{}, requester)
}

// Requester returns whose share is used, "" where nobody is named: the daemon itself.
func Requester(ctx context.Context) string {
	who, _ := ctx.Value(requesterKey{}).(string)
	return who
}
