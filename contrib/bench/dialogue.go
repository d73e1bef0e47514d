package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"time"
	"unsafe"

	"github.com/totpd/totpd/daemon/wire"
)

// The file of blocks, as host/host.c has it.
const (
	blockSize  = 4096 // bytes
	blockCount = 256
)

// dialogues logs in at the daemon's socket, in alternation with an fdatasync in the same file system,
// and returns the times of both. The system calls are made as the module makes them, past Go's
// scheduler.
func dialogues(socket, blocks string, p *people, warm, rounds int) (login, sync []time.Duration, err error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	f, err := os.OpenFile(blocks, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	// Written over, as the host does: alone (-only daemon) there would be no block yet.
	if _, err := f.WriteAt(make([]byte, blockCount*blockSize), 0); err != nil {
		return nil, nil, err
	}
	if err := f.Sync(); err != nil {
		return nil, nil, err
	}
	for i := range warm + rounds {
		u, code, err := p.take()
		if err != nil {
			return nil, nil, err
		}
		l, err := dialogue(socket, u.name, code)
		if err != nil {
			return nil, nil, err
		}
		s, err := fdatasync(f, int64(i)%blockCount)
		if err != nil {
			return nil, nil, err
		}
		if i >= warm {
			login, sync = append(login, l), append(sync, s)
		}
	}
	return login, sync, nil
}

func fdatasync(f *os.File, block int64) (time.Duration, error) {
	if _, err := f.WriteAt(make([]byte, blockSize), block*blockSize); err != nil {
		return 0, err
	}
	begin := time.Now()
	if _, _, e := syscall.RawSyscall(syscall.SYS_FDATASYNC, f.Fd(), 0, 0); e != 0 {
		return 0, e
	}
	return time.Since(begin), nil
}

// dialogue is one login, from connect to verdict.
func dialogue(socket, user, code string) (time.Duration, error) {
	open, err := wire.AppendOpen(nil, &wire.Open{User: user, Service: "bench", RHost: "192.0.2.1", TTY: "ssh"})
	if err != nil {
		return 0, err
	}
	answer, err := wire.AppendAnswer(nil, []byte(code))
	if err != nil {
		return 0, err
	}
	begin := time.Now()
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer syscall.Close(fd)
	if err := syscall.Connect(fd, &syscall.SockaddrUnix{Name: socket}); err != nil {
		return 0, err
	}
	c := client{fd: fd}
	for {
		if err := c.write(open); err != nil {
			return 0, err
		}
		f, err := c.read()
		switch {
		case err != nil:
			return 0, err
		case f.Kind == wire.KindAsk:
			open = answer
		case f.Kind == wire.KindVerdict && f.Outcome == wire.Accepted:
			return time.Since(begin), nil
		default:
			return 0, fmt.Errorf("login of %s at the daemon: kind %d, outcome %d", user, f.Kind, f.Outcome)
		}
	}
}

// client reads and writes frames, without a deadline: the bench may be ended by its user.
type client struct {
	fd   int
	buf  [4096]byte
	have int
}

func (c *client) write(frame []byte) error {
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITE, uintptr(c.fd), uintptr(unsafe.Pointer(&frame[0])), uintptr(len(frame)))
	if e != 0 {
		return e
	}
	if int(n) != len(frame) {
		return errors.New("short write")
	}
	return nil
}

// read returns the next frame. It is good until the next read.
func (c *client) read() (wire.Frame, error) {
	for {
		f, n, err := wire.Decode(c.buf[:c.have])
		if err != nil {
			return f, err
		}
		if n > 0 {
			if n != c.have {
				return f, errors.New("more than one frame at a time")
			}
			c.have = 0
			return f, nil
		}
		got, _, e := syscall.RawSyscall(syscall.SYS_READ, uintptr(c.fd), uintptr(unsafe.Pointer(&c.buf[c.have])), uintptr(len(c.buf)-c.have))
		switch {
		case e == syscall.EINTR:
		case e != 0:
			return f, e
		case got == 0:
			return f, errors.New("the daemon hung up")
		default:
			c.have += int(got)
		}
	}
}
