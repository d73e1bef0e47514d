package main

import (
	"log"
	"sync"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/store"
)

// tellEvery is how often is told of events that are not in the history.
const tellEvery = time.Minute

// keepHistory has the store keep what is recorded, and says what isn't kept.
func keepHistory(a *audit.Log, s *store.Store, l *log.Logger) {
	fair := audit.NewFair()
	missing := missing{log: l, now: time.Now}
	s.OnLost(missing.lost)
	a.Tell(func(e audit.Event) {
		if fair.Keeps(e) {
			s.Record(e)
		} else {
			missing.left()
		}
	})
}

// missing counts the events that the history lacks and says so at most once in tellEvery.
type missing struct {
	log *log.Logger
	now func() time.Time

	mu      sync.Mutex
	told    time.Time
	lostN   int // could not be written, or were too many at once
	leftN   int // came from somebody who causes many
	lastWhy error
}

func (m *missing) lost(n int, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.lostN, m.lastWhy = m.lostN+n, err
	m.tell()
}

func (m *missing) left() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.leftN++
	m.tell()
}

func (m *missing) tell() {
	now := m.now()
	if since := now.Sub(m.told); since >= 0 && since < tellEvery {
		return
	}
	if m.lostN > 0 {
		why := "too many at once"
		if m.lastWhy != nil {
			why = m.lastWhy.Error()
		}
		m.log.Printf("history: %d events are in the journal only: %s", m.lostN, why)
	}
	if m.leftN > 0 {
		m.log.Printf("history: %d refusals are in the journal only: somebody causes a great many", m.leftN)
	}
	m.told, m.lostN, m.leftN, m.lastWhy = now, 0, 0, nil
}
