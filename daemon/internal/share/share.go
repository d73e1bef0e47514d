// Package share divides a few slots among many who want one, so that nobody's wish keeps others out.
// It owns who holds how many slots; what is done with a slot is decided elsewhere.
//
// Always true: nobody holds more slots than are left free. So one requester takes at most half of them, two
// take a third each, and somebody who holds none gets one at once, until there are as many requesters as
// slots. Of those who wait, the one who holds the fewest comes first. Requesters who may be one person form a
// group, for which the same holds: there, one who holds none waits until another of them gives one back.
package share

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"
)

// Slots are what is divided. The zero value has none.
type Slots struct {
	each int

	mu      sync.Mutex
	free    int
	held    map[string]int // by requester
	grouped map[string]int // by group
	waiting []*waiter      // in the order in which they came
}

type waiter struct {
	requester
	granted chan struct{}
}

// New returns n slots, of which nobody holds more than each.
func New(n, each int) *Slots {
	return &Slots{each: each, free: n, held: map[string]int{}, grouped: map[string]int{}}
}

// Take waits for a slot for the requester of ctx, and returns what gives it back. It returns ctx's error when
// ctx ends first.
func (s *Slots) Take(ctx context.Context) (giveBack func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &waiter{requesterOf(ctx), make(chan struct{})}
	s.mu.Lock()
	if s.may(w) { // none of those who wait may, or they wouldn't
		s.give(w)
	} else {
		s.waiting = append(s.waiting, w)
	}
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
	less(s.held, w.name)
	less(s.grouped, w.group)
	s.grant()
}

func less(count map[string]int, of string) {
	if count[of]--; count[of] == 0 {
		delete(count, of)
	}
}

// grant gives slots to those who wait, as long as somebody may have one.
func (s *Slots) grant() {
	for {
		next := -1
		for i, w := range s.waiting {
			if s.may(w) && (next < 0 || s.before(w, s.waiting[next])) {
				next = i
			}
		}
		if next < 0 {
			return
		}
		w := s.waiting[next]
		s.waiting = slices.Delete(s.waiting, next, next+1)
		s.give(w)
	}
}

// may says whether there is a slot for w now.
func (s *Slots) may(w *waiter) bool {
	return s.grouped[w.group] < s.free && s.held[w.name] < min(s.free, s.each)
}

func (s *Slots) give(w *waiter) {
	s.free--
	s.held[w.name]++
	s.grouped[w.group]++
	close(w.granted)
}

// before says whether a gets a slot before b, who came first.
func (s *Slots) before(a, b *waiter) bool {
	return cmp.Or(cmp.Compare(s.grouped[a.group], s.grouped[b.group]), cmp.Compare(s.held[a.name], s.held[b.name])) < 0
}

// requester is whose share is used; a group of its own, unless it is of one.
type requester struct{ group, name string }

type requesterKey struct{}

// With returns a context that says whose share is used.
func With(ctx context.Context, name string) context.Context { return WithGroup(ctx, name, name) }

// WithGroup does so for one of a group.
func WithGroup(ctx context.Context, group, name string) context.Context {
	return context.WithValue(ctx, requesterKey{}, requester{group, name})
}

// Requester returns whose share is used, "" where nobody is named: the daemon itself.
func Requester(ctx context.Context) string { return requesterOf(ctx).name }

func requesterOf(ctx context.Context) requester {
	who, _ := ctx.Value(requesterKey{}).(requester)
	return who
}

// User names a user who speaks for itself.
func User(uid uint32) string { return fmt.Sprintf("uid %d", uid) }

// Neighbours are a group: the uids that lie together. A user has subordinate ones (subuid(5)) by 65,536, so they
// come from one or two neighbourhoods, and nearly never from that of those with names.
func Neighbours(uid uint32) string {
	first := uid &^ 0xffff
	return fmt.Sprintf("uids %d to %d", first, first|0xffff)
}

// WithUID is With for a uid that may be a person's or not.
func WithUID(ctx context.Context, uid uint32) context.Context {
	return WithGroup(ctx, Neighbours(uid), User(uid))
}
