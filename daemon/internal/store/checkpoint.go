package store

import (
	"context"
	"database/sql"
	"errors"
	"os"
)

// The write-ahead log, in frames of one changed page of 4 kB each.
const (
	walFrames    = 512           // a checkpoint is due after so many; the log is laid out for them
	walFramesMax = 8 * walFrames // the writer waits for a checkpoint beyond
	frameSize    = 4096 + 24
)

// checkpointer moves what the write-ahead log holds into the database, on a connection of its own,
// so that no login waits for it. When all is moved and nobody reads, the next commit starts again at
// the beginning of the log, over blocks that are allocated already: there, an fdatasync costs half of
// what it costs at the growing end of a file (0.15 against 0.32 ms, ext4).
type checkpointer struct {
	path string
	due  chan struct{}
	// lagging is sent to when updates come faster than checkpoints: the writer must pause.
	lagging chan struct{}
	stopped chan struct{}
}

func newCheckpointer(path string) *checkpointer {
	return &checkpointer{
		path: path, due: make(chan struct{}, 1), lagging: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
}

// request asks for a checkpoint soon. It never blocks.
func (c *checkpointer) request() {
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// stop returns when the last checkpoint is done and the connection is closed.
func (c *checkpointer) stop() {
	close(c.due)
	<-c.stopped
}

func (c *checkpointer) run() {
	defer close(c.stopped)
	db := connect(c.path, "rw", "PRAGMA cache_size=-64")
	defer db.Close()
	db.SetMaxOpenConns(1)
	for range c.due {
		// An error here loses nothing: the log keeps what isn't moved, and the next request tries again.
		// A full disk shows where it matters, at the next Update.
		frames, err := checkpoint(db, "PASSIVE")
		if err == nil && frames > walFramesMax {
			select {
			case c.lagging <- struct{}{}:
			default:
			}
		}
	}
}

// checkpoint returns how many frames the log held.
func checkpoint(db interface {
	QueryRowContext(context.Context, string, ...any) *sql.Row
}, mode string) (frames int, err error) {
	var busy, moved int
	err = db.QueryRowContext(context.Background(), "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &frames, &moved)
	return frames, err
}

// prepareWAL moves what the log holds into the database, and then makes the log as long as it is
// meant to get, by a transaction that outgrows the page cache and is taken back.
func (w *writer) prepareWAL() error {
	if _, err := checkpoint(w.conn, "RESTART"); err != nil && !lacksSpace(err) {
		return err
	}
	if info, err := os.Stat(w.path + "-wal"); err == nil && info.Size() >= walFrames*frameSize {
		return nil
	}
	if err := w.layOut(); err != nil && !lacksSpace(err) {
		return err
	}
	return nil // without the space for it, the log grows as it must
}

func (w *writer) layOut() (err error) {
	ctx := context.Background()
	if _, err := w.conn.ExecContext(ctx, "PRAGMA cache_size=16; BEGIN IMMEDIATE"); err != nil {
		return err
	}
	defer func() {
		_, e := w.conn.ExecContext(ctx, "ROLLBACK; PRAGMA cache_size=-2048")
		err = errors.Join(err, e)
	}()
	_, err = w.conn.ExecContext(ctx, "CREATE TABLE layout (page BLOB); INSERT INTO layout VALUES (zeroblob(?))", walFrames*4096)
	return err
}
