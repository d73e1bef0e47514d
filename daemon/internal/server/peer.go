// Package server is the daemon's two sockets: the login dialogues of the PAM module and the management
// API. It owns who may connect, how many at once, how long anything may take, and who may ask for what;
// what is decided about a code, an enrolment or a password is decided elsewhere.
//
// Always true: who calls is what the kernel says (SO_PEERCRED), never what the caller says; root
// speaks for anyone, a [[speaker]] in its services, others only for themselves; whatever is not foreseen denies.
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/share"
)

// Peer is the process at the other end of a connection, at the moment it connected.
type Peer struct {
	UID uint32
	PID int32
}

// Root says whether the peer may speak for anyone.
func (p Peer) Root() bool { return p.UID == 0 }

// peerOf asks the kernel. Its uid is the effective one: that of su and sudo is root's.
func peerOf(conn *net.UnixConn) (Peer, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Peer{}, err
	}
	var cred *unix.Ucred
	var optErr error
	err = raw.Control(func(fd uintptr) {
		cred, optErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, optErr); err != nil {
		return Peer{}, err
	}
	return Peer{UID: cred.Uid, PID: cred.Pid}, nil
}

// listener accepts connections that know their peer. What it can't serve it tells so, and hangs up.
type listener struct {
	net.Listener
	places *places
	names  *Names
	log    *limitedLog
	// nameless has the lines about uids without a name: they crowd out nobody else's.
	nameless *limitedLog
	// lastWords are sent to a peer that is turned away. The cause is in the journal, with the reference.
	lastWords func(cause error, reference string) []byte
}

// Why a peer is turned away.
var (
	errCrowded  = errors.New("too many connections, and the daemon works for each")
	errNameless = errors.New("its uid has no name on this host, so it can speak for nobody")
)

// Accept implements net.Listener. It returns *conn.
func (l *listener) Accept() (net.Conn, error) {
	for {
		plain, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		u, ok := plain.(*net.UnixConn)
		if !ok {
			plain.Close()
			return nil, errors.New("not a Unix socket")
		}
		peer, err := peerOf(u)
		if err != nil {
			u.Close()
			continue
		}
		c := &conn{UnixConn: u, peer: peer, listener: l}
		c.stays, c.leaves = context.WithCancel(context.Background())
		if c.place = l.places.enter(arrival(peer), func() { c.hangUp() }); c.place != nil {
			return c, nil
		}
		c.turnAway(errCrowded)
		c.hangUp()
	}
}

// conn is a connection that has a place.
type conn struct {
	*net.UnixConn
	peer     Peer
	listener *listener
	place    *place
	stays    context.Context // ends with the connection
	leaves   context.CancelFunc
	known    bool   // the peer is root, or has a name
	name     string // canonical: the peer's, unless it is root
}

// errTurnedAway is of a connection whose peer has been told, and the journal too. To net/http it is a connection
// that broke: to anything else it would send a second answer.
var errTurnedAway error = &net.OpError{Op: "read", Net: "unix", Err: errors.New("turned away")}

// Read implements net.Conn. Before the first byte the peer has to be somebody.
func (c *conn) Read(p []byte) (int, error) {
	if err := c.meet(); err != nil {
		return 0, err
	}
	return c.UnixConn.Read(p)
}

// meet finds out who the peer is. Those without a name have no other place than the few that they share.
func (c *conn) meet() error {
	if c.known || c.peer.Root() {
		return nil
	}
	ctx, cancel := context.WithTimeout(share.WithUID(c.stays, c.peer.UID), stepTime)
	defer cancel()
	name, err := c.listener.names.OfUID(ctx, c.peer.UID)
	switch {
	case errors.Is(err, login.ErrUnknownUser):
		return c.turnAway(errNameless)
	case err != nil:
		return c.turnAway(fmt.Errorf("look up its name: %w", err))
	case !c.place.become(userOf(c.peer)):
		return c.turnAway(errCrowded)
	}
	c.known, c.name = true, name
	return nil
}

// turnAway tells the peer and the journal why it isn't served.
func (c *conn) turnAway(cause error) error {
	if c.place != nil && c.place.taken() { // it has been hung up on
		return net.ErrClosed
	}
	reference := audit.NewReference()
	c.listener.log.Printf(c.counted(), "%s: uid %d is turned away: %v (reference %s)", c.listener.Addr(), c.peer.UID, cause, reference)
	c.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
	c.Write(c.listener.lastWords(cause, reference))
	return errTurnedAway
}

// counted is who a line about the connection counts for.
func (c *conn) counted() string {
	if c.place == nil {
		return arrival(c.peer).person
	}
	return c.place.who.person
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.place.giveBack()
	return c.hangUp()
}

func (c *conn) hangUp() error {
	c.leaves()
	return c.UnixConn.Close()
}

// crowdLog tells of places that were taken away: at once, and then once a minute at the most.
type crowdLog struct {
	log  *limitedLog
	what string

	mu    sync.Mutex
	n     int
	since time.Time // of the last line
}

func (l *crowdLog) lost(who holder) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.n++
	now := l.log.now()
	if now.Sub(l.since) < time.Minute {
		return
	}
	l.log.Printf(who.person, "too many at once: %d %s hung up on, the last of %q, to make room for others", l.n, l.what, who.person)
	l.n, l.since = 0, now
}
