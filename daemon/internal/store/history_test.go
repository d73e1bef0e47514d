package store

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// history waits until so many events are there.
func history(t *testing.T, s *Store, want int) []audit.Entry {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		entries, err := s.Events(t.Context(), audit.Query{Limit: 100_000})
		check(t, err)
		if len(entries) >= want || time.Now().After(deadline) {
			if len(entries) != want {
				t.Fatalf("%d events, want %d", len(entries), want)
			}
			return entries
		}
	}
}

func TestHistory(t *testing.T) {
	s := openNew(t)
	whole := audit.Event{
		At: noon, Kind: audit.Login, User: "alice", Service: "sshd", Source: "192.0.2.7", TTY: "ssh", Caller: "0", Result: audit.Refused,
		Reason: "wrong_code", Detail: "until", Action: "a", Device: "phone", Reference: "7F3K-Q2ND",
	}
	for i := range reflect.TypeOf(whole).NumField() {
		f := reflect.TypeOf(whole).Field(i)
		// These three are about how an event is kept.
		if f.Name != "Kept" && f.Name != "Nameless" && f.Name != "Asker" && reflect.ValueOf(whole).Field(i).IsZero() {
			t.Errorf("this test knows nothing of %s", f.Name)
		}
	}
	s.Record(whole)
	history(t, s, 1) // by itself
	for i, user := range []string{"bob", "alice", "bob", "' OR 1 --", "\xff\n" + strings.Repeat("x", 1000)} {
		s.Record(audit.Event{At: noon.Add(time.Duration(i+1) * time.Minute), Kind: audit.Disable, User: user, Result: audit.Done, Reference: fmt.Sprint("R", i)})
	}
	s.Record(audit.Event{Kept: true, User: "nobody"})
	all := history(t, s, 6)
	if all[0].Event != whole {
		t.Errorf("kept as %+v\nwas     %+v", all[0].Event, whole)
	}
	if got := all[5].User; len(got) > 140 {
		t.Errorf("a name of %d bytes", len(got))
	}
	for _, tt := range []struct {
		query audit.Query
		want  string
	}{
		{audit.Query{Limit: 2}, "5 6 "},
		{audit.Query{Limit: 2, After: 2}, "3 4 "},
		{audit.Query{Limit: 2, Before: 4}, "2 3 "},
		{audit.Query{Limit: 9, After: 2, Before: 4}, "3 "},
		{audit.Query{Limit: 9, After: 6}, ""},
		{audit.Query{Limit: 9, User: "bob"}, "2 4 "},
		{audit.Query{Limit: 1, User: "bob"}, "4 "},
		{audit.Query{Limit: 1, User: "bob", After: 1}, "2 "},
		{audit.Query{Limit: 9, User: "' OR 1 --"}, "5 "},
		{audit.Query{Limit: 9, User: "%"}, ""},
		{audit.Query{Limit: 9, Reference: "7F3K-Q2ND"}, "1 "},
		{audit.Query{Limit: 9, Reference: "R1", User: "bob"}, ""},
		{audit.Query{Limit: 9, Since: noon.Add(4 * time.Minute)}, "5 6 "},
	} {
		entries, err := s.Events(t.Context(), tt.query)
		check(t, err)
		got := ""
		for _, e := range entries {
			got += fmt.Sprint(e.ID, " ")
		}
		if got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.query, got, tt.want)
		}
	}
	if _, err := s.Events(t.Context(), audit.Query{}); err == nil {
		t.Error("a query without a limit")
	}
}

// What waits is written when the store is closed.
func TestHistoryIsWrittenAtTheEnd(t *testing.T) {
	s := openNew(t)
	const events = 3*notesBatch + 1
	for range events {
		s.Record(audit.Event{At: noon, User: "alice"})
	}
	check(t, s.Close())
	s.Record(audit.Event{User: "late"})
	history(t, reopen(t, s.path), events)
}

// An event of an answer is there exactly when the account is changed: in one commit.
func TestEventIsCommittedWithTheAccount(t *testing.T) {
	s := openNew(t)
	judged := 0
	ctx := audit.Keep(t.Context(), func() audit.Event {
		judged++
		return audit.Event{At: noon, User: "alice", Reason: fmt.Sprint(judged)}
	})
	change := func(a account.Account) (account.Account, error) { return enrolled("alice", "phone"), nil }
	check(t, s.Update(ctx, "alice", change))
	if entries := history(t, s, 1); entries[0].Reason != "1" {
		t.Errorf("%+v", entries)
	}
	no := errors.New("no")
	if err := s.Update(ctx, "alice", func(a account.Account) (account.Account, error) { return a, no }); err != no {
		t.Error(err)
	}
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if s.Update(ended, "alice", change) == nil {
		t.Error("an update whose context has ended")
	}
	history(t, s, 1)
	// A crash leaves both or neither: there is one commit.
	check(t, count(s, "bob")) // the log begins anew after a change such as the first
	before := commits(t, s)
	check(t, s.Update(ctx, "alice", func(a account.Account) (account.Account, error) { a.Codes.Failures++; return a, nil }))
	history(t, s, 2)
	if n := commits(t, s) - before; n != 1 {
		t.Errorf("%d commits", n)
	}
}

// commits counts those in the log: frames that say how large the database is then (SQLite's file format,
// §4.1). Frames of an earlier round have other salts.
func commits(t *testing.T, s *Store) (n int) {
	t.Helper()
	log, err := os.ReadFile(s.path + "-wal")
	check(t, err)
	for frame := log[32:]; len(frame) >= frameSize && bytes.Equal(frame[8:16], log[16:24]); frame = frame[frameSize:] {
		if binary.BigEndian.Uint32(frame[4:]) != 0 {
			n++
		}
	}
	return n
}

// A history that is damaged keeps nobody out, and what is lost is told.
func TestDamagedHistory(t *testing.T) {
	s := openNew(t)
	var mu sync.Mutex
	var told []string
	s.OnLost(func(n int, err error) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, fmt.Sprint(n, " ", err))
	})
	shell(t, s.path, "CREATE TRIGGER no BEFORE INSERT ON event BEGIN SELECT RAISE(ABORT, 'damaged'); END")
	ctx := audit.Keep(t.Context(), func() audit.Event { return audit.Event{At: noon, User: "alice"} })
	check(t, s.Update(ctx, "alice", func(account.Account) (account.Account, error) { return enrolled("alice", "phone"), nil }))
	if _, found := get(t, s, "alice"); !found {
		t.Error("the account isn't there")
	}
	history(t, s, 0)
	shell(t, s.path, "DROP TRIGGER no")
	put(t, s, enrolled("bob", "phone"))
	mu.Lock()
	defer mu.Unlock()
	if len(told) != 1 || !strings.HasPrefix(told[0], "1 ") || !strings.Contains(told[0], "damaged") {
		t.Errorf("told %q", told)
	}
}

// Too many at once are lost, and counted, while the disk is slow.
func TestTooManyEvents(t *testing.T) {
	s := openNew(t)
	told := make(chan int, 9)
	s.OnLost(func(n int, err error) {
		if err != nil {
			t.Error(err)
		}
		told <- n
	})
	blocked, on := make(chan bool), make(chan bool)
	go s.Update(context.Background(), "alice", func(a account.Account) (account.Account, error) {
		close(blocked)
		<-on
		return enrolled("alice", "phone"), nil
	})
	<-blocked
	for range notesMax + 7 {
		s.Record(audit.Event{At: noon, User: "alice"})
	}
	close(on)
	history(t, s, notesMax)
	if n := <-told; n != 7 {
		t.Errorf("%d lost", n)
	}
}

func TestPrune(t *testing.T) {
	s := openNew(t)
	const old, young = 2*pruneStep + 10, 100
	for i := range old + young {
		at := noon
		if i < old {
			at = noon.Add(-time.Hour)
		}
		s.Record(audit.Event{At: at, User: "alice"})
	}
	history(t, s, old+young)
	prune := func(upTo int64, most, want int) {
		t.Helper()
		for more := true; more; {
			var err error
			_, more, err = s.Prune(t.Context(), upTo, most)
			check(t, err)
		}
		if entries := history(t, s, want); entries[want-1].ID != old+young {
			t.Errorf("the last one is %d", entries[want-1].ID)
		}
	}
	prune(0, old+young, old+young)
	prune(old, old+young, young)
	prune(old, 10, 10)
	prune(old+2*young, 10, 1) // so that no ID is used twice
	if last, err := s.LastEvent(t.Context()); last != old+young || err != nil {
		t.Error(last, err)
	}
	s.Record(audit.Event{At: noon, User: "bob"})
	if entries := history(t, s, 2); entries[1].ID != old+young+1 {
		t.Errorf("%+v", entries)
	}
}

// Root's help beside a daemon is in the history too.
func TestHistoryBeside(t *testing.T) {
	s := openNew(t)
	s.Record(audit.Event{At: noon, User: "alice"})
	beside, err := OpenBeside(filepath.Join(filepath.Dir(s.path), "totpd.db"))
	check(t, err)
	beside.Record(audit.Event{At: noon, User: "alice"})
	check(t, beside.Close())
	history(t, s, 2)
}

func BenchmarkFindReference(b *testing.B) {
	s := benchStore(b, 1)
	for i := range 100_000 {
		if s.Record(eventFor(int64(i))); i%notesMax == 0 {
			time.Sleep(2 * noteWithin)
		}
	}
	time.Sleep(2 * noteWithin)
	for b.Loop() {
		if _, err := s.Events(b.Context(), audit.Query{Limit: 100, Reference: "2222-2222"}); err != nil {
			b.Fatal(err)
		}
	}
}
