package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/config"
)

// sockets are what the daemon listens on.
type sockets struct {
	login, control net.Listener
	password       net.Listener // where the PAM module asks about passwords; nil: not here
	passwordFault  error        // why not, if here
	locks          []*os.File
}

// inherited are the files that systemd hands over.
var inherited = sync.OnceValue(func() []*os.File { return activation.Files(true) })

// openSockets takes the sockets that systemd hands over, and opens those it doesn't.
func openSockets(l config.Listen) (sockets, error) {
	s, err := take(inherited(), l)
	alone := err == nil && s.login == nil
	if alone {
		s.login, err = s.listen(l.Login, 0o666)
	}
	if err == nil && s.control == nil {
		s.control, err = s.listen(l.Control, 0o666)
	}
	if path := beside(l); err == nil && alone && os.Geteuid() == 0 && path != "" {
		s.password, s.passwordFault = s.listen(path, 0o600) // somebody else may answer there, as well
	}
	if err != nil {
		s.close()
		return sockets{}, err
	}
	return s, nil
}

// beside is where a daemon that runs as root without systemd has totpd-password asked by the PAM module, which
// looks there: beside the login socket. Empty: the administrator has named another place, for a
// totpd-password that somebody else starts.
func beside(l config.Listen) string {
	path := filepath.Join(filepath.Dir(l.Login), filepath.Base(config.Default().Listen.Password))
	if l.Password != config.Default().Listen.Password || path == l.Login || path == l.Control {
		return ""
	}
	return path
}

// take finds the two sockets among the files from systemd by where they listen.
func take(files []*os.File, l config.Listen) (sockets, error) {
	var s sockets
	at := map[string]*net.Listener{l.Login: &s.login, l.Control: &s.control}
	for _, f := range files {
		socket, err := net.FileListener(f)
		if err != nil {
			return s, fmt.Errorf("take socket %s from systemd: %w", f.Name(), err)
		}
		path := socket.Addr().String()
		place := at[path]
		if place == nil || *place != nil {
			socket.Close()
			return s, fmt.Errorf("take socket %s from systemd: it must be the one at listen.login, %s, or at listen.control, %s: "+
				"make ListenStream= of totpd.socket and the settings agree", path, l.Login, l.Control)
		}
		*place = socket
	}
	return s, nil
}

// listen opens a socket. With mode 0666 everybody may connect: who may do what is decided by the peer's uid.
func (s *sockets) listen(path string, mode fs.FileMode) (net.Listener, error) {
	if err := makeParent(path); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	// Two daemons that start at once must not take each other's fresh socket for a stale one.
	lock, err := os.OpenFile(path+".lock", os.O_RDWR|os.O_CREATE|unix.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	s.locks = append(s.locks, lock)
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return nil, fmt.Errorf("listen at %s: another totpd runs there", path)
	}
	if err := removeStale(path); err != nil {
		return nil, fmt.Errorf("listen at %s: %w", path, err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	if err := os.Chmod(path, mode); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

// makeParent makes the directory of a socket where it is missing, so that everybody can pass.
func makeParent(path string) error {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := makeParent(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755) // whatever the umask
}

// removeStale removes the socket of a daemon that is dead, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().Type() != fs.ModeSocket:
		return errors.New("something that is no socket is in the way")
	}
	conn, err := net.Dial("unix", path)
	switch {
	case err == nil:
		conn.Close()
		return errors.New("another process answers there; stop it first")
	case errors.Is(err, unix.ECONNREFUSED):
		return os.Remove(path)
	}
	return fmt.Errorf("see whether anybody answers there: %w", err)
}

// close closes the sockets, and removes those that the daemon made itself.
func (s *sockets) close() {
	for _, l := range []net.Listener{s.login, s.control, s.password} {
		if l != nil {
			l.Close()
		}
	}
	for _, lock := range s.locks {
		lock.Close()
	}
}
