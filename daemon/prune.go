package main

import (
	"context"
	"encoding/json"
	"log"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/store"
)

const (
	pruneEvery  = time.Minute      // while there is nothing to remove
	rememberRan = 10 * time.Minute // how often is stored how long the daemon has run
	prunedTells = time.Hour        // how often is told of what was removed
	// retentionName names the values that retention goes by among those that belong to the whole store.
	retentionName = "history_retention"
)

// pruner keeps the history within the limits of the settings. It asks no clock: one that is years ahead for a
// minute would erase it all.
type pruner struct {
	store *store.Store
	log   *log.Logger

	retention audit.Retention
	stored    time.Duration // Ran of the retention in the store
	removed   int64         // since it was last told
	told      time.Time
}

// prune goes on until ctx ends.
func (d *daemon) prune(ctx context.Context) {
	p := pruner{store: d.store, log: d.log}
	if text, found, err := d.store.Meta(ctx, retentionName); err == nil && found {
		if err := json.Unmarshal([]byte(text), &p.retention); err != nil {
			d.log.Printf("history: how long events have been kept is not known any more, so they stay for longer: %v", err)
			p.retention = audit.Retention{}
		}
		p.stored = p.retention.Ran
	}
	before, pause := time.Now(), time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		now := time.Now() // its monotonic reading alone is used
		more := p.step(ctx, now.Sub(before), d.parts.Load().history)
		if before, pause = now, pruneEvery; more {
			pause = 50 * time.Millisecond // logins come first
		}
	}
}

// step removes some events, once time has passed, and says whether there may be more.
func (p *pruner) step(ctx context.Context, passed time.Duration, limits config.Log) (more bool) {
	keep := time.Duration(limits.Keep) * 24 * time.Hour
	p.retention.Pass(passed)
	last, err := p.store.LastEvent(ctx)
	if err != nil {
		return false
	}
	p.retention.Note(last, keep)
	removed, more, err := p.store.Prune(ctx, p.retention.Old(keep), limits.Max)
	p.removed += removed
	if err != nil {
		return false
	}
	p.tell(limits)
	if p.stored == 0 || p.retention.Ran-p.stored >= rememberRan {
		text, err := json.Marshal(p.retention)
		if err == nil && p.store.SetMeta(ctx, retentionName, string(text)) == nil {
			p.stored = max(p.retention.Ran, 1)
		}
	}
	return more
}

// tell writes what was removed to the log.
func (p *pruner) tell(limits config.Log) {
	if p.removed == 0 || !p.told.IsZero() && time.Since(p.told) < prunedTells {
		return
	}
	p.log.Printf("history: the oldest events, %d of them, are removed: they are older than %d days or more than %d ([log] keep, max)",
		p.removed, limits.Keep, limits.Max)
	p.removed, p.told = 0, time.Now()
}
