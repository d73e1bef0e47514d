package login

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/wire"
)

// id is a login's; a letter makes another.
func id(letter string) wire.LoginID { return wire.LoginID(strings.Repeat(letter, wire.IDSize)) }

// answer is a login with one answer, and returns its verdict: 0 when another answer is asked for.
func (w *world) answer(t *testing.T, caller Caller, id wire.LoginID, code string) wire.Outcome {
	t.Helper()
	d := w.Begin(caller, wire.Open{User: "alice", Service: "sshd", ID: id})
	if got := read(t, d.Open(context.Background())); len(got.asks) != 1 {
		t.Errorf("not asked: %+v", got)
		return wire.Refused
	}
	return read(t, d.Answer(context.Background(), []byte(code))).verdict
}

// A daemon is killed between the commit and the verdict. The login repeats itself, and nobody else.
func TestRepeatedAfterTheDaemonWasKilled(t *testing.T) {
	alice := Caller{UID: 1000, User: "alice"}
	for _, c := range []struct {
		name     string
		used     wire.LoginID
		caller   Caller // who repeats; root used the code
		id       wire.LoginID
		restarts bool
		after    time.Duration
		between  func(*world, *testing.T)
		want     wire.Outcome
	}{
		{name: "same login", used: id("a"), caller: root, id: id("a"), restarts: true, want: wire.Accepted},
		{name: "same login, 30 s later", used: id("a"), caller: root, id: id("a"), restarts: true, after: 30 * time.Second, want: wire.Accepted},
		{name: "too late", used: id("a"), caller: root, id: id("a"), restarts: true, after: 30*time.Second + time.Nanosecond},
		{name: "clock set back", used: id("a"), caller: root, id: id("a"), restarts: true, after: -time.Second},
		{name: "daemon not restarted", used: id("a"), caller: root, id: id("a")},
		{name: "another login", used: id("a"), caller: root, id: id("b"), restarts: true},
		{name: "no id", caller: root, restarts: true},
		{name: "no id then", caller: root, id: id("a"), restarts: true},
		{name: "no id now", used: id("a"), caller: root, restarts: true},
		{name: "another caller", used: id("a"), caller: alice, id: id("a"), restarts: true},
		{name: "another login since", used: id("a"), caller: root, id: id("a"), restarts: true, want: wire.Accepted, between: func(w *world, t *testing.T) {
			w.pass(-30 * time.Second)
			code := w.code(t)
			w.pass(30 * time.Second)
			if got := w.answer(t, root, id("c"), code); got != wire.Accepted {
				t.Error(got)
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			code := w.code(t)
			if got := w.answer(t, root, c.used, code); got != wire.Accepted {
				t.Fatalf("%v", got)
			}
			w.pass(time.Millisecond)
			if c.between != nil {
				c.between(w, t)
			}
			if c.restarts {
				w.restart()
			}
			w.pass(c.after - time.Millisecond)
			before := w.store.writes
			if got := w.answer(t, c.caller, c.id, code); got != c.want {
				t.Errorf("%v, want %v", got, c.want)
			}
			e := w.events.all[len(w.events.all)-1]
			if w.store.writes != before || (e.Reason == "code_repeated") != (c.want == wire.Accepted) {
				t.Errorf("%+v, %d writes", e, w.store.writes-before)
			}
			for _, s := range []string{w.journal(), fmt.Sprint(w.store.accounts)} {
				if strings.Contains(s, strings.Repeat("a", 8)) {
					t.Errorf("the id is in %s", s)
				}
			}
		})
	}
}

// The code of the last login is repeated also when its step has left the window since.
func TestRepeatedWithoutSkew(t *testing.T) {
	w := newWorld()
	w.cfg.Skew = 0
	w.pass(29 * time.Second)
	code := w.code(t)
	if got := w.answer(t, root, id("a"), code); got != wire.Accepted {
		t.Fatal(got)
	}
	w.pass(2 * time.Second)
	w.restart()
	if got := w.answer(t, root, id("b"), code); got != 0 || w.store.accounts["alice"].Codes.Failures != 1 {
		t.Errorf("another login: %v", got)
	}
	if got := w.answer(t, root, id("a"), code); got != wire.Accepted {
		t.Errorf("the same login: %v", got)
	}
}

// One code gives one acceptance in the life of a daemon, also to dialogues that claim to be one login.
// After it was killed, it is that login's alone.
func TestRaceOfRepetitions(t *testing.T) {
	disk := newDisk(t)
	alice := account.Account{User: "alice", Devices: []account.Device{device("alice")}}
	err := disk.Update(context.Background(), "alice", func(account.Account) (account.Account, error) { return alice, nil })
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld()
	w.Service.store = disk
	code := w.code(t)
	letters := "abcdefgh"
	round := func() (accepted string) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for i := range 32 {
			letter := letters[i%len(letters)]
			all.Go(func() {
				if w.answer(t, root, id(string(letter)), code) == wire.Accepted {
					mu.Lock()
					defer mu.Unlock()
					accepted += string(letter)
				}
			})
		}
		all.Wait()
		return accepted
	}
	first := round()
	if len(first) != 1 {
		t.Fatalf("accepted: %q", first)
	}
	w.pass(time.Millisecond)
	w.restart()
	if second := round(); second != strings.Repeat(first, 32/len(letters)) {
		t.Errorf("accepted: %q, then %q", first, second)
	}
}
