package server

import (
	"slices"
	"sync"
)

// holder is who a connection or a dialogue is counted for: the person behind it, not the process.
type holder struct {
	kind   kind
	person string // nobody else has the same
	part   string // of what the person holds, such as the logins as one user
	detail string // of the part
}

// kind is what a holder's bound goes by.
type kind int

const (
	newcomers  kind = iota // all callers that run as root and have not said yet for whom: one holder
	persons                // for whom callers that run as root speak
	users                  // who speak for themselves
	namelesses             // all uids without a name, and those whose name is not known yet: one holder
	speakers               // each of the users other than root who speak for others
	kinds
)

// bounds is how many places there are: in all; of them for others than root's callers; and what a holder of
// each kind may have. Only root's callers can get the last ones.
type bounds struct {
	all, others int
	each        [kinds]int
}

// places counts who is there. Where somebody is only waited for, that keeps nobody out: when there is no room,
// whoever holds the most loses the oldest such place. Where the daemon works, nobody loses a place.
type places struct {
	bounds
	lost func(holder) // is told of each place that was taken away

	mu             sync.Mutex
	inside, others int
	came           uint64
	held           map[string][]*place // by person, in the order in which they came
}

// place is one that somebody holds.
type place struct {
	of    *places
	leave func() // is called when the place is taken away, and must not wait
	who   holder
	came  uint64 // before all of a higher number
	state placeState
}

// placeState says whether a place may be taken away.
type placeState int

const (
	waiting  placeState = iota // for a person, or for the peer
	reserved                   // likewise, but the person would have to do something again: the last to be taken away
	working                    // the daemon works
	vacant                     // the place was left or taken away
)

func newPlaces(b bounds, lost func(holder)) *places {
	return &places{bounds: b, lost: lost, held: map[string][]*place{}}
}

// other says that no caller that runs as root speaks for it.
func (h holder) other() bool { return h.kind == users || h.kind == namelesses || h.kind == speakers }

// enter gives who a place, waiting, or returns nil: everybody is being worked for. leave is called once, if the
// place is taken away.
func (s *places) enter(who holder, leave func()) *place {
	p := &place{of: s, leave: leave, who: who}
	s.mu.Lock()
	victim, ok := s.makeRoom(who, false)
	if ok {
		s.put(p)
	}
	s.mu.Unlock()
	s.takeAway(victim)
	if !ok {
		return nil
	}
	return p
}

// become has the place counted for somebody else: the peer has said who is behind it. It returns false when
// there is no room for that, or the place is lost.
func (p *place) become(who holder) bool {
	s := p.of
	s.mu.Lock()
	if p.state == vacant {
		s.mu.Unlock()
		return false
	}
	victim, ok := s.makeRoom(who, true)
	if ok {
		s.drop(p)
		p.who = who
		s.put(p)
	}
	s.mu.Unlock()
	s.takeAway(victim)
	return ok
}

// is sets what happens at the place; it returns false when the place is lost.
func (p *place) is(state placeState) bool {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if p.state == vacant {
		return false
	}
	p.state = state
	return true
}

// taken says whether the place is lost.
func (p *place) taken() bool {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	return p.state == vacant
}

// giveBack leaves the place. It may be called again, and when the place is lost.
func (p *place) giveBack() {
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	if p.state != vacant {
		p.of.drop(p)
		p.state = vacant
	}
}

func (s *places) put(p *place) {
	s.came++
	p.came = s.came
	s.held[p.who.person] = append(s.held[p.who.person], p)
	s.inside++
	if p.who.other() {
		s.others++
	}
}

func (s *places) drop(p *place) {
	left := s.held[p.who.person]
	left = slices.Delete(left, slices.Index(left, p), slices.Index(left, p)+1)
	if s.held[p.who.person] = left; len(left) == 0 {
		delete(s.held, p.who.person)
	}
	s.inside--
	if p.who.other() {
		s.others--
	}
}

// makeRoom takes a place away where that is needed: from who, when its bound is reached; else, unless who is
// inside already, from those who fill what there is for who.
func (s *places) makeRoom(who holder, inside bool) (victim *place, ok bool) {
	var from func(holder) bool
	switch {
	case len(s.held[who.person]) >= s.each[who.kind]:
		from = func(h holder) bool { return h.person == who.person }
	case inside:
		return nil, true
	case who.other() && s.others >= s.bounds.others:
		from = holder.other
	case s.inside >= s.all:
		from = func(holder) bool { return true }
	default:
		return nil, true
	}
	for _, state := range []placeState{waiting, reserved} {
		if victim = s.oldest(state, from); victim != nil {
			s.drop(victim)
			victim.state = vacant
			return victim, true
		}
	}
	return nil, false
}

// oldest finds the place to be taken away, among those in a state: of those who hold the most, in the part, and its
// detail, of which they hold the most.
func (s *places) oldest(state placeState, from func(holder) bool) *place {
	var found *place
	most := 0
	for _, all := range s.held {
		if !from(all[0].who) || len(all) < most || len(all) == most && found.came < all[0].came {
			continue
		}
		if p := oldestOfLargest(all, state); p != nil && (len(all) > most || p.came < found.came) {
			found, most = p, len(all)
		}
	}
	return found
}

func oldestOfLargest(all []*place, state placeState) *place {
	var left []*place
	for _, p := range all {
		if p.state == state {
			left = append(left, p)
		}
	}
	for _, name := range []func(holder) string{func(h holder) string { return h.part }, func(h holder) string { return h.detail }} {
		left = largest(left, name)
	}
	if len(left) == 0 {
		return nil
	}
	return left[0]
}

// largest returns those of the name that most have.
func largest(all []*place, name func(holder) string) []*place {
	named := map[string][]*place{}
	var most []*place
	for _, p := range all {
		n := append(named[name(p.who)], p)
		if named[name(p.who)] = n; len(n) > len(most) {
			most = n
		}
	}
	return most
}

func (s *places) takeAway(p *place) {
	if p != nil {
		p.leave()
		s.lost(p.who)
	}
}
