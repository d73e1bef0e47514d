package control

import (
	"errors"
	"net"
	"sync"
	"syscall"
)

// Patient returns a connection on which an answer counts that the daemon gave before it read the request, as
// when it turns a caller away: Read waits until something was written, and a write to a daemon that has hung up
// is no error, since reading says what the matter is.
func Patient(c net.Conn) net.Conn { return &patient{Conn: c, written: make(chan struct{})} }

type patient struct {
	net.Conn
	once    sync.Once
	written chan struct{} // closed by the first write, and by Close
}

func (p *patient) begin() { p.once.Do(func() { close(p.written) }) }

func (p *patient) Read(b []byte) (int, error) {
	<-p.written
	return p.Conn.Read(b)
}

func (p *patient) Write(b []byte) (int, error) {
	defer p.begin()
	n, err := p.Conn.Write(b)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) {
		return len(b), nil
	}
	return n, err
}

func (p *patient) Close() error {
	p.begin()
	return p.Conn.Close()
}
