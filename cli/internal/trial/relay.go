package trial

import (
	"io"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"time"
)

// The kinds of a login's first frame, as package wire has them: what the module sends, and what the daemon
// hears in its place.
const (
	kindOpen  = 1
	kindTrial = 6
)

// relay stands between our module and the daemon while a login is tried. It makes the module's Open a trial:
// the daemon says what it would do, does nothing, and has no event of it. No login program can send a trial,
// since the module doesn't know how.
type relay struct {
	net.Listener
	path   string
	target string // the daemon's socket

	mu    sync.Mutex
	fault error // why the daemon wasn't reached
}

// relays are those of one copy, by the socket of the daemon.
type relays map[string]*relay

// to is the socket in dir that leads to a daemon's socket.
func (rs relays) to(dir, target string) string {
	r := rs[target]
	if r == nil {
		r = &relay{path: filepath.Join(dir, "relay"+strconv.Itoa(len(rs))), target: target}
		rs[target] = r
	}
	return r.path
}

// listen serves all of them until close.
func (rs relays) listen() error {
	for _, r := range rs {
		l, err := net.Listen("unix", r.path)
		if err != nil {
			return err
		}
		r.Listener = l
		go r.serve()
	}
	return nil
}

func (rs relays) close() {
	for _, r := range rs {
		if r.Listener != nil {
			r.Close()
		}
	}
}

// fault is why a daemon wasn't reached; empty: all that were called were.
func (rs relays) fault() string {
	for _, r := range rs {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.fault != nil {
			return r.fault.Error()
		}
	}
	return ""
}

func (r *relay) serve() {
	for {
		module, err := r.Accept()
		if err != nil {
			return
		}
		go func() {
			defer module.Close()
			err := r.carry(module)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.fault = err
		}()
	}
}

// carry is one dialogue. Its error says that there is no daemon.
func (r *relay) carry(module net.Conn) error {
	daemon, err := net.DialTimeout("unix", r.target, time.Second)
	if err != nil {
		return err
	}
	defer daemon.Close()
	kind := []byte{0}
	if _, err := io.ReadFull(module, kind); err != nil {
		return nil
	}
	if kind[0] != kindOpen {
		return nil // a module that does something else than log in: nothing of it arrives
	}
	if _, err := daemon.Write([]byte{kindTrial}); err != nil {
		return err
	}
	go forward(daemon, module)
	io.Copy(module, daemon)
	return nil
}

// forward carries what the module says, until either hangs up. Of a daemon that has, the last word may still have
// to be read.
func forward(daemon, module net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := module.Read(buf)
		if err != nil {
			daemon.Close()
			return
		}
		if _, err := daemon.Write(buf[:n]); err != nil {
			return
		}
	}
}
