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
	"github.com/totpd/totpd/daemon/wire"
)

// How long each part of a dialogue may take. A step is the daemon's own work between two messages.
const (
	openTime   = 5 * time.Second
	stepTime   = 2500 * time.Millisecond
	personTime = 10 * time.Minute
	writeTime  = 5 * time.Second
)

// Dialogue is one login, as login.Dialogue is.
type Dialogue interface {
	Open(context.Context) login.Step
	Answer(ctx context.Context, text []byte) login.Step
	Abandon()
}

// Logins serves the login socket: it carries frames between the PAM module and a Dialogue.
type Logins struct {
	begin    func(login.Caller, wire.Open) Dialogue
	names    *Names
	log      *limitedLog
	gate     *gate
	stopping atomic.Bool

	terminals sessions

	mu        sync.Mutex
	listeners []net.Listener
	sessions  map[*session]struct{}
	ended     sync.WaitGroup
}

// NewLogins returns a server that begins a dialogue for each Open.
func NewLogins(begin func(login.Caller, wire.Open) Dialogue, names *Names, l *log.Logger) *Logins {
	return &Logins{
		begin:    begin,
		names:    names,
		log:      newLimitedLog(l),
		gate:     newGate(bounds{all: 4096, others: 1024, each: 16}),
		sessions: map[*session]struct{}{},
	}
}

// Serve accepts connections until Stop; it returns nil then.
func (s *Logins) Serve(plain net.Listener) error {
	l := &listener{Listener: plain, gate: s.gate, log: s.log, full: wire.AppendVerdict(nil, wire.Unavailable)}
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
			s.log.Printf("accept a login: %v", err)
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
	over = err == nil || stopped // where it was stopped, it isn't abandoned: it goes on elsewhere
	if !over && !errors.Is(err, io.EOF) {
		s.logins.log.Printf("login dialogue of uid %d, pid %d: %v", s.conn.peer.UID, s.conn.peer.PID, err)
	}
}

func (s *session) serve() error {
	f, err := s.read(wire.KindOpen, openTime)
	if err != nil {
		return err
	}
	open, err := wire.DecodeOpen(f)
	if err != nil {
		return err
	}
	step, err := s.open(open)
	for err == nil {
		if err := s.write(step.Frames); err != nil || step.Done {
			return err
		}
		if f, err = s.read(wire.KindAnswer, personTime); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(context.Background(), stepTime)
		step = s.dialogue.Answer(ctx, f.Text)
		cancel()
		clear(f.Text)
	}
	return err
}

// open begins the dialogue: the kernel's word on who the caller is, then the daemon's first step.
func (s *session) open(open wire.Open) (login.Step, error) {
	ctx, cancel := context.WithTimeout(context.Background(), stepTime)
	defer cancel()
	peer := s.conn.peer
	caller := login.Caller{UID: peer.UID, Root: peer.Root(), Session: func() string { return s.logins.terminals.of(peer.PID) }}
	if !caller.Root {
		// Without a name the caller is nobody, and may speak for nobody.
		name, err := s.logins.names.OfUID(ctx, peer.UID)
		if err != nil {
			s.logins.log.Printf("look up uid %d: %v", peer.UID, err)
		}
		caller.User = name
	}
	s.dialogue = s.logins.begin(caller, open)
	return s.dialogue.Open(ctx), nil
}

func (s *session) write(frames []byte) error {
	s.conn.SetWriteDeadline(time.Now().Add(writeTime))
	_, err := s.conn.Write(frames)
	return err
}
