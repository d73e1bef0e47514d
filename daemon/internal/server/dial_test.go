package server

import (
	"log"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
)

const stranger = 65534

// dialAs connects as the user uid. The kernel takes the credentials of the thread that connects; only
// this one becomes somebody else, and it ends with its goroutine.
func dialAs(t *testing.T, uid int, path string) net.Conn {
	t.Helper()
	if uid != os.Geteuid() && os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	type dialled struct {
		net.Conn
		error
	}
	done := make(chan dialled)
	go func() {
		runtime.LockOSThread()
		if uid != os.Geteuid() {
			if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); e != 0 {
				done <- dialled{nil, e}
				return
			}
		}
		conn, err := net.Dial("unix", path)
		done <- dialled{conn, err}
	}()
	d := <-done
	if d.error != nil {
		t.Fatal(d.error)
	}
	t.Cleanup(func() { d.Conn.Close() })
	return d.Conn
}

// listenAt opens a socket for everybody.
func listenAt(t *testing.T, name string) (net.Listener, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "totpd") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, name)
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{dir: 0o755, path: 0o666} {
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	return l, path
}

// lines is what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lines) logger() *log.Logger { return log.New(l, "", 0) }
