package main

import (
	"bytes"
	"encoding/json"
	"log"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/store"
)

// No clock makes an event old, neither the one by which it was written nor the present one: only the time that
// the daemon has run. What is removed is told.
func TestRetentionAsksNoClock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "totpd.db")
	if err := store.Create(path); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, at := range []time.Time{time.Now(), time.Now().AddDate(10, 0, 0), time.Unix(0, 0), time.Now().AddDate(-1, 0, 0), time.Now()} {
		s.Record(audit.Event{At: at, User: "alice"})
	}
	events := func(want int) {
		t.Helper()
		entries, err := s.Events(t.Context(), audit.Query{Limit: 10})
		if err != nil || len(entries) != want {
			t.Fatalf("%d events, %v, want %d", len(entries), err, want)
		}
	}
	events(5)
	var said bytes.Buffer
	limits := config.Log{Keep: 90, Max: 1000}
	p := pruner{store: s, log: log.New(&said, "", 0)}
	const day = 24 * time.Hour
	for range 89 {
		p.step(t.Context(), day, limits)
	}
	if events(5); said.Len() > 0 {
		t.Error(said.String())
	}
	// A daemon that is restarted goes on counting.
	text, _, err := s.Meta(t.Context(), retentionName)
	again := pruner{store: s, log: p.log}
	if err != nil || json.Unmarshal([]byte(text), &again.retention) != nil {
		t.Fatalf("%q, %v", text, err)
	}
	s.Record(audit.Event{At: time.Now(), User: "bob"})
	events(6)
	for range 3 {
		again.step(t.Context(), day, limits)
	}
	if events(1); !strings.Contains(said.String(), "history: the oldest events, 5 of them, are removed: they are older than 90 days") {
		t.Error(said.String())
	}
}
