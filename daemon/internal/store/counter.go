package store

import (
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// counterSuffix names the counter of a database: a file beside it, outside SQLite's log.
const counterSuffix = ".commits"

const (
	slots    = 2   // written in turn: a write that is cut off leaves the one before
	slotSize = 512 // a sector each
	// syncWithin is how soon the counter is on the disk. Before that a power cut may set it back, which
	// hides the loss of commits that are as recent, and loses none.
	syncWithin = time.Second
)

// position is how far a store has got.
type position struct {
	store   string // which one: random, made anew when a store takes the place of another
	commits int64
	folded  int64 // of these, at least so many are in the database file, also without SQLite's log
}

// line is a slot of the counter. It can be read by root, and shows by itself whether it is whole.
func (p position) line() string {
	text := fmt.Sprintf("totpd %s %020d %020d", p.store, p.commits, p.folded)
	return fmt.Sprintf("%s %08x\n", text, crc32.Checksum([]byte(text), castagnoli))
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// counter is the file that says how many commits the database must hold, with its log and without. It is written after a commit is on
// the disk and before anybody is told, without a wait: it survives a daemon that is killed at once, and a
// power cut after syncWithin.
type counter struct {
	f *os.File

	mu      sync.Mutex
	waiting bool // for a sync
	closed  bool
}

// openCounter opens the counter of the database at path, and makes it where there is none.
func openCounter(path string) (*counter, error) {
	f, err := os.OpenFile(path+counterSuffix, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, err
	}
	c := &counter{f: f}
	info, err := f.Stat()
	if err == nil && info.Size() < slots*slotSize {
		err = c.layOut(info.Size())
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return c, nil
}

// layOut fills the file up, so that a later write needs no space.
func (c *counter) layOut(from int64) error {
	_, err := c.f.WriteAt(make([]byte, slots*slotSize-from), from)
	return err
}

// set tells how far the store has got.
func (c *counter) set(p position) error {
	if _, err := c.f.WriteAt([]byte(p.line()), p.commits%slots*slotSize); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waiting && !c.closed {
		c.waiting = true
		time.AfterFunc(syncWithin, c.sync)
	}
	return nil
}

func (c *counter) sync() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting = false; !c.closed {
		_ = unix.Fdatasync(int(c.f.Fd())) // what it protects from is a second fault
	}
}

func (c *counter) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	_ = unix.Fdatasync(int(c.f.Fd()))
	return c.f.Close()
}

// announce has a store that is about to take the place of the one at path in the counter, on the disk. The
// other slot still vouches for the one that is there: whichever of the two a crash leaves can be opened.
func announce(path string, p position) error {
	c, err := openCounter(path)
	if err != nil {
		return err
	}
	err = c.set(p)
	return errors.Join(err, c.f.Sync(), c.close(), syncDir(path))
}

// furthest returns how far the store of that name has got by what its counter says, and whether it says so.
func furthest(told []position, store string) (most position, known bool) {
	most.store = store
	for _, p := range told {
		if p.store == store {
			known, most.commits, most.folded = true, max(most.commits, p.commits), max(most.folded, p.folded)
		}
	}
	return most, known
}

// readCounter returns what the counter of the database at path says: nothing where there is none, or
// nothing in it that is whole.
func readCounter(path string) ([]position, error) {
	f, err := os.OpenFile(path+counterSuffix, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content := make([]byte, slots*slotSize)
	n, _ := f.ReadAt(content, 0)
	var told []position
	for i := range slots {
		var p position
		var sum uint32
		slot := content[min(n, i*slotSize):min(n, (i+1)*slotSize)]
		if _, err := fmt.Sscanf(string(slot), "totpd %s %d %d %x\n", &p.store, &p.commits, &p.folded, &sum); err != nil {
			continue
		}
		if line := p.line(); len(slot) >= len(line) && string(slot[:len(line)]) == line {
			told = append(told, p)
		}
	}
	return told, nil
}
