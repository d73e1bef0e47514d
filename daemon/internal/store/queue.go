package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// batchMax is how many updates share one commit at the most.
const batchMax = 256

// Update reads the account of user, hands it to fn and stores what fn returns. It returns nil once
// that is on the disk. A user without an account is a zero account with User set; an account that
// comes back Empty is deleted.
//
// fn runs in the goroutine that writes, together with others' updates, so it must be quick, must not
// call the store, and may change nothing but variables of its caller; it runs once at the most. An
// error of fn is returned as it is, and nothing is written. An Update may see what another one of
// the same commit did before it; they stand or fall together.
//
// When ctx ends first, Update returns at once with an error that wraps ctx.Err(). An update that was
// still waiting never happens then: fn is not called. One whose commit had begun runs to its end:
// the account is as fn made it or as it was before, never between, and Get says which once it is
// done. The error tells the two apart in words. In the second case fn may still be running, so that
// after any error that wraps ctx.Err() the caller must not look at the variables fn writes to.
//
// With a context of audit.Keep, the event goes into the history in the same commit.
func (s *Store) Update(ctx context.Context, user string, fn func(account.Account) (account.Account, error)) error {
	if err := account.ValidUser(user); err != nil {
		return fmt.Errorf("update account of %s: %w", shown(user), err)
	}
	return s.submit(ctx, &update{
		name: "update account of " + shown(user),
		apply: func(w *writer) error {
			err := w.change(user, fn)
			if event := audit.KeptBy(ctx); event != nil && err == nil {
				w.note(event())
			}
			return err
		},
	})
}

// Replace stores an account in place of what is stored for its user, also of a record that can't be read. It
// promises what Update does.
func (s *Store) Replace(ctx context.Context, acc account.Account) error {
	name := "replace account of " + shown(acc.User)
	if _, err := encode(acc); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return s.submit(ctx, &update{
		name:  name,
		apply: func(w *writer) error { return w.replace(acc) },
	})
}

// Delete removes what is stored for user, also a record that can't be read. It is root's way out.
func (s *Store) Delete(ctx context.Context, user string) error {
	if err := account.ValidUser(user); err != nil {
		return fmt.Errorf("delete account of %s: %w", shown(user), err)
	}
	return s.submit(ctx, &update{
		name:  "delete account of " + shown(user),
		apply: func(w *writer) error { return w.remove(user) },
	})
}

// SetMeta stores a value that belongs to the whole store. It promises what Update does, but that its loss with a
// log goes unnoticed: all such values can be made anew.
func (s *Store) SetMeta(ctx context.Context, name, value string) error {
	return s.submit(ctx, &update{
		name: "write " + shown(name) + " of the store",
		apply: func(w *writer) error {
			_, w.failed = w.putMeta.Exec(name, value)
			w.changed++
			return w.failed
		},
	})
}

// update is one change on its way to the writer.
type update struct {
	name  string
	apply func(*writer) error
	taken atomic.Bool // by the writer, or by the caller who gives up
	err   error       // of apply; the writer's until done
	done  chan error
}

// An ownError is the caller's, returned as it is; other errors get the name of the update.
type ownError struct{ error }

func (s *Store) submit(ctx context.Context, u *update) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("%s: %w", u.name, err)
	}
	u.done = make(chan error, 1)
	if err := s.queue.add(u); err != nil {
		return fmt.Errorf("%s: %w", u.name, err)
	}
	select {
	case err := <-u.done:
		var own ownError
		switch {
		case err == nil:
			return nil
		case errors.As(err, &own):
			return own.error
		}
		return fmt.Errorf("%s: %w", u.name, explain(err))
	case <-ctx.Done():
		if u.taken.CompareAndSwap(false, true) {
			return fmt.Errorf("%s: gave up before it was written: %w", u.name, ctx.Err())
		}
		return fmt.Errorf("%s: gave up while it was being written: %w", u.name, ctx.Err())
	}
}

// queue holds the updates, and the events, that wait for the writer.
type queue struct {
	mu      sync.Mutex
	waiting []*update
	notes   []audit.Event
	noting  bool // the last of them that were taken may not be written yet
	lost    int  // events, since onLost was told
	onLost  func(events int, err error)
	closed  bool
	filled  chan struct{} // holds one token when something changed
}

func newQueue() queue { return queue{filled: make(chan struct{}, 1)} }

var errClosed = errors.New("the store is closed")

func (q *queue) add(u *update) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	q.waiting = append(q.waiting, u)
	q.wake()
	return nil
}

// close says whether it was open.
func (q *queue) close() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	was := !q.closed
	q.closed = true
	q.wake()
	return was
}

func (q *queue) wake() {
	select {
	case q.filled <- struct{}{}:
	default:
	}
}

// take appends up to batchMax updates to batch, in order of arrival. It says whether more will come.
func (q *queue) take(batch []*update) (_ []*update, open bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := min(len(q.waiting), batchMax)
	batch = append(batch, q.waiting[:n]...)
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	if rest > 0 {
		q.wake()
	}
	return batch, !q.closed || rest > 0
}
