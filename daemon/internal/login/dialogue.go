package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// Dialogue is one login. It is used by one goroutine.
type Dialogue struct {
	service   *Service
	caller    Caller
	open      wire.Open
	user      string          // canonical, once it is known
	uid       uint32          // the user's, likewise
	speaker   bool            // a program that isn't root speaks for somebody else, as it may
	rule      policy.Decision // what the rules ask, once the Open was judged
	state     state
	count     [states][messages]int // how many of each message came in each state
	again     bool                  // the message under way may come once more in this state
	reference string
	failed    int // answers that were counted, of a login without an id
	// recoveryOnly says that no code of a device is judged for long, but recovery codes are.
	recoveryOnly bool

	enrolment enrolment // in choosing, confirming and noting
	passed    decision  // in remembering: the acceptance that waits for the answer
	grounds   string    // likewise: groundsOf the account at that time
	tails     []byte    // of a combined login: see wire.AppendCombined
	granted   [][]byte  // hashes: what later logins are spared a code for, on the strength of this one
	refusal   decision  // of a combined login's Open, which waits for the answer; the zero value: none
}

type state int

const (
	begun       state = iota // nothing has been decided yet
	asked                    // a code is due
	proving                  // the module is asked whether who must enrol has proved to be the user
	choosing                 // who must enrol is asked what to be shown
	confirming               // the first code of a new device is due
	noting                   // recovery codes were shown, and are being written down
	remembering              // a code was right: is this computer to be remembered?
	ended                    // the verdict was given, or nobody is there to hear it
	states
)

type message int

const (
	openMessage message = iota
	answerMessage
	abandonMessage
	messages
)

// row is one legal message: in which state, how often in it, whether it may end in acceptance.
type row struct {
	state     state
	message   message
	handle    func(*Dialogue, context.Context, []byte) decision
	times     func(*Dialogue) int
	mayAccept bool
}

// table is all that a dialogue can do. Who may send a message stands before it, in dispatch.
var table = []row{
	{begun, openMessage, (*Dialogue).opened, once, false},
	{asked, answerMessage, (*Dialogue).answered, (*Dialogue).tries, true},
	{proving, answerMessage, (*Dialogue).proved, once, false},
	{choosing, answerMessage, (*Dialogue).chosen, twice, false},
	{confirming, answerMessage, (*Dialogue).firstCode, tenTimes, false},
	{noting, answerMessage, (*Dialogue).noted, once, true},
	{remembering, answerMessage, (*Dialogue).remembered, once, true},
	{begun, abandonMessage, (*Dialogue).abandoned, once, false},
	{asked, abandonMessage, (*Dialogue).abandoned, once, false},
	{proving, abandonMessage, (*Dialogue).abandoned, once, false},
	{choosing, abandonMessage, (*Dialogue).abandoned, once, false},
	{confirming, abandonMessage, (*Dialogue).abandoned, once, false},
	{noting, abandonMessage, (*Dialogue).abandoned, once, false},
	{remembering, abandonMessage, (*Dialogue).abandoned, once, false},
}

func once(*Dialogue) int     { return 1 }
func twice(*Dialogue) int    { return 2 }
func tenTimes(*Dialogue) int { return 10 }

func (d *Dialogue) tries() int {
	if d.open.Combined {
		return 1
	}
	return d.service.cfg.Tries
}

// question is what is asked in a state, and how. Only a module of Version 2 comes to those of other styles than
// Hidden and Visible.
func (d *Dialogue) question(in state) (wire.Style, string) {
	switch in {
	case asked:
		return wire.Hidden, d.prompt()
	case proving:
		return wire.Proof, "proof" // which nobody sees
	case choosing:
		return wire.Optional, askChoice // whoever can't answer is told what to do
	case confirming:
		return wire.Visible, askFirstCode
	case noting:
		return wire.Optional, askNoted
	case remembering:
		return wire.Optional, askRemember(d.rule.Remember)
	}
	return wire.Hidden, "" // no frame holds it
}

// decision is what a handler makes of a message.
type decision struct {
	result audit.Result // the zero value: none yet
	reason string
	detail string
	device string
	show   string // information for the person
	say    string // to the person, about what went wrong
	next   state  // the question that follows where this isn't the end; the zero value: the same again
	kept   bool   // the history has it already, with the account's change
}

// Open decides whether a code is due, and asks for it or ends the dialogue.
func (d *Dialogue) Open(ctx context.Context) Step { return d.dispatch(ctx, openMessage, nil) }

// Answer judges what the person typed.
func (d *Dialogue) Answer(ctx context.Context, text []byte) Step {
	return d.dispatch(ctx, answerMessage, text)
}

// Abandon records that the module hung up. After a verdict it does nothing.
func (d *Dialogue) Abandon() { d.dispatch(context.Background(), abandonMessage, nil) }

// dispatch finds the message's row and does what its handler decides. What every row needs comes
// first: the login isn't over, the message is legal now, and the caller may speak for this user.
func (d *Dialogue) dispatch(ctx context.Context, m message, text []byte) Step {
	if d.state == ended {
		return Step{Done: true}
	}
	r, ok := d.row(m)
	if !ok || d.count[d.state][m] >= r.times(d) {
		return d.conclude(d.refused("out_of_order"))
	}
	d.count[d.state][m]++
	d.again = d.count[d.state][m] < r.times(d)
	if m != abandonMessage {
		if refusal, ok := d.identify(ctx); !ok {
			return d.conclude(d.later(m, refusal))
		}
	}
	if m == answerMessage && d.refusal.result != "" {
		return d.conclude(d.refusal)
	}
	if m != abandonMessage && d.gone() {
		return d.conclude(d.undelivered())
	}
	dec := r.handle(d, ctx, text)
	if dec.result == audit.Accepted && !r.mayAccept {
		dec = d.unavailable("accepted_without_answer", nil)
	}
	return d.conclude(d.later(m, dec))
}

func (d *Dialogue) row(m message) (row, bool) {
	for _, r := range table {
		if r.state == d.state && r.message == m {
			return r, true
		}
	}
	return row{}, false
}

// identify finds out whose login it is, once, and whether the caller may speak for that user: root for
// anyone, others for themselves, and a speaker for anyone in its services. Only root tries logins.
func (d *Dialogue) identify(ctx context.Context) (refusal decision, ok bool) {
	if d.user == "" {
		is, err := d.service.canonical(ctx, d.open.User)
		switch {
		case errors.Is(err, ErrUnknownUser):
			return d.refused("unknown_user"), false
		case err != nil:
			return d.unavailable("user_lookup", err), false
		}
		d.user, d.uid = is.Name, is.UID
	}
	switch {
	case d.caller.Root:
	case d.open.Trial:
		return d.refused("not_own_login"), false
	case d.caller.User != "" && d.caller.User == d.user:
	case d.service.cfg.Speakers.May(d.caller.User, d.open.Service):
		d.speaker = true
	default:
		dec := d.refused("not_own_login")
		if d.caller.User != "" {
			dec.detail = fmt.Sprintf("%s isn't root, and no [[speaker]] lets it speak for others in this service", d.caller.User)
		}
		return dec, false
	}
	return decision{}, true
}

// reserved are the states in which a key was shown, or a code or recovery codes are used up or shown.
var reserved = [states]bool{confirming: true, noting: true, remembering: true}

// outcomes are the verdicts. A result that isn't here ends in Unavailable.
var outcomes = map[audit.Result]wire.Outcome{
	audit.Accepted:    wire.Accepted,
	audit.NotDue:      wire.NotDue,
	audit.Refused:     wire.Refused,
	audit.Unavailable: wire.Unavailable,
}

// conclude records the decision and turns it into frames. It is the only place that writes an event
// or a verdict.
func (d *Dialogue) conclude(dec decision) Step {
	if dec.result != audit.Abandoned && !dec.kept && d.gone() {
		dec = d.undelivered()
	}
	if dec.result != "" {
		d.record(dec)
	}
	if dec.result == audit.Abandoned {
		d.state = ended
		return Step{Done: true}
	}
	var frames []byte
	var err error
	style := wire.Error
	if dec.result == audit.Accepted || dec.result == audit.NotDue {
		style = wire.Info
	}
	for _, tell := range []struct {
		style wire.Style
		text  string
	}{{wire.Info, dec.show}, {style, dec.say}} {
		if tell.text == "" {
			continue
		}
		if frames, err = wire.AppendTell(frames, tell.style, tell.text); err != nil {
			return d.broken("frame", err)
		}
	}
	if dec.result == "" || dec.result == audit.Retry {
		if dec.next != begun {
			d.state = dec.next
		}
		if frames, err = d.appendQuestion(frames); err != nil {
			return d.broken("frame", err)
		}
		return Step{Frames: frames, Reserved: reserved[d.state]}
	}
	outcome, known := outcomes[dec.result]
	if !known {
		return d.broken("outcome", fmt.Errorf("unknown result %q", dec.result))
	}
	d.state = ended
	return Step{Frames: wire.AppendVerdict(frames, outcome), Done: true}
}

// broken ends a dialogue that can't go on: one whose prompt or sentence doesn't fit a frame.
func (d *Dialogue) broken(reason string, err error) Step {
	d.state = ended
	dec := d.unavailable(reason, err)
	d.record(dec)
	frames, _ := wire.AppendTell(nil, wire.Error, dec.say) // which fits
	return Step{Frames: wire.AppendVerdict(frames, wire.Unavailable), Done: true}
}

func (d *Dialogue) record(dec decision) { d.service.log.Record(d.event(dec)) }

func (d *Dialogue) event(dec decision) audit.Event {
	dec = d.doubted(dec)
	e := d.origin()
	e.Kind, e.Result, e.Reason, e.Detail, e.Device = audit.Login, dec.result, dec.reason, dec.detail, dec.device
	if d.open.Trial && d.caller.Root {
		e.Kind = audit.Trial
	}
	e.At, e.Kept = d.service.clock(), dec.kept
	return e
}

// origin is what all events of this login have in common.
func (d *Dialogue) origin() audit.Event {
	user := d.user
	if user == "" {
		user = d.open.User
	}
	from := d.open.RHost
	if d.speaker || !d.caller.Root && from != "" { // anybody could put the blame on another host
		from = strings.TrimPrefix(from+", says "+cmp.Or(d.caller.User, fmt.Sprintf("uid %d", d.caller.UID)), ", ")
	}
	return audit.Event{
		User: user, Service: d.open.Service, Source: from, TTY: d.open.TTY,
		Caller: audit.UID(d.caller.UID), Reference: d.reference,
		Nameless: !d.caller.Root && d.caller.User == "", Asker: d.asker(),
	}
}

// asker is who asks on this host, by root's word. Of those on other hosts, the user is all that is told apart.
func (d *Dialogue) asker() string {
	if !d.caller.Root || d.open.RHost != "" {
		return ""
	}
	return d.open.RUser
}

func (d *Dialogue) refused(reason string) decision {
	return decision{result: audit.Refused, reason: reason, say: sayRefused(d.reference)}
}

func (d *Dialogue) unavailable(reason string, err error) decision {
	dec := decision{result: audit.Unavailable, reason: reason, say: sayUnavailable(d.reference)}
	if err != nil {
		dec.detail = err.Error()
	}
	return dec
}

func (d *Dialogue) prompt() string {
	if d.recoveryOnly {
		return askRecovery
	}
	return d.service.cfg.Prompt
}
