package stack

// Fact is something that a path through a stack has brought about, such as a right password. Facts are
// bits; a path only gains them.
type Fact uint8

// Answer is one that a module may give, and what is a fact from then on.
type Answer struct {
	Value string // as controls name it: "success", "auth_err"
	Facts Fact
}

// End is a way in which a stack can end.
type End struct {
	Accepted bool
	Mute     bool // no answer counted for anything: libpam says no then
	Facts    Fact
	By       int // the last entry that brought a fact, else the last whose answer counted; -1: none
}

// Visit is a line that can come to be run.
type Visit struct {
	Entry int
	Facts Fact
}

// Walk follows every way through a stack that the modules' answers open, by the rules of libpam's
// _pam_dispatch_aux. Each end and each visit comes once. answers says what a module may answer; an entry
// with a Problem always fails, and isn't asked.
func Walk(entries []Entry, start Fact, answers func(Entry) []Answer) ([]End, []Visit) {
	w := walker{entries: entries, answers: answers, seen: map[state]bool{}, ends: map[End]bool{}, visits: map[Visit]bool{}}
	for todo := []state{{facts: start, by: -1, source: -1}}; len(todo) > 0; {
		s := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if !w.seen[s] {
			w.seen[s] = true
			todo = append(todo, w.step(s)...)
		}
	}
	return w.endList, w.visitList
}

// impression is what the modules have come to so far.
type impression int8

const (
	undecided impression = iota
	positive
	negative
)

// verdict is libpam's pair of impression and status; of the status it matters whether it is success.
type verdict struct {
	impression impression
	success    bool
}

// state is a point on a way: the next entry and all that the rest depends on.
type state struct {
	next      int
	by        int // the entry whose answer was the last to count; -1: none
	source    int // the entry that brought the last fact; -1: none
	prevLevel int
	now       verdict
	before    [depthMax + 1]verdict // of each substack that is open: as it was at the beginning
	facts     Fact
}

type walker struct {
	entries   []Entry
	answers   func(Entry) []Answer
	seen      map[state]bool
	ends      map[End]bool
	endList   []End
	visits    map[Visit]bool
	visitList []Visit
}

// step returns the states that can follow s; none where the stack ends.
func (w *walker) step(s state) []state {
	if s.next >= len(w.entries) {
		end := End{Accepted: s.now == verdict{positive, true}, Mute: s.now.impression == undecided, Facts: s.facts, By: s.by}
		if s.source >= 0 {
			end.By = s.source
		}
		if !w.ends[end] {
			w.ends[end] = true
			w.endList = append(w.endList, end)
		}
		return nil
	}
	e := w.entries[s.next]
	if s.prevLevel < e.Level {
		s.before[e.Level] = s.now
	}
	s.prevLevel = e.Level
	if e.Sub {
		s.next++
		return []state{s}
	}
	visit := Visit{Entry: s.next, Facts: s.facts}
	if !w.visits[visit] {
		w.visits[visit] = true
		w.visitList = append(w.visitList, visit)
	}
	if e.Problem != "" {
		return []state{w.after(s, Bad, "perm_denied")}
	}
	var following []state
	for _, a := range w.answers(e) {
		t := s
		if t.facts |= a.Facts; a.Facts != 0 {
			t.source = s.next
		}
		following = append(following, w.after(t, e.Control.Action(a.Value), a.Value))
	}
	return following
}

// after is s once its entry has answered with value.
func (w *walker) after(s state, a Action, value string) state {
	at := s.next
	level := w.entries[at].Level
	s.next++
	switch {
	case a == Ignore:
	case a == Reset:
		s.now = s.before[level]
	case a == OK || a == Done:
		if s.now.impression == undecided || s.now == (verdict{positive, true}) {
			s.now = verdict{positive, value == "success"}
			s.by = at
		}
		if a == Done && s.now.impression == positive {
			s.next = w.endOf(at)
		}
	case a == Bad || a == Die:
		if s.now.impression != negative {
			s.now = verdict{negative, false}
			s.by = at
		}
		if a == Die {
			s.next = w.endOf(at)
		}
	default:
		var whole bool
		if s.next, whole = w.jump(at, int(a)); !whole {
			s.now = verdict{negative, false}
			s.by = at
		}
	}
	return s
}

// endOf is the entry after the stack or substack that entry at is in.
func (w *walker) endOf(at int) int {
	level := w.entries[at].Level
	for at++; at < len(w.entries) && w.entries[at].Level >= level; at++ {
	}
	return at
}

// jump is the entry after n more lines of this level, a substack counting as one. Without so many, the
// stack fails.
func (w *walker) jump(at, n int) (next int, whole bool) {
	level := w.entries[at].Level
	for at++; n > 0 && at < len(w.entries) && w.entries[at].Level >= level; n-- {
		for at++; at < len(w.entries) && w.entries[at].Level > level; at++ {
		}
	}
	return at, n == 0
}
