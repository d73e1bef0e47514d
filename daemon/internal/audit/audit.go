// Package audit writes one line for each decision: to the journal with structured fields when the
// daemon's standard error is the journal's, else as key=value to the writer it was given. It tells
// listeners of each decision too. It decides nothing; the history that it describes is the store's to keep.
//
// Always true: an event has no field for a code, a secret or a password; a name chosen by a stranger
// can neither begin a second line nor look like another key; it is cut when it is long.
package audit

import (
	"context"
	"crypto/rand"
	"io"
	"os"
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

	At   time.Time // when; zero: when it is recorded
	Kept bool      // the history has it: see Keep
}

// Log records events. It may be used by several goroutines at once.
type Log struct {
	mu   sync.Mutex
	w    io.Writer
	send func(string, journal.Priority, map[string]string) error // to the journal; nil: there is none
	slow chan struct{}                                           // holds one for each line that journald has not taken yet
	tell []func(Event)
}

// A journald that hangs must not hang logins: a line is waited for so long, and at most so many lines
// wait to be taken. Further ones are lost.
const (
	patience = 500 * time.Millisecond
	slowMax  = 256
)

// New returns a log to the journal, when w is this process's standard error and the journal reads
// that, or else to w.
func New(w io.Writer) *Log {
	l := &Log{w: w, slow: make(chan struct{}, slowMax)}
	if w == io.Writer(os.Stderr) {
		if is, _ := journal.StderrIsJournalStream(); is {
			l.send = journal.Send
		}
	}
	return l
}

// ToJournal returns a log to the journal alone, for a program whose standard error a person reads. Where
// there is no journal, as in some rescue shells, events are lost.
func ToJournal() *Log {
	l := &Log{w: io.Discard, slow: make(chan struct{}, slowMax)}
	if journal.Enabled() {
		l.send = journal.Send
	}
	return l
}

// Tell has each event told to listener too, which is called by many goroutines and must not wait for
// anything: a login does. It is added before the first event.
func (l *Log) Tell(listener func(Event)) { l.tell = append(l.tell, listener) }

// Record writes the event. What the journal doesn't take goes to the writer.
func (l *Log) Record(e Event) {
	if e.At.IsZero() {
		e.At = time.Now()
	}
	e = e.Cut()
	l.write(e)
	if e.Kind == Trial {
		return
	}
	for _, tell := range l.tell {
		tell(e)
	}
}

func (l *Log) write(e Event) {
	line := e.line()
	if l.send != nil && l.toJournal(line, e) {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// Standard error is the last resort: there is nobody left to tell that it failed.
	_, _ = io.WriteString(l.w, line+"\n")
}

// toJournal says whether nothing more is to be done for the line: journald has it, or hangs, and would
// hang standard error too, which it reads.
func (l *Log) toJournal(line string, e Event) bool {
	select {
	case l.slow <- struct{}{}:
	default:
		return true
	}
	sent := make(chan error, 1)
	go func() {
		sent <- l.send(line, e.priority(), e.fields())
		<-l.slow
	}()
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-sent:
		return err == nil
	case <-late.C:
		return true
	}
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
