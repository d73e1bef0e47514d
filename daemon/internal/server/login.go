package server

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"os"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/share"
	"github.com/totpd/totpd/daemon/wire"
)

// How long each part of a dialogue may take. A step is the daemon's own work between two messages.
const (
	openTime   = 5 * time.Second
	stepTime   = 2500 * time.Millisecond
	personTime = 10 * time.Minute
	writeTime  = 5 * time.Second
	// byeTime is how long the module may take to hang up after its verdict, which shows whether it has read it.
	byeTime = time.Second
)

// Dialogue is one login, as login.Dialogue is.
type Dialogue interface {
	Open(context.Context) login.Step
	Answer(ctx context.Context, text []byte) login.Step
	Abandon()
	// Undelivered says that the last step's frames have not reached the other side.
	Undelivered(context.Context)
}

// Logins serves the login socket: it carries frames between the PAM module and a Dialogue.
type Logins struct {
	// Speaks tells whether a user other than root may speak for others in a service. It is set before Serve.
	Speaks func(user, service string) bool

	begin    func(login.Caller, wire.Open) Dialogue
	names    *Names
	log      *limitedLog
	places   *places
	stopping atomic.Bool

	terminals sessions

	mu        sync.Mutex
	listeners []net.Listener
	sessions  map[*session]struct{}
	ended     sync.WaitGroup
}

// NewLogins returns a server that begins a dialogue for each Open.
func NewLogins(begin func(login.Caller, wire.Open) Dialogue, names *Names, l *log.Logger) *Logins {
	s := &Logins{
		Speaks:   func(string, string) bool { return false },
		begin:    begin,
		names:    names,
		log:      newLimitedLog(l),
		sessions: map[*session]struct{}{},
	}
	crowd := &crowdLog{log: s.log, what: "logins that waited (the person's answer begins them again) were"}
	s.places = newPlaces(loginBounds, crowd.lost)
	return s
}

// loginBounds is how many logins there may be.
var loginBounds = bounds{all: 4096, others: 1024, each: [kinds]int{newcomers: 2048, persons: 256, users: 16, namelesses: 64, speakers: 256}}

// Serve accepts connections until Stop; it returns nil then.
func (s *Logins) Serve(plain net.Listener) error {
	l := &listener{
		Listener: plain, places: s.places, names: s.names, log: s.log, nameless: newLimitedLog(s.log.Logger),
		lastWords: func(cause error, reference string) []byte {
			return login.TurnAway(errors.Is(cause, errNameless), reference)
		},
	}
	s.mu.Lock()
	s.listeners = append(s.listeners, plain)
	s.mu.Unlock()
	for !s.stopping.Load() {
		c, err := l.Accept()
		switch {
		case err == nil:
			s.start(c.(*conn))
		case errors.Is(err, net.ErrClosed):
			return nil
		default: // out of files or memory: the connections that end give some back
			s.log.Printf("the system", "accept a login: %v", err)
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

func (s *Logins) start(c *conn) {
	one := &session{logins: s, conn: c}
	s.mu.Lock()
	if s.stopping.Load() { // accepted just before Stop closed the listener
		s.mu.Unlock()
		c.Close()
		return
	}
	s.sessions[one] = struct{}{}
	s.ended.Add(1)
	s.mu.Unlock()
	go func() {
		defer s.end(one)
		one.run()
	}()
}

func (s *Logins) end(one *session) {
	one.conn.Close()
	s.mu.Lock()
	delete(s.sessions, one)
	s.mu.Unlock()
	s.ended.Done()
}

// Stop accepts no more connections, lets the steps that are being judged finish, and hangs up on
// everyone who is waiting for a person: the module begins again with the next daemon. It returns when
// all dialogues have ended, or with ctx's error.
func (s *Logins) Stop(ctx context.Context) error {
	s.stopping.Store(true)
	s.mu.Lock()
	for _, l := range s.listeners {
		l.Close()
	}
	for one := range s.sessions {
		one.conn.SetReadDeadline(time.Unix(1, 0))
	}
	s.mu.Unlock()
	ended := make(chan struct{})
	go func() {
		s.ended.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// session is one connection.
type session struct {
	logins   *Logins
	conn     *conn
	dialogue Dialogue // nil until an Open has come
	buf      *[]byte
	have     int // bytes of buf that hold data
}

// run carries one dialogue from Open to Verdict. A client that breaks the rules is cut off without a
// word, and so is everyone when the daemon stops; one that the daemon can't serve is told so.
func (s *session) run() {
	s.buf = buffers.Get().(*[]byte)
	over := false
	defer func() {
		if r := recover(); r != nil {
			s.logins.log.Logger.Printf("login dialogue: panic: %v\n%s", r, debug.Stack())
			s.conn.Write(wire.AppendVerdict(nil, wire.Unavailable))
		}
		if s.dialogue != nil && !over {
			s.dialogue.Abandon()
		}
		s.release()
	}()
	err := s.serve()
	stopped := errors.Is(err, os.ErrDeadlineExceeded) && s.logins.stopping.Load()
	lost := err != nil && s.conn.place.taken()
	over = err == nil || stopped || lost // where it was stopped or lost, it isn't abandoned: it goes on elsewhere
	if !over && !errors.Is(err, io.EOF) && !errors.Is(err, errTurnedAway) {
		s.logins.log.Printf(s.conn.counted(), "login dialogue of uid %d, pid %d: %v", s.conn.peer.UID, s.conn.peer.PID, err)
	}
}

// errLost is of a login that was hung up on to make room.
var errLost = errors.New("hung up on to make room")

func (s *session) serve() error {
	f, err := s.read(wire.KindOpen, openTime)
	if err != nil {
		return err
	}
	if !s.conn.place.is(working) {
		return errLost
	}
	open, err := wire.DecodeOpen(f)
	if err != nil {
		return err
	}
	step, err := s.open(open)
	for err == nil {
		if !step.Done && !s.conn.place.is(waits(step)) {
			return errLost
		}
		if err := s.deliver(step); err != nil || step.Done {
			return err
		}
		if f, err = s.await(); err != nil {
			return err
		}
		ctx, cancel := s.stepContext()
		step = s.dialogue.Answer(ctx, f.Text)
		cancel()
		clear(f.Text)
	}
	return err
}

// waits is the state of a place whose person is asked: from before the question is sent on, since a client that
// doesn't read it waits too, the place is anybody's who needs it more.
func waits(step login.Step) placeState {
	if step.Reserved {
		return reserved
	}
	return waiting
}

// await reads the person's answer.
func (s *session) await() (wire.Frame, error) {
	f, err := s.read(wire.KindAnswer, personTime)
	if err == nil && !s.conn.place.is(working) {
		clear(f.Text)
		err = errLost // nothing was judged: the module sends the answer again
	}
	return f, err
}

// open begins the dialogue: the kernel's word on who the caller is, then the daemon's first step.
func (s *session) open(open wire.Open) (login.Step, error) {
	peer := s.conn.peer
	caller := login.Caller{
		UID: peer.UID, Root: peer.Root(), User: s.conn.name,
		Session: func() string { return s.logins.terminals.of(peer.PID) }, Gone: s.conn.gone,
	}
	room := true
	switch {
	case caller.Root:
		room = s.conn.place.become(behind(&open, caller.Session))
	case s.logins.Speaks(caller.User, open.Service):
		room = s.conn.place.become(speakerOf(peer, &open))
	}
	if !room {
		return login.Step{}, s.conn.turnAway(errCrowded)
	}
	s.dialogue = s.logins.begin(caller, open)
	ctx, cancel := s.stepContext()
	defer cancel()
	return s.dialogue.Open(ctx), nil
}

// stepContext is for the daemon's own work between two messages. What it asks for counts for the person.
func (s *session) stepContext() (context.Context, context.CancelFunc) {
	return context.WithTimeout(share.With(context.Background(), s.conn.place.who.person), stepTime)
}

// deliver sends the frames of a step, and tells the dialogue when they are lost.
func (s *session) deliver(step login.Step) error {
	if len(step.Frames) == 0 {
		return nil
	}
	s.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := s.conn.Write(step.Frames)
	if err == nil && step.Done {
		err = s.bye()
	}
	if !unheard(err) {
		return err
	}
	ctx, cancel := s.stepContext()
	defer cancel()
	s.dialogue.Undelivered(ctx)
	return io.EOF // it has hung up, as others do
}
