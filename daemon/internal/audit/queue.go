package audit

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// Queue writes lines in a goroutine of its own, so that a journal that nobody reads, or a pipe that is full, keeps
// nothing waiting. It holds a limited number of lines; further ones are lost, and counted in a line that follows
// once there is a reader again.
type Queue struct {
	w    io.Writer
	send func(string, journal.Priority, map[string]string) error // to the journal; nil: there is none

	mu      sync.Mutex
	waiting []line
	lost    int
	changed *sync.Cond // waiting has grown, or all of it was written
	writing bool
}

// line is one that waits, an event or what a program says of itself.
type line struct {
	text   string // with its end, unless it is an event
	event  *Event
	weight weight
}

// weight says how many lines may wait before a further one is lost.
type weight int

// Lines that anybody can cause leave room for those of judged answers.
const (
	lightMax weight = 3000
	heavyMax weight = 4000
)

// NewQueue returns a queue to w, and to the journal for events where w is this process's standard error and the
// journal reads that.
func NewQueue(w io.Writer) *Queue {
	var send func(string, journal.Priority, map[string]string) error
	if w == io.Writer(os.Stderr) {
		if is, _ := journal.StderrIsJournalStream(); is {
			send = journal.Send
		}
	}
	return newQueue(w, send)
}

func newQueue(w io.Writer, send func(string, journal.Priority, map[string]string) error) *Queue {
	q := &Queue{w: w, send: send}
	q.changed = sync.NewCond(&q.mu)
	go q.run()
	return q
}

// Write implements io.Writer, for a log.Logger. It never waits.
func (q *Queue) Write(text []byte) (int, error) {
	q.add(line{text: string(text), weight: lightMax})
	return len(text), nil
}

// Event queues an event.
func (q *Queue) Event(e Event) {
	l := line{event: &e, weight: lightMax}
	if e.Judged() {
		l.weight = heavyMax
	}
	q.add(l)
}

func (q *Queue) add(l line) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) >= int(l.weight) {
		q.lost++
		return
	}
	q.waiting = append(q.waiting, l)
	q.changed.Broadcast()
}

// Flush waits until all lines are written, but no longer than within.
func (q *Queue) Flush(within time.Duration) {
	end := time.Now().Add(within)
	late := time.AfterFunc(within, q.changed.Broadcast)
	defer late.Stop()
	q.mu.Lock()
	defer q.mu.Unlock()
	for (len(q.waiting) > 0 || q.writing || q.lost > 0) && time.Now().Before(end) {
		q.changed.Wait()
	}
}

// Lost returns how many lines were lost since that was last written.
func (q *Queue) Lost() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.lost
}

func (q *Queue) run() {
	q.mu.Lock()
	for {
		for len(q.waiting) == 0 && q.lost == 0 {
			q.writing = false
			q.changed.Broadcast()
			q.changed.Wait()
		}
		q.writing = true
		var next line
		if len(q.waiting) > 0 {
			next, q.waiting = q.waiting[0], q.waiting[1:]
		} else { // all that were before them have been written
			next, q.lost = lostLine(q.lost), 0
		}
		q.mu.Unlock()
		q.write(next)
		q.mu.Lock()
	}
}

func lostLine(n int) line {
	return line{text: fmt.Sprintf("%d lines of this log were lost: nobody read them in time\n", n)}
}

// write has nobody left to tell when it fails. What the journal doesn't take goes to the writer.
func (q *Queue) write(l line) {
	if l.event != nil {
		text := l.event.line()
		if q.send != nil && q.send(text, l.event.priority(), l.event.fields()) == nil {
			return
		}
		l.text = text + "\n"
	}
	_, _ = io.WriteString(q.w, l.text)
}
