package store

import (
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// files are the database and its log, as they were opened.
type files struct{ database, log inode }

type inode struct{ dev, ino uint64 }

func filesAt(path string) (f files, written unix.Timespec, err error) {
	if f.database, written, err = inodeAt(path); err == nil {
		f.log, _, err = inodeAt(path + "-wal")
	}
	return f, written, err
}

// inodeAt returns which file is at path, and when it was last changed.
func inodeAt(path string) (inode, unix.Timespec, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return inode{uint64(st.Dev), st.Ino}, st.Ctim, err
}

// original tells whether the files of a store are still those that were opened.
type original struct {
	path    string
	files   files
	counter *counter

	written atomic.Pointer[unix.Timespec] // when the database was last seen changed, and was ours
	foreign atomic.Bool                   // another one was written over it

	mu sync.Mutex
	at position // that is reached. The writer alone changes it, and holds mu
}

// open begins with the files at path, and tells the counter where.
func (o *original) open(path string, c *counter, at position) (err error) {
	o.path, o.counter, o.at = path, c, at
	if o.files, _, err = filesAt(path); err != nil {
		return err
	}
	return c.set(at)
}

// there returns an error unless the files are still these. It costs two system calls.
func (o *original) there() error {
	now, written, err := filesAt(o.path)
	if err != nil || now != o.files || o.foreign.Load() {
		return ErrReplaced
	}
	if seen := o.written.Load(); seen != nil && *seen == written {
		return nil
	}
	return o.look(written)
}

// look returns an error where the database was overwritten with an older copy: what SQLite has in memory of the one
// before is written into the other one, and that would look whole.
func (o *original) look(written unix.Timespec) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.foreign.Load() {
		return ErrReplaced
	}
	if fileHolds(o.path, o.at) {
		o.written.Store(&written)
		return nil
	}
	o.foreign.Store(true)
	// What is there will never hold one more: no start takes it for whole.
	lost := o.at
	lost.commits++
	_ = o.counter.set(lost) // where that can't be written, nothing else can
	return ErrReplaced
}

// reached tells how far the store has got.
func (o *original) reached(p position) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at.store, o.at.commits = p.store, p.commits
	return o.counter.set(o.at)
}

// isFolded says that the database file holds all that was reached.
func (o *original) isFolded() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.at.folded = o.at.commits
	return o.counter.set(o.at)
}
