package password

import (
	"errors"
	"log"
	"net"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// servedAtOnce bounds what is under way for login programs: MaxConnections of totpd-password.socket. One too
// many is hung up on, and the PAM module asks again.
const servedAtOnce = 64

// Serve does what systemd does with totpd-password.socket, for a daemon that runs as root without systemd: it
// starts a totpd-password for each connection. No byte of a question passes through this process, and nobody
// but root is served. It returns once l is closed.
func Serve(l *net.UnixListener, complaints *log.Logger) {
	slots := make(chan struct{}, servedAtOnce)
	for {
		conn, err := l.AcceptUnix()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of files or memory: a connection that ends gives some back
			complaints.Printf("accept a question about a password: %v", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		select {
		case slots <- struct{}{}:
			go func() {
				defer func() { <-slots }()
				defer conn.Close()
				if err := hand(conn); err != nil {
					complaints.Printf("totpd-password for a login program: %v", err)
				}
			}()
		default:
			conn.Close()
		}
	}
}

// hand gives a connection to a totpd-password, which ends by itself.
func hand(conn *net.UnixConn) error {
	uid, err := peer(conn)
	if err != nil {
		return err
	}
	if uid != 0 {
		return nil // its mode keeps others out
	}
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
