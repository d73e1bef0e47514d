package audit

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

// TestGuessesCannotBeHidden has mallory cause a quarter of a million refusals, in each way that costs nothing, while
// somebody guesses alice's codes. All of these have their line, and mallory's have few.
func TestGuessesCannotBeHidden(t *testing.T) {
	for what, noise := range map[string]Event{
		"others' logins":           {Kind: Login, User: "alice", Caller: "1002", Result: Refused, Reason: "not_own_login"},
		"nobody's logins":          {Kind: Login, User: "x", Caller: "1002", Result: Refused, Reason: "unknown_user"},
		"broken off":               {Kind: Login, User: "mallory", Caller: "1002", Result: Abandoned, Reason: "before_answer"},
		"let in without a code":    {Kind: Login, User: "mallory", Caller: "1002", Result: NotDue, Reason: "not_enrolled"},
		"su, broken off":           {Kind: Login, User: "alice", Caller: "0", Asker: "mallory", Result: Abandoned, Reason: "before_code"},
		"su as nobody":             {Kind: Login, User: "x", Caller: "0", Asker: "mallory", Result: Refused, Reason: "unknown_user"},
		"others' accounts":         {Kind: Control, User: "alice", Caller: "1002", Result: Refused, Reason: "not_allowed"},
		"names of devices":         {Kind: Devices, User: "mallory", Caller: "1002", Result: Done},
		"used codes":               {Kind: Login, User: "mallory", Caller: "1002", Result: Refused, Reason: "used_code"},
		"uids that have no names":  {Kind: Login, User: "alice", Caller: "100", Nameless: true, Result: Refused, Reason: "not_own_login"},
		"while a wait goes on":     {Kind: Login, User: "mallory", Caller: "1002", Result: Refused, Reason: "wait"},
		"what can't be understood": {Kind: Login, User: "mallory", Caller: "1002", Result: Refused, Reason: "malformed"},
	} {
		var w bytes.Buffer
		l := Queued(newQueue(&w, nil))
		var tell func()
		l.limit.after = func(_ time.Duration, f func()) { tell = f }
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		const n, seconds = 240_000, 25
		for i := range n {
			noise.At = now.Add(time.Duration(i) * seconds * time.Second / n)
			if noise.Nameless {
				noise.Caller = UID(100_000 + uint32(i%65_536))
			}
			if noise.Reason == "unknown_user" {
				noise.User = UID(uint32(i))
			}
			l.Record(noise)
			if i%(n/100) == 0 {
				guess := wrong
				guess.At, guess.Source = noise.At, "192.0.2.7"
				l.Record(guess)
				l.queue.Flush(time.Second)
			}
		}
		tell()
		l.Flush()
		if got := strings.Count(w.String(), "reason=wrong_code"); got != 100 {
			t.Errorf("%s: %d of 100 guesses have a line", what, got)
		}
		most := l.limit.allow.AtOnce + seconds
		if lines := strings.Count(w.String(), "\n"); lines > most+101 {
			t.Errorf("%s: %d lines", what, lines)
		}
		if !strings.Contains(w.String(), " more lines about ") || strings.Contains(w.String(), "were lost") {
			t.Errorf("%s: nothing says what was left out", what)
		}
	}
}

// One who is limited takes nothing from others, not from the same user's logins from elsewhere either.
func TestLimitsAreApart(t *testing.T) {
	l := NewLimit(linesAtOnce, func(string) {})
	l.after = func(time.Duration, func()) {}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	su := Event{Kind: Login, User: "root", Caller: "0", Asker: "mallory", Result: NotDue, At: at}
	for range 10_000 {
		l.allowsEvent(&su)
	}
	for what, e := range map[string]Event{
		"root by ssh":      {Kind: Login, User: "root", Caller: "0", Result: NotDue},
		"root by su":       {Kind: Login, User: "root", Caller: "0", Asker: "alice", Result: NotDue},
		"mallory by ssh":   {Kind: Login, User: "mallory", Caller: "0", Result: NotDue},
		"a code by su":     {Kind: Login, User: "root", Caller: "0", Asker: "mallory", Result: Accepted},
		"a later su again": {Kind: Login, User: "root", Caller: "0", Asker: "mallory", Result: NotDue, At: at.Add(time.Minute)},
	} {
		if e.At.IsZero() {
			e.At = at
		}
		if !l.allowsEvent(&e) {
			t.Errorf("%s has no line", what)
		}
	}
	for range l.allow.AtOnce {
		l.allowsEvent(&su)
	}
	if l.allowsEvent(&su) {
		t.Error("mallory isn't limited")
	}
}

// However many there are, those of whom too much was heard stay known.
func TestAllowancesAreBounded(t *testing.T) {
	a := Allowances{AtOnce: 2, Every: time.Minute, Most: 10}
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for a.Take("mallory", at) {
	}
	total := 0
	for i := range 1000 {
		if a.Take(UID(uint32(i)), at) {
			total++
		}
	}
	if total > 9+2 || len(a.left) > 11 || a.Take("mallory", at) {
		t.Errorf("%d of 1000, %d known", total, len(a.left))
	}
	at = at.Add(time.Hour)
	if !a.Take("alice", at) || !a.Take("mallory", at) || len(a.left) > 3 {
		t.Errorf("an hour later: %+v", a.left)
	}
}
