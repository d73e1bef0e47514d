// Package audit writes one line for each decision: to the journal with structured fields when the
// daemon's standard error is the journal's, else as key=value to the writer it was given. It tells
// listeners of each decision too. It decides nothing; the history that it describes is the store's to keep.
//
// Always true: nothing waits for a line to be written; a decision about a real answer has its line, whatever others
// cause; an event has no field for a code, a secret or a password; a name chosen by a stranger
// can neither begin a second line nor look like another key; it is cut when it is long.
package audit

import (
	"context"
	"crypto/rand"
	"io"
	"strconv"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// Kind says what was decided about.
type Kind string

// The kinds.
const (
	Login     Kind = "login"     // one answer, or a login that ended without one
	Enrol     Kind = "enrol"     // an enrolment begun or confirmed, a key set
	Disable   Kind = "disable"   // the second factor taken away
	Authorize Kind = "authorize" // polkit lets somebody do what else is root's
	Control   Kind = "control"   // another request of totpctl, that failed
	Devices   Kind = "devices"   // a device renamed, or one of several removed
	Recovery  Kind = "recovery"  // new recovery codes
	Bypass    Kind = "bypass"    // a bypass code made or revoked
	Export    Kind = "export"    // keys handed out
	Forget    Kind = "forget"    // remembered computers forgotten
	Unlock    Kind = "unlock"    // failures forgotten
	Reset     Kind = "reset"     // everything taken away, for the next login to enrol
	Backup    Kind = "backup"    // all accounts copied to a backup, or put back from one
	Setup     Kind = "setup"     // what totpctl setup has done is no longer there, or is again
	Trial     Kind = "trial"     // a login that totpctl only tried: no login, and listeners don't hear of it
)

// Result is the decision.
type Result string

// The results.
const (
	Accepted    Result = "accepted"
	NotDue      Result = "not_due"     // no code is asked for
	Retry       Result = "retry"       // an answer was refused, another one may follow in this login
	Refused     Result = "refused"     // the end
	Unavailable Result = "unavailable" // could not be decided, so nobody gets in
	Abandoned   Result = "abandoned"   // the other side hung up before the verdict
	Started     Result = "started"     // an enrolment waits for its first code
	Done        Result = "done"        // the account was changed
	Lost        Result = "lost"        // logins may be without a second factor
)

// Event is one decision. Empty fields are left out.
type Event struct {
	Kind      Kind
	User      string // canonical where known, else as the caller gave it
	Service   string // PAM service
	Source    string // remote host, as the PAM application gives it
	TTY       string
	Caller    string // the peer's uid in decimal
	Result    Result
	Reason    string // a word for programs, such as wrong_code
	Detail    string // of a failure: the error; of a wait: its end
	Action    string // of polkit, where it was asked or could have been
	Device    string // name of the device whose code it was
	Reference string // also shown to the person

	Nameless bool   // the caller's uid has no name on this host
	Asker    string // PAM_RUSER where root's program asks for somebody on this host, for shares alone

	At   time.Time // when; zero: when it is recorded
	Kept bool      // the history has it: see Keep
}

// Log records events. It may be used by several goroutines at once.
type Log struct {
	mu    sync.Mutex
	w     io.Writer // where there is no queue
	queue *Queue
	tell  []func(Event)
	limit *Limit // nil: every event has a line
}

// New returns a log to w, which has each line at once.
func New(w io.Writer) *Log { return &Log{w: w} }

// linesAtOnce is how many refusals that cost nothing have a line each, of one author.
const linesAtOnce = 1000

// Queued returns a log to q, which nothing waits for. Lines of refusals that cost nothing are limited for each
// author.
func Queued(q *Queue) *Log {
	return &Log{queue: q, limit: NewLimit(linesAtOnce, func(text string) { _, _ = q.Write([]byte(text + "\n")) })}
}

// ToJournal returns a log to the journal alone, for a program whose standard error a person reads. Where
// there is no journal, as in some rescue shells, events are lost. The program calls Flush before it ends.
func ToJournal() *Log {
	var send func(string, journal.Priority, map[string]string) error
	if journal.Enabled() {
		send = journal.Send
	}
	return &Log{queue: newQueue(io.Discard, send)}
}

// flushTime is how long a program that ends waits for the reader of its log.
const flushTime = time.Second

// Flush waits a moment for lines that are not written yet.
func (l *Log) Flush() {
	if l.queue != nil {
		l.queue.Flush(flushTime)
	}
}

// Tell has each event told to listener too, which is called by many goroutines and must not wait for
// anything: a login does. It is added before the first event.
func (l *Log) Tell(listener func(Event)) { l.tell = append(l.tell, listener) }

// Record writes the event.
func (l *Log) Record(e Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e = e.Cut()
	if l.limit == nil || l.limit.allowsEvent(&e) {
		l.write(e)
	}
	if e.Kind == Trial {
		return
	}
	for _, tell := range l.tell {
		tell(e)
	}
}

func (l *Log) write(e Event) {
	if l.queue != nil {
		l.queue.Event(e)
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Nobody is left to tell that it failed.
	_, _ = io.WriteString(l.w, e.line()+"\n")
}

// letters of a reference: none looks like another when it is read aloud or copied by hand.
const letters = "23456789ABCDEFGHJKMNPQRSTVWXYZ"

// NewReference returns a random reference such as 7F3K-Q2ND.
func NewReference() string {
	ref := make([]byte, 0, 9)
	var random [16]byte
	for {
		rand.Read(random[:]) // never fails: crypto/rand
		for _, b := range random {
			if int(b) >= 256/len(letters)*len(letters) {
				continue // these would favour the first letters
			}
			if len(ref) == 4 {
				ref = append(ref, '-')
			}
			if ref = append(ref, letters[int(b)%len(letters)]); len(ref) == 9 {
				return string(ref)
			}
		}
	}
}

// UID spells a uid for an event.
func UID(uid uint32) string { return strconv.FormatUint(uint64(uid), 10) }

type callerKey struct{}

// WithCaller returns a context that carries the uid of the peer a request came from.
func WithCaller(ctx context.Context, uid uint32) context.Context {
	return context.WithValue(ctx, callerKey{}, uid)
}

// CallerOf returns the uid that the context carries, in decimal, or "".
func CallerOf(ctx context.Context) string {
	if uid, ok := ctx.Value(callerKey{}).(uint32); ok {
		return UID(uid)
	}
	return ""
}
