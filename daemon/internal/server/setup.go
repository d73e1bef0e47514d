package server

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// lostAgain is after how long a loss that lasts is told once more.
const lostAgain = 6 * time.Hour

// setupState is what the last check of totpctl setup's work has found.
type setupState struct {
	mu   sync.Mutex
	lost string
	told time.Time
}

// setup takes the report of a check. Each loss is told once, and from time to time while it lasts, and so is its
// end.
func (c *call) setup(_ context.Context, r control.SetupRequest) (control.Nothing, error) {
	now, lost := c.control.Clock(), strings.Join(r.Lost, "; ")
	s := &c.control.setupState
	s.mu.Lock()
	defer s.mu.Unlock()
	event := audit.Event{Kind: audit.Setup, Caller: audit.UID(c.peer.UID), Result: audit.Lost, Reason: "lost", Detail: lost, Reference: audit.NewReference()}
	switch {
	case lost == s.lost && (lost == "" || now.Sub(s.told) < lostAgain):
		return control.Nothing{}, nil
	case lost == "":
		event.Result, event.Reason = audit.Done, "in_place"
	}
	s.lost, s.told = lost, now
	c.control.Audit.Record(event)
	return control.Nothing{}, nil
}
