// Package server is the daemon's two sockets: the login dialogues of the PAM module and the management
// API. It owns who may connect, how many at once, how long anything may take, and who may ask for what;
// what is decided about a code, an enrolment or a password is decided elsewhere.
//
// Always true: who calls is what the kernel says (SO_PEERCRED), never what the caller says; root
// speaks for anyone, a [[speaker]] in its services, others only for themselves; whatever is not foreseen denies.
package server

import (
	"bytes"
	"errors"
	"io"
	"log"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"
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

// bounds is how many connections may be open at once: all together, those of all users but root, and
// those of each user but root. Nobody but root can take the last ones.
type bounds struct{ all, others, each int }

// gate counts connections.
type gate struct {
	bounds
	mu            sync.Mutex
	inside, roots int // all, and root's
	uids          map[uint32]int
}

func newGate(b bounds) *gate { return &gate{bounds: b, uids: map[uint32]int{}} }

func (g *gate) enter(p Peer) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inside >= g.all {
		return false
	}
	if p.Root() {
		g.roots++
	} else {
		if g.inside-g.roots >= g.others || g.uids[p.UID] >= g.each {
			return false
		}
		g.uids[p.UID]++
	}
	g.inside++
	return true
}

func (g *gate) leave(p Peer) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.inside--
	if p.Root() {
		g.roots--
	} else if g.uids[p.UID]--; g.uids[p.UID] == 0 {
		delete(g.uids, p.UID)
	}
}

// listener accepts connections that know their peer. Where the gate is full it sends full and hangs up.
type listener struct {
	net.Listener
	gate *gate
	full []byte
	log  *limitedLog
}

// Accept implements net.Listener. It returns *conn.
func (l *listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		u, ok := c.(*net.UnixConn)
		if !ok {
			c.Close()
			return nil, errors.New("not a Unix socket")
		}
		peer, err := peerOf(u)
		if err != nil {
			u.Close()
			continue
		}
		if l.gate.enter(peer) {
			return &conn{UnixConn: u, peer: peer, gate: l.gate}, nil
		}
		l.log.Printf("%s: too many connections, uid %d is turned away", l.Addr(), peer.UID)
		u.SetWriteDeadline(time.Now().Add(100 * time.Millisecond))
		u.Write(l.full)
		u.Close()
	}
}

// conn is a connection that has passed the gate.
type conn struct {
	*net.UnixConn
	peer Peer
	gate *gate
	once sync.Once
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.once.Do(func() { c.gate.leave(c.peer) })
	return c.UnixConn.Close()
}

// limitedLog writes what any local user can provoke: 20 lines at once and one a second on average, so
// that nobody can crowd the journal. It says how many it left out.
type limitedLog struct {
	*log.Logger
	now     func() time.Time
	mu      sync.Mutex
	spent   int // lines of the allowance
	since   time.Time
	skipped int
}

const burst = 20

func newLimitedLog(l *log.Logger) *limitedLog {
	if l == nil {
		l = log.New(io.Discard, "", 0)
	}
	return &limitedLog{Logger: l, now: time.Now}
}

// Printf writes a line, or counts it as left out.
func (l *limitedLog) Printf(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if earned := int(now.Sub(l.since) / time.Second); earned > 0 {
		l.spent, l.since = max(0, l.spent-earned), now
	}
	if l.spent >= burst {
		l.skipped++
		return
	}
	if l.skipped > 0 {
		l.Logger.Printf("%d lines like the following were left out", l.skipped)
		l.skipped = 0
	}
	l.spent++
	l.Logger.Printf(format, args...)
}

// Write writes what net/http has to say.
func (l *limitedLog) Write(line []byte) (int, error) {
	l.Printf("%s", bytes.TrimSpace(line))
	return len(line), nil
}
