package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

// handed passes sockets as systemd does.
func handed(t *testing.T, sockets ...net.Listener) func(*exec.Cmd) {
	t.Helper()
	return func(cmd *exec.Cmd) {
		for _, s := range sockets {
			f, err := s.(interface{ File() (*os.File, error) }).File()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
			cmd.ExtraFiles = append(cmd.ExtraFiles, f)
		}
		// systemd sets the pid of the process that it becomes.
		script := fmt.Sprintf(`LISTEN_PID=$$ LISTEN_FDS=%d exec "$@"`, len(sockets))
		cmd.Args = append([]string{"sh", "-c", script, "sh", cmd.Path}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
	}
}

func TestRestartWithSocketsOfSystemd(t *testing.T) {
	w := newWorld(t)
	if err := os.Mkdir(w.path("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	var sockets []net.Listener
	for _, name := range []string{"run/control.sock", "run/login.sock"} {
		l, err := net.Listen("unix", w.path(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		sockets = append(sockets, l)
	}
	both := handed(t, sockets...)
	r := w.start(t, both)
	if got := w.login(t, me(t), ""); got != wire.NotDue {
		t.Errorf("first daemon: %v", got)
	}
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("end: %v\n%s", err, r.log)
	}
	waiting := w.begin(t, me(t)) // nobody is there to answer yet
	w.start(t, both)
	if _, got, err := waiting.next(); got != wire.NotDue {
		t.Errorf("begun between two daemons: %v, %v", got, err)
	}
	if _, err := w.client().Version(t.Context()); err != nil {
		t.Errorf("control: %v", err)
	}
	if _, err := os.Stat(w.path("run/login.sock.lock")); err == nil {
		t.Error("a lock beside systemd's socket")
	}

	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tcp.Close() })
	other := newWorld(t)
	for name, sockets := range map[string][]net.Listener{
		w.path("run/login.sock"): {sockets[1]}, // not where the other's settings have it
		tcp.Addr().String():      {tcp},
	} {
		if said := other.fails(t, handed(t, sockets...)); !strings.Contains(said, "socket "+name) ||
			!strings.Contains(said, other.path("run/login.sock")) || !strings.Contains(said, "totpd.socket") {
			t.Errorf("%s: %s", name, said)
		}
	}
	if said := w.fails(t, handed(t, sockets[1], sockets[1])); !strings.Contains(said, "socket "+w.path("run/login.sock")) {
		t.Errorf("one socket twice: %s", said)
	}
}

func TestSecondDaemonIsRefused(t *testing.T) {
	w := newWorld(t)
	w.start(t)
	if said := w.fails(t); !strings.Contains(said, "another totpd runs there") {
		t.Errorf("%s", said)
	}
	if err := os.Remove(w.path("run/login.sock.lock")); err != nil {
		t.Fatal(err)
	}
	if said := w.fails(t); !strings.Contains(said, "another process answers there") {
		t.Errorf("%s", said)
	}
	if got := w.login(t, me(t), ""); got != wire.NotDue {
		t.Errorf("the first daemon: %v", got)
	}
}

func TestSocketOfADeadDaemon(t *testing.T) {
	w := newWorld(t)
	r := w.start(t)
	r.end(t, syscall.SIGKILL)
	if _, err := os.Stat(w.path("run/login.sock")); err != nil {
		t.Fatal(err)
	}
	r = w.start(t)
	if got := w.login(t, me(t), ""); got != wire.NotDue {
		t.Errorf("after a crash: %v", got)
	}
	r.end(t, syscall.SIGINT)
	if _, err := os.Stat(w.path("run/login.sock")); !os.IsNotExist(err) {
		t.Errorf("the socket stays behind: %v", err)
	}
	if err := os.WriteFile(w.path("run/login.sock"), []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if said := w.fails(t); !strings.Contains(said, "no socket is in the way") {
		t.Errorf("%s", said)
	}
	if text, _ := os.ReadFile(w.path("run/login.sock")); string(text) != "precious" {
		t.Error("a file was overwritten")
	}
}
