package stack

import (
	"maps"
	"slices"
)

// Jump is a line's jump that doesn't do what it is for: mostly because a line that it counted was taken out.
type Jump struct {
	Entry   int
	Over    Action // how many lines it jumps over
	Lands   int    // the entry that it leads to; the number of entries: the end
	Beyond  bool   // there are not so many lines, and the stack fails
	Closed  bool   // nobody gets in on this way
	Instead Action // a jump, or Ignore, that leaves the password's check in
}

// Lands returns the entry that a jump over so many lines leads to. Without so many the stack fails.
func Lands(entries []Entry, at int, over Action) (to int, whole bool) {
	return (&walker{entries: entries}).jump(at, int(over))
}

// Corrections are, for each number of lines that an entry jumps over, the number when others are gone: fewer by
// those that it counted. 0 is Ignore.
func Corrections(entries []Entry, at int, gone map[int]bool) map[Action]Action {
	all := map[Action]Action{}
	for _, over := range entries[at].jumps() {
		to, whole := Lands(entries, at, over)
		less := over
		for i := at + 1; whole && i < to; i++ {
			if gone[i] {
				less--
			}
		}
		if less != over {
			all[over] = less
		}
	}
	return all
}

// Without is the control of an entry when others are gone, and whether that is another one.
func Without(entries []Entry, at int, gone map[int]bool) (c Control, changed bool) {
	c = Control{actions: maps.Clone(entries[at].Control.actions), Kind: entries[at].Control.Kind}
	corrections := Corrections(entries, at, gone)
	for value, over := range c.actions {
		if less, is := corrections[over]; is {
			c.actions[value] = less
		}
	}
	return c, len(corrections) > 0
}

// jumps are the different numbers of lines that a line jumps over, by its answers.
func (l Line) jumps() []Action {
	var all []Action
	for _, a := range l.Control.actions {
		if a > 0 && !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	slices.Sort(all)
	return all
}

// WrongJumps finds jumps that end the stack before its end, that lead past the check of the password into the
// middle of an included file, or to where nobody gets in: unless they lead to a refusal that stands beside them.
func WrongJumps(entries []Entry) []Jump {
	var all []Jump
	for i, e := range entries {
		if e.Sub || e.Problem != "" {
			continue
		}
		for _, over := range e.jumps() {
			j := Jump{Entry: i, Over: over}
			var whole bool
			j.Lands, whole = Lands(entries, i, over)
			j.Beyond = !whole
			skips := skipsPassword(entries, i, j.Lands)
			j.Closed = j.Beyond || skips && !refusesBeside(entries, i, j.Lands) &&
				!leadsIn(entries, i, over, true) && leadsIn(entries, i, over, false)
			if !j.Closed && !(skips && inside(entries, i, j.Lands)) {
				continue
			}
			for j.Instead = over - 1; j.Instead > 0; j.Instead-- {
				to, whole := Lands(entries, i, j.Instead)
				if whole && !skipsPassword(entries, i, to) && !inside(entries, i, to) {
					break
				}
			}
			all = append(all, j)
		}
	}
	return all
}

// skipsPassword tells whether a line that checks a password is jumped over.
func skipsPassword(entries []Entry, from, to int) bool {
	return slices.ContainsFunc(entries[from+1:to], func(e Entry) bool { return !e.Sub && e.Role() == Knows })
}

// inside tells whether an entry is in an included file that the jump doesn't come from, and not its first.
func inside(entries []Entry, from, to int) bool {
	if to >= len(entries) || to == 0 {
		return false
	}
	in := func(e Entry) []Place { return e.Via }
	at := in(entries[to])
	if len(at) <= len(in(entries[from])) {
		return false
	}
	return slices.Equal(at, in(entries[to-1])) || len(in(entries[to-1])) > len(at)
}

// refusesBeside tells whether a jump leads to a refusal in the same file: that is meant.
func refusesBeside(entries []Entry, from, to int) bool {
	return to < len(entries) && entries[to].Role() == Denies && entries[to].File == entries[from].File
}

// leadsIn tells whether somebody can get in when the entry jumps so far; or, without, when it doesn't.
func leadsIn(entries []Entry, at int, over Action, with bool) bool {
	const passed Fact = 1 << 7
	const mark = "\x00here"
	marked := slices.Clone(entries)
	marked[at].Service = mark
	j := judge{entries: marked}
	ends, _ := Walk(marked, 0, func(e Entry) []Answer {
		answers := j.answers(e)
		if e.Service != mark {
			return answers
		}
		var some []Answer
		for _, a := range answers {
			if (e.Control.Action(a.Value) == over) == with {
				some = append(some, Answer{a.Value, a.Facts | passed})
			}
		}
		return some
	})
	return slices.ContainsFunc(ends, func(end End) bool { return end.Accepted && end.Facts&passed != 0 })
}
