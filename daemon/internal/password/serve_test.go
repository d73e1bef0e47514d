package password_test

import (
	"io"
	"log"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/password"
)

// Here no totpd-password is beside the test's executable: whoever asks is hung up on, and the log says why.
func TestServeWithoutHelper(t *testing.T) {
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
	served := make(chan error, 1)
	go func() { served <- password.Serve(l, log.New(w, "", 0)) }()
	conn, err := net.Dial("unix", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	line := make([]byte, 200)
	n, _ := lines.Read(line)
	if !strings.Contains(string(line[:n]), "no totpd-password") {
		t.Errorf("logged %q", line[:n])
	}
	conn.SetDeadline(time.Now().Add(5 * time.Second))
	if n, err := conn.Read(line); n != 0 || err != io.EOF {
		t.Errorf("%d bytes, %v", n, err)
	}
	l.Close()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
