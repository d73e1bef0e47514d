package server

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unheard says whether the error means that the peer has not read what was sent: it had hung up before (EPIPE), it
// hung up and left some unread (ECONNRESET), or it reads nothing at all.
func unheard(err error) bool {
	return errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, os.ErrDeadlineExceeded)
}

// bye waits until the peer hangs up, which the module does once it has read the verdict. It returns ECONNRESET when
// the peer had not, and nil when it had, or when nobody can tell.
func (s *session) bye() error {
	s.conn.place.is(waiting)
	s.conn.SetReadDeadline(time.Now().Add(byeTime))
	if s.logins.stopping.Load() {
		return nil
	}
	var more [1]byte
	if _, err := s.conn.Read(more[:]); errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	return nil
}

// gone says whether the peer has hung up, so that nothing can reach it. One that only sends no more is still there.
func (c *conn) gone() bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return true
	}
	hungUp := false
	err = raw.Control(func(fd uintptr) {
		p := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(p, 0)
		hungUp = err == nil && n > 0 && p[0].Revents&unix.POLLHUP != 0
	})
	return err != nil || hungUp
}
