package password

import (
	"context"
	"errors"
	"log"
	"net"
	"os"
	"os/exec"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/share"
)

// How many questions there may be. Each that is asked is a process, which runs for as long as PAM takes and mostly
// computes; one that has to wait is a connection. Beyond that the connection is hung up on, and the PAM module asks
// again.
const (
	askedAtOnce  = 32
	askedOfOne   = 8 // asker
	waitingAll   = 4096
	waitingOfOne = 128
)

// askerTime is how long it may take to say who asks, and for the question to begin.
const askerTime = 5 * time.Second

// Door starts a totpd-password for each connection, in turns that it shares out among the askers. No byte of a
// question itself passes through its process.
type Door struct {
	Complaints *log.Logger
	RootOnly   bool          // whoever else has got to the socket is hung up on
	Idle       time.Duration // Serve ends when nobody has asked for this time; 0: never

	slots *share.Slots
	mu    sync.Mutex
	open  map[string]int // connections by "asker " and the asker, once that is known; "": all
}

// Serve returns once l is closed, or nobody asks any more, and the questions that are being asked have ended.
func (d *Door) Serve(l *net.UnixListener) {
	d.slots, d.open = share.New(askedAtOnce, askedOfOne), map[string]int{}
	ctx, cancel := context.WithCancel(context.Background())
	var asked sync.WaitGroup
	defer asked.Wait()
	defer cancel() // who waits for a turn is hung up on, and asks again
	for {
		if d.Idle > 0 {
			l.SetDeadline(time.Now().Add(d.Idle))
		}
		conn, err := l.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case errors.Is(err, os.ErrDeadlineExceeded):
			if d.count("", 0) == 0 {
				return
			}
			continue
		case err != nil: // out of files or memory: a connection that ends gives some back
			d.Complaints.Printf("accept a question about a password: %v", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		all := d.count("", 1)
		asked.Go(func() {
			defer d.count("", -1)
			defer conn.Close()
			if all > waitingAll {
				return
			}
			if err := d.hand(ctx, conn); err != nil {
				d.Complaints.Printf("start totpd-password: %v", err)
			}
		})
	}
}

// count counts connections, those of an asker or "", and returns how many there are.
func (d *Door) count(asker string, more int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.open[asker] += more; d.open[asker] > 0 {
		return d.open[asker]
	}
	delete(d.open, asker)
	return 0
}

// hand gives a connection to a totpd-password, when it is its asker's turn. That ends by itself.
func (d *Door) hand(ctx context.Context, conn *net.UnixConn) error {
	if uid, err := peer(conn); err != nil || uid != 0 && d.RootOnly {
		return err
	}
	conn.SetReadDeadline(time.Now().Add(askerTime))
	asker, err := askerOf(conn)
	if err != nil {
		return nil // it hung up, or never said
	}
	ctx, cancel := context.WithTimeout(share.With(ctx, asker.key()), Patience)
	defer cancel()
	defer d.count("asker "+asker.key(), -1)
	if d.count("asker "+asker.key(), 1) > waitingOfOne {
		return nil
	}
	if !questionIn(conn) { // a login program that its user has stopped uses up nobody's turn
		return nil
	}
	giveBack, err := d.slots.Take(ctx)
	if err != nil {
		return nil
	}
	defer giveBack()
	if gone(conn) {
		return nil
	}
	return run(conn)
}

// askerOf reads who asks, and nothing of the question. That it is read at once shows the PAM module that somebody is
// there, however long the question waits for its turn. A question without an asker is nobody's.
func askerOf(conn *net.UnixConn) (Asker, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return Asker{}, err
	}
	var a Asker
	var failed error
	begin, need := make([]byte, 0, 2+255), 2
	err = raw.Read(func(fd uintptr) bool {
		for need > len(begin) {
			// No more than that: what follows is a password.
			n, _, err := unix.Recvfrom(int(fd), begin[:need], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			switch {
			case errors.Is(err, unix.EINTR):
				continue
			case errors.Is(err, unix.EAGAIN):
				return false
			case err != nil || n == 0:
				failed = net.ErrClosed
				return true
			}
			short := n < need // all of it is sent at once
			begin = begin[:n]
			if a, need = parseAsker(begin); short && need > n {
				failed = errQuestion
				return true
			}
		}
		if need > 0 {
			if _, _, err := unix.Recvfrom(int(fd), begin[:need], 0); err != nil {
				failed = err
			}
		}
		return true
	})
	return a, errors.Join(err, failed)
}

// questionIn waits until a question begins, and leaves it to be read; returns false where none comes in time.
func questionIn(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var n int
	var failed error
	err = raw.Read(func(fd uintptr) bool {
		n, _, failed = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
		return !errors.Is(failed, unix.EAGAIN) && !errors.Is(failed, unix.EINTR)
	})
	return err == nil && failed == nil && n > 0
}

// gone says whether the asker has hung up: it got no answer in time.
func gone(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	fds := []unix.PollFd{{}}
	err = raw.Control(func(fd uintptr) {
		fds[0].Fd = int32(fd)
		_, _ = unix.Poll(fds, 0)
	})
	return err != nil || fds[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
}

// run runs a totpd-password that answers on this connection.
func run(conn *net.UnixConn) error {
	path, err := find()
	if err != nil {
		return err
	}
	theirs, err := conn.File()
	if err != nil {
		return err
	}
	defer theirs.Close()
	conn.Close() // the end of the answer is that of theirs
	cmd := command(path, theirs)
	if err := cmd.Start(); err != nil {
		return err
	}
	theirs.Close()
	cmd.Wait() // its answer counts, not its exit status
	return nil
}

// command is a totpd-password that answers on this socket.
func command(path string, socket *os.File) *exec.Cmd {
	return &exec.Cmd{
		Path: path, Args: []string{path}, Stdin: socket, Stderr: os.Stderr, Dir: "/",
		Env: []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"},
	}
}

// peer returns the uid at the other end.
func peer(conn *net.UnixConn) (uint32, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return 0, err
	}
	var cred *unix.Ucred
	var optErr error
	err = raw.Control(func(fd uintptr) {
		cred, optErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(err, optErr); err != nil {
		return 0, err
	}
	return cred.Uid, nil
}
