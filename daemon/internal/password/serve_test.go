package password_test

import (
	"errors"
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/password"
)

// serve serves without a totpd-password beside the test's executable, and returns what is complained about.
func serve(t *testing.T) (socket string, complaint func() string) {
	t.Helper()
	if _, err := os.Stat("/usr/libexec/totpd/totpd-password"); err == nil {
		t.Skip("totpd is installed")
	}
	if os.Geteuid() != 0 {
		t.Skip("only root is served")
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: filepath.Join(t.TempDir(), "password.sock")})
	if err != nil {
		t.Fatal(err)
	}
	lines, w := io.Pipe()
	served := make(chan struct{})
	go func() {
		defer close(served)
		(&password.Door{Complaints: log.New(w, "", 0), RootOnly: true}).Serve(l)
	}()
	t.Cleanup(func() {
		l.Close()
		lines.Close()
		<-served
	})
	return l.Addr().String(), func() string {
		line := make([]byte, 200)
		n, _ := lines.Read(line)
		return string(line[:n])
	}
}

// Whoever asks is hung up on, and the log says why.
func TestServeWithoutHelper(t *testing.T) {
	socket, complaint := serve(t)
	conn, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	conn.Write([]byte{1})
	if line := complaint(); !strings.Contains(line, "no totpd-password") {
		t.Errorf("logged %q", line)
	}
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(make([]byte, 1)); n != 0 || !errors.Is(err, io.EOF) && !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

// A moment without files ends no daemon: whoever asks then is served once there are some.
func TestServeWithoutFiles(t *testing.T) {
	socket, complaint := serve(t)
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var before unix.Rlimit
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		t.Fatal(err)
	}
	if err := unix.Prlimit(0, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: before.Max}, nil); err != nil {
		t.Fatal(err)
	}
	defer unix.Prlimit(0, unix.RLIMIT_NOFILE, &before, nil)
	if err := unix.Connect(fd, &unix.SockaddrUnix{Name: socket}); err != nil {
		t.Fatal(err)
	}
	unix.Write(fd, []byte{1})
	if line := complaint(); !strings.Contains(line, "too many open files") {
		t.Errorf("logged %q", line)
	}
	unix.Prlimit(0, unix.RLIMIT_NOFILE, &before, nil)
	for line := ""; !strings.Contains(line, "no totpd-password"); {
		if line = complaint(); line == "" {
			t.Fatal("it ended")
		}
	}
}
