package server

import (
	"errors"
	"io"
	"os"
	"sync"
	"time"

	"github.com/totpd/totpd/daemon/wire"
)

// buffers are shared by the sessions. Most dialogues fit into 1 KiB; a longer Open makes its own grow.
var buffers = sync.Pool{New: func() any {
	b := make([]byte, 1024)
	return &b
}}

// keptMax is the largest buffer that goes back to the pool, in bytes.
const keptMax = 4096

var (
	errOrder  = errors.New("a frame that was not due")
	errShort  = errors.New("hung up in the middle of a frame")
	errSlowly = errors.New("no whole frame in time")
)

// read returns the next frame, which is of the kind that is due and is the last one sent so far. Its
// text points into the session's buffer and lasts until the next read. All of the frame arrives
// within the time, however slowly its bytes come. io.EOF is a client that hung up between two frames.
func (s *session) read(due wire.Kind, within time.Duration) (wire.Frame, error) {
	s.have = 0
	s.conn.SetReadDeadline(time.Now().Add(within))
	if s.logins.stopping.Load() {
		// Stop sets the deadline of every session after it set the flag: whoever comes later finds the flag.
		s.conn.SetReadDeadline(time.Unix(1, 0))
	}
	for {
		f, n, err := wire.Decode((*s.buf)[:s.have])
		switch {
		case err != nil:
			return wire.Frame{}, err
		case n > 0 && (!isDue(f.Kind, due) || n < s.have):
			return wire.Frame{}, errOrder
		case n > 0:
			return f, nil
		}
		if err := s.fill(); err != nil {
			return wire.Frame{}, err
		}
	}
}

// isDue tells whether a frame is of the kind that is due. In the place of an Open there may be a trial.
func isDue(kind, due wire.Kind) bool {
	return kind == due || kind == wire.KindTrial && due == wire.KindOpen
}

// fill reads more of the frame that has begun to arrive.
func (s *session) fill() error {
	if s.have == len(*s.buf) {
		larger := make([]byte, min(4*len(*s.buf), wire.MaxFrame))
		copy(larger, *s.buf)
		clear(*s.buf)
		*s.buf = larger
	}
	n, err := s.conn.Read((*s.buf)[s.have:])
	s.have += n
	switch {
	case n > 0:
		return nil
	case errors.Is(err, io.EOF) && s.have > 0:
		return errShort
	case errors.Is(err, os.ErrDeadlineExceeded) && !s.logins.stopping.Load():
		return errSlowly
	}
	return err
}

// release gives the buffer back, without the codes that it held.
func (s *session) release() {
	if len(*s.buf) <= keptMax {
		clear(*s.buf)
		buffers.Put(s.buf)
	}
}
