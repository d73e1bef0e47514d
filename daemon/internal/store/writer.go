package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

const (
	// putRecord sets no uid of a record that is there already: a usual login rewrites no index.
	putRecord    = `INSERT INTO account (user, record, sum, uid) VALUES (?, ?, ?, ?) ON CONFLICT (user) DO UPDATE SET record = excluded.record, sum = excluded.sum`
	setUID       = `UPDATE account SET uid = ?2 WHERE user = ?1 AND uid IS NOT ?2`
	deleteRecord = `DELETE FROM account WHERE user = ?`
	putMeta      = `INSERT INTO meta (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`
)

// writer is the one connection that changes accounts. It is used by one goroutine.
type writer struct {
	path string
	db   *sql.DB
	conn *sql.Conn

	beside bool // a daemon, which may commit all the time

	begin, commit, rollback *sql.Stmt
	lookup                  lookup
	putRecord, deleteRecord *sql.Stmt
	setUID                  *sql.Stmt
	putMeta, count, clean   *sql.Stmt
	putEvent, pruneEvents   *sql.Stmt

	changed int      // records, in this commit
	counts  bool     // this commit must not be lost: more than events is in it
	ways    bool     // this commit changes somebody's ways in, and must be in the database before it is told
	at      position // of the last commit that counts
	failed  error    // of the database, in this commit: it can't be finished
	unnoted int      // events that could not be written, in this commit
	noteErr error    // why
}

// statements lists what is prepared.
func (w *writer) statements() map[**sql.Stmt]string {
	return map[**sql.Stmt]string{
		&w.begin: "BEGIN IMMEDIATE", &w.commit: "COMMIT", &w.rollback: "ROLLBACK",
		&w.lookup.record: selectRecord, &w.lookup.again: selectAgain, &w.putRecord: putRecord, &w.deleteRecord: deleteRecord,
		&w.setUID: setUID, &w.putMeta: putMeta, &w.count: countCommit, &w.clean: setClean, &w.putEvent: putEvent, &w.pruneEvents: pruneEvents,
	}
}

func (s *Store) openWriter() (_ *writer, err error) {
	w := &writer{path: s.path, beside: s.lock == nil, db: connect(s.path, "rw", "PRAGMA cache_size=-2048;"+s.pragmas)}
	defer func() {
		if err != nil {
			w.close()
		}
	}()
	w.db.SetMaxOpenConns(1)
	if err := checkSchema(w.db); err != nil {
		return nil, err
	}
	if err := ensureWAL(w.db); err != nil {
		return nil, err
	}
	if w.conn, err = w.db.Conn(context.Background()); err != nil {
		return nil, err
	}
	for stmt, text := range w.statements() {
		if *stmt, err = w.conn.PrepareContext(context.Background(), text); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// close ends the connection. database/sql doesn't close the statements of a sql.Conn, and SQLite
// keeps a connection, and its locks, for as long as it has statements.
func (w *writer) close() {
	for stmt := range w.statements() {
		if *stmt != nil {
			(*stmt).Close()
		}
	}
	if w.conn != nil {
		w.conn.Close()
	}
	w.db.Close()
}

// write is the writer's goroutine: it commits what waits, until the queue is closed and empty.
func (s *Store) write(w *writer) {
	defer close(s.written)
	var batch []*update
	var open bool
	written := 0 // records since the last checkpoint was asked for
	for range s.queue.filled {
		if w != nil {
			if s.checkpoints.finish(w) {
				_ = s.files.isFolded() // the next commit fails too where this does
			}
		}
		batch, open = s.queue.take(batch[:0])
		notes, more := s.queue.takeNotes()
		if w = s.commit(w, batch, notes); w != nil {
			if written += w.changed; written >= walFrames {
				s.checkpoints.request()
				written = 0
			}
		}
		clear(batch)
		if !open && !more {
			break
		}
	}
	s.checkpoints.stop()
	// The others first: the last one to close folds the log into the database and removes it.
	s.read.Close()
	if w != nil {
		if s.lock != nil && s.files.there() == nil {
			_ = w.setClean(true) // without it, a copy without its counter isn't believed
		}
		w.close()
	}
}

// commit runs the updates in one transaction, with what is noted for the history, and answers each when it
// is durable. It returns the writer for the next batch: nil after a failure, when nobody knows what state
// the connection is in.
func (s *Store) commit(w *writer, batch []*update, notes []audit.Event) *writer {
	taken := batch[:0]
	for _, u := range batch {
		if u.taken.CompareAndSwap(false, true) {
			taken = append(taken, u)
		}
	}
	if len(taken)+len(notes) == 0 {
		return w
	}
	w, err := s.ready(w)
	if err == nil {
		err = w.run(taken, notes)
	}
	if err == nil && w.counts {
		// After the commit and before the answer: the counter knows of all that was told.
		err = s.files.reached(w.at)
	}
	if err == nil && w.ways {
		if s.checkpoints.fold(w) {
			err = s.files.isFolded()
		}
	}
	for _, u := range taken {
		if err != nil {
			u.err = err // also of those that fn refused: it judged by what is taken back now
		}
		u.done <- u.err
	}
	switch {
	case err != nil:
		s.queue.loseNotes(len(notes), err)
	default:
		s.queue.loseNotes(w.unnoted, w.noteErr)
	}
	if err != nil && w != nil {
		w.close()
		return nil
	}
	return w
}

// ready returns a writer on the files that the store was opened with. What is written to a file that
// was removed or replaced meanwhile would be gone with the next start.
func (s *Store) ready(w *writer) (*writer, error) {
	if err := s.files.there(); err != nil {
		if w != nil && !s.files.foreign.Load() {
			_, _, _ = checkpoint(w.conn, "PASSIVE") // a log that was removed can still be read here
		}
		return w, err
	}
	if w != nil {
		return w, nil
	}
	return s.openWriter()
}

// run returns an error when nothing of the batch was written; else each update has its own in err.
func (w *writer) run(batch []*update, notes []audit.Event) error {
	w.changed, w.counts, w.ways, w.failed, w.unnoted, w.noteErr = 0, false, false, nil, 0, nil
	if err := w.start(); err != nil {
		return err
	}
	for _, u := range batch {
		u.err = u.apply(w)
		if w.failed != nil {
			break
		}
	}
	err := w.failed
	if err == nil {
		for _, e := range notes {
			w.note(e)
		}
		if w.counts {
			err = w.count.QueryRow().Scan(&w.at.store, &w.at.commits)
		}
	}
	if err == nil {
		_, err = w.commit.Exec()
	}
	if err != nil {
		// It may be rolled back already; then this fails, and is meant to.
		_, _ = w.rollback.Exec()
	}
	return err
}

// start begins the transaction. Beside a daemon it looks for the moment between two commits more often than SQLite does,
// which after a quarter of a second waits for 100 ms each time: one that commits all the time leaves moments of
// microseconds.
func (w *writer) start() error {
	if !w.beside {
		_, err := w.begin.Exec()
		return err
	}
	ctx := context.Background()
	_, err := w.conn.ExecContext(ctx, "PRAGMA busy_timeout=5")
	for try := 0; err == nil && try < looks; try++ {
		if _, err := w.begin.Exec(); err == nil || !Locked(err) || try == looks-1 {
			_, e := w.conn.ExecContext(ctx, patient)
			return errors.Join(err, e)
		}
	}
	return err
}

// change is Update inside the transaction.
func (w *writer) change(user string, fn func(account.Account) (account.Account, error)) error {
	old, stored, err := w.lookup.account(user)
	if err != nil {
		return err
	}
	changed, err := call(fn, old)
	if err != nil {
		return err
	}
	if changed.User != user {
		return errors.New("refused to store it under another user's name")
	}
	w.ways = w.ways || !changed.SameWays(old)
	if changed.Empty() {
		if !stored {
			return nil
		}
		return w.exec(w.deleteRecord, user)
	}
	return w.put(changed, stored && !account.SameUID(old.UID, changed.UID))
}

// put stores an account. moved says that the uid may not be that of the record that is there.
func (w *writer) put(acc account.Account, moved bool) error {
	record, err := encode(acc)
	if err != nil {
		return err
	}
	uid := uidOf(acc)
	if err := w.exec(w.putRecord, acc.User, string(record), sumOf(acc.User, record), uid); err != nil || !moved {
		return err
	}
	return w.exec(w.setUID, acc.User, uid)
}

// replace stores an account in place of what is stored, whatever that is.
func (w *writer) replace(acc account.Account) error {
	if err := w.lookup.sound(acc.User); err != nil {
		return err
	}
	w.ways = true
	return w.put(acc, true)
}

// remove deletes what is stored for a user, whatever that is.
func (w *writer) remove(user string) error {
	if err := w.lookup.sound(user); err != nil {
		return err
	}
	w.ways = true
	return w.exec(w.deleteRecord, user)
}

// setClean has the database say whether it was closed.
func (w *writer) setClean(is bool) error {
	_, err := w.clean.Exec(is)
	return err
}

// exec runs a statement that writes. When it fails, so does the whole commit.
func (w *writer) exec(stmt *sql.Stmt, args ...any) error {
	_, w.failed = stmt.Exec(args...)
	w.changed++
	w.counts = true
	return w.failed
}

// call keeps one user's record that trips fn from ending the daemon for all.
func call(fn func(account.Account) (account.Account, error), old account.Account) (_ account.Account, err error) {
	defer func() {
		if v := recover(); v != nil {
			if e, ok := v.(runtime.Error); ok {
				err = fmt.Errorf("panic: %w", e)
			} else {
				err = errors.New("panic") // its value may hold anything
			}
		}
	}()
	changed, err := fn(old)
	if err != nil {
		return account.Account{}, ownError{err}
	}
	return changed, nil
}
