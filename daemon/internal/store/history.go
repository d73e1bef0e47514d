package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
)

// The history of events is written with what else is committed: a login waits for nothing more. An event
// that comes alone is written noteWithin later, with all that came meanwhile.
const (
	noteWithin = 200 * time.Millisecond
	notesMax   = 8192 // that wait. Further ones are lost
	notesBatch = 256  // in one commit, some milliseconds
	pruneStep  = 512  // events that one commit removes, some milliseconds
)

const (
	putEvent = `INSERT INTO event (at, user, kind, result, reason, service, source, tty, caller, device, detail, reference, action)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`
	eventColumns = `id, at, user, kind, result, reason, service, source, tty, caller, device, detail, reference, action`
	// The last one stays, so that no ID is used twice.
	pruneEvents = `DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT ?)
		AND (id <= ? OR id <= (SELECT max(id) FROM event) - ?) AND id < (SELECT max(id) FROM event)`
)

// Record has the event in the history soon, unless it is there already. It never waits and never fails: what
// can't be written is lost, and told to OnLost.
func (s *Store) Record(e audit.Event) {
	if e.Kept {
		return
	}
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.notes) >= notesMax {
		q.lost++
		return
	}
	if q.notes = append(q.notes, e); len(q.notes) == 1 {
		time.AfterFunc(noteWithin, q.wake)
	}
}

// OnLost has tell called when events were lost since it was last called, by the goroutine that writes: it
// must not wait. err is why, nil when there were too many at once.
func (s *Store) OnLost(tell func(events int, err error)) {
	s.queue.mu.Lock()
	defer s.queue.mu.Unlock()
	s.queue.onLost = tell
}

// takeNotes returns up to notesBatch events, in order, and whether more wait.
func (q *queue) takeNotes() (_ []audit.Event, more bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.notes), notesBatch)
	taken := slices.Clone(q.notes[:n])
	q.notes = slices.Delete(q.notes, 0, n)
	q.noting = n > 0
	if more = len(q.notes) > 0; more {
		q.wake()
	}
	return taken, more
}

func (q *queue) notesWait() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.noting || len(q.notes) > 0
}

// loseNotes counts events that could not be written, and tells of all that were lost.
func (q *queue) loseNotes(n int, err error) {
	q.mu.Lock()
	q.lost += n
	lost, tell := q.lost, q.onLost
	if tell != nil {
		q.lost = 0
	}
	q.mu.Unlock()
	if lost > 0 && tell != nil {
		tell(lost, err)
	}
}

// note writes an event. It fails no commit: whoever logs in does so also where the history is damaged.
func (w *writer) note(e audit.Event) {
	e = e.Cut()
	_, err := w.putEvent.Exec(e.At.UnixMilli(), e.User, string(e.Kind), string(e.Result), e.Reason, e.Service, e.Source,
		e.TTY, e.Caller, e.Device, e.Detail, e.Reference, e.Action)
	w.changed += 2 // as many pages, about, as two records
	if err != nil {
		w.unnoted, w.noteErr = w.unnoted+1, err
	}
}

// Events returns the newest Limit events that the query is for, or with After the oldest ones, in either
// case in the order in which they were written. What was recorded before is among them.
func (s *Store) Events(ctx context.Context, q audit.Query) ([]audit.Entry, error) {
	if s.queue.notesWait() {
		// They are written with it. Where that fails, those that are there can still be read.
		_ = s.submit(ctx, &update{name: "write the history", apply: func(*writer) error { return nil }})
	}
	entries, err := s.events(ctx, q)
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", explain(err))
	}
	return entries, nil
}

func (s *Store) events(ctx context.Context, q audit.Query) ([]audit.Entry, error) {
	if q.Limit <= 0 {
		return nil, errors.New("a limit is 1 or more")
	}
	var where []string
	var args []any
	add := func(condition string, arg any) {
		where, args = append(where, condition), append(args, arg)
	}
	add("id > ?", q.After)
	if q.User != "" {
		add("user = ?", q.User)
	}
	if q.Kind != "" {
		add("kind = ?", string(q.Kind))
	}
	if q.Reference != "" {
		add("reference = ?", q.Reference)
	}
	if q.Before != 0 {
		add("id < ?", q.Before)
	}
	if q.Own {
		// The words of a login that somebody else's program made up are not for the owner's eyes; nor is who
		// was let do what by polkit.
		add("reason != 'not_own_login' AND kind != ?", string(audit.Authorize))
	}
	if !q.Since.IsZero() {
		add("at >= ?", q.Since.UnixMilli())
	}
	order := "ASC"
	if q.After == 0 {
		order = "DESC"
	}
	rows, err := s.read.QueryContext(ctx, "SELECT "+eventColumns+" FROM event WHERE "+strings.Join(where, " AND ")+
		" ORDER BY id "+order+" LIMIT ?", append(args, q.Limit)...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var entries []audit.Entry
	for rows.Next() {
		var e audit.Entry
		var at int64
		if err := rows.Scan(&e.ID, &at, &e.User, &e.Kind, &e.Result, &e.Reason, &e.Service, &e.Source, &e.TTY, &e.Caller,
			&e.Device, &e.Detail, &e.Reference, &e.Action); err != nil {
			return nil, err
		}
		e.At = time.UnixMilli(at).UTC()
		entries = append(entries, e)
	}
	if q.After == 0 {
		slices.Reverse(entries)
	}
	return entries, rows.Err()
}

// LastEvent returns the ID of the newest event, 0 where there is none.
func (s *Store) LastEvent(ctx context.Context) (last int64, err error) {
	if err = s.read.QueryRowContext(ctx, "SELECT coalesce(max(id), 0) FROM event").Scan(&last); err != nil {
		return 0, fmt.Errorf("read the history: %w", explain(err))
	}
	return last, nil
}

// Prune removes some of the events up to the one of the ID old, and of those that are more than most, the oldest
// first. It returns how many, and whether there may be more to remove.
func (s *Store) Prune(ctx context.Context, old int64, most int) (removed int64, more bool, err error) {
	err = s.submit(ctx, &update{
		name: "prune the history",
		apply: func(w *writer) error {
			result, err := w.pruneEvents.Exec(pruneStep, old, most)
			if err != nil {
				w.failed = err
				return err
			}
			removed, err = result.RowsAffected()
			w.changed += int(removed)
			return err
		},
	})
	return removed, err == nil && removed == pruneStep, err
}
