package audit

import (
	"fmt"
	"testing"
	"time"
)

// One who causes any number of refusals adds few of them to the history, and keeps nobody else's out.
func TestFair(t *testing.T) {
	f := NewFair()
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	kept := func(n int, e Event) (kept int) {
		for range n {
			e.At = now
			if f.Keeps(e) {
				kept++
			}
		}
		return kept
	}
	stranger := Event{Kind: Login, User: "alice", Caller: "1000", Result: Refused, Reason: "not_own_login"}
	guesses := Event{Kind: Login, User: "alice", Caller: "0", Result: Refused, Reason: "wait"}
	for _, tt := range []struct {
		what string
		n    int
		e    Event
		want int
	}{
		{"a stranger", 10_000, stranger, f.each.AtOnce},
		{"the stranger about others", 10, Event{Kind: Control, User: "bob", Caller: "1000", Result: Refused}, 0},
		{"the stranger's own changes", 10, Event{Kind: Disable, User: "eve", Caller: "1000", Result: Done}, 10},
		{"names of devices", 10, Event{Kind: Devices, User: "eve", Caller: "1000", Result: Done}, 0},
		{"forgetting nothing again and again", 10, Event{Kind: Forget, User: "eve", Caller: "1000", Result: Done}, 0},
		{"another one", 10, Event{Kind: Control, User: "bob", Caller: "1001", Result: Refused}, 10},
		{"guesses at alice's code", 10_000, guesses, f.each.AtOnce},
		{"alice", 10, Event{Kind: Login, User: "alice", Caller: "0", Result: Accepted}, 10},
		{"bob", 10, Event{Kind: Login, User: "bob", Caller: "0", Result: Refused}, 10},
	} {
		if got := kept(tt.n, tt.e); got != tt.want {
			t.Errorf("%s: %d of %d kept, want %d", tt.what, got, tt.n, tt.want)
		}
	}
	now = now.Add(10 * f.each.Every)
	if got := kept(100, stranger); got != 10 {
		t.Errorf("later: %d", got)
	}
	total := 0
	for i := range 10_000 {
		total += kept(1, Event{Kind: Login, User: fmt.Sprint("guess", i), Caller: "0", Result: Refused, Reason: "unknown_user"})
	}
	if total != f.each.AtOnce || len(f.each.left) > f.each.Most {
		t.Errorf("names that are nobody's: %d kept", total)
	}
	now = now.Add(-24 * time.Hour) // a clock set back gives nothing, and takes nothing
	if got := kept(100, stranger); got != 0 {
		t.Errorf("before: %d", got)
	}
}

// TestHistoryKeepsRootsCallers is of a user with many uids, named or not, who causes refusals, and of one who does so
// by su: events of root's callers stay.
func TestHistoryKeepsRootsCallers(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, nameless := range []bool{true, false} {
		f := NewFair()
		kept := 0
		for uid := range uint32(1000) {
			for range 500 {
				if f.Keeps(Event{Kind: Login, User: "alice", Caller: UID(100_000 + uid), Nameless: nameless, Result: Refused, Reason: "not_own_login", At: now}) {
					kept++
				}
			}
		}
		if most := map[bool]int{true: 500, false: 5000}[nameless]; kept != most {
			t.Errorf("nameless %v: %d events of others are kept, not %d", nameless, kept, most)
		}
		for range 500 {
			if !f.Keeps(Event{Kind: Login, User: "bob", Caller: "0", Result: NotDue, At: now}) {
				t.Fatalf("nameless %v: a login isn't kept", nameless)
			}
		}
	}
	f := NewFair()
	for range 10_000 {
		f.Keeps(Event{Kind: Login, User: "alice", Caller: "0", Asker: "mallory", Result: Abandoned, Reason: "before_code", At: now})
	}
	guess := wrong
	guess.At = now
	for range 100 {
		if !f.Keeps(guess) {
			t.Fatal("a guess at alice's code isn't kept")
		}
	}
}
