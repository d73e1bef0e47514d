package server

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// ServeOffline serves root over one connection that is there already, with the verbs that need the store
// alone, and returns when either side has closed it. Nobody else is served, whatever their verbs.
func (c *Control) ServeOffline(plain net.Conn) error {
	u, ok := plain.(*net.UnixConn)
	if !ok || u.LocalAddr().Network() != "unix" {
		return errors.New("not a stream socket of this host")
	}
	peer, err := peerOf(u)
	if err != nil {
		return err
	}
	if !peer.Root() {
		return fmt.Errorf("uid %d asks; only root may", int32(peer.UID))
	}
	c.offline = true
	one := &conn{UnixConn: u, peer: peer, place: c.places.enter(arrival(peer), func() {}), leaves: func() {}}
	only := &single{conn: one, over: make(chan struct{})}
	c.http.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			only.Close()
		}
	}
	if err := c.http.Serve(only); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// single is a listener that accepts one connection, and then waits until it is closed.
type single struct {
	conn  *conn
	over  chan struct{}
	taken bool
	close sync.Once
}

// Accept implements net.Listener.
func (s *single) Accept() (net.Conn, error) {
	if !s.taken {
		s.taken = true
		return s.conn, nil
	}
	<-s.over
	return nil, net.ErrClosed
}

// Close implements net.Listener.
func (s *single) Close() error {
	s.close.Do(func() { close(s.over) })
	return nil
}

// Addr implements net.Listener.
func (s *single) Addr() net.Addr { return s.conn.LocalAddr() }
