package manners

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/wire"
)

// world is a directory with PAM services and a daemon that script plays.
type world struct {
	built
	dir, socket string
	daemon      net.Listener
	log         *net.UnixConn // what the host sees as /dev/log; nil without root
}

func newWorld(t *testing.T, b built, script func(net.Conn)) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "w")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := &world{built: b, dir: dir, socket: filepath.Join(dir, "s")}
	w.services(t, "")
	w.openLog(t)
	if script == nil {
		return w
	}
	if w.daemon, err = net.Listen("unix", w.socket); err != nil {
		t.Fatal(err)
	}
	for _, p := range []string{dir, w.socket} {
		if err := os.Chmod(p, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { w.daemon.Close() })
	go func() {
		for {
			c, err := w.daemon.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				script(c)
			}()
		}
	}()
	return w
}

// services writes the PAM services: "totp" and "asks" with the module alone, "idle" with it in every stack beside
// one that says yes.
func (w *world) services(t *testing.T, options string) {
	t.Helper()
	line := w.module + " socket=" + w.socket + " " + options + "\n"
	files := map[string]string{"totp": "auth required " + line, "asks": "auth required " + line, "permit": "", "idle": "", "other": "auth required pam_deny.so\n"}
	for _, stack := range []string{"auth", "account", "session", "password"} {
		files["permit"] += stack + " required pam_permit.so\n"
		files["idle"] += stack + " required " + line + stack + " required pam_permit.so\n"
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// openLog makes a /dev for the host's mount namespace with a log in it.
func (w *world) openLog(t *testing.T) {
	t.Helper()
	if os.Getuid() != 0 {
		return
	}
	dev := filepath.Join(w.dir, "dev")
	if err := os.Mkdir(dev, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, minor := range map[string]int{"null": 3, "zero": 5, "urandom": 9} {
		if err := syscall.Mknod(filepath.Join(dev, name), syscall.S_IFCHR|0o666, 1<<8|minor); err != nil {
			t.Fatal(err)
		}
	}
	log, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: filepath.Join(dev, "log")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	w.log = log
}

// logged returns what the module has logged so far, a line each.
func (w *world) logged(t *testing.T) []string {
	t.Helper()
	var lines []string
	buf := make([]byte, 4096)
	for {
		if err := w.log.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			t.Fatal(err)
		}
		n, err := w.log.Read(buf)
		if err != nil {
			return lines
		}
		if strings.Contains(string(buf[:n]), "pam_totpd(") {
			lines = append(lines, string(buf[:n]))
		}
	}
}

// run runs a scenario and returns what it printed.
func (w *world) run(t *testing.T, scenario string, count int) string {
	t.Helper()
	return w.runWithInput(t, "", scenario, count)
}

func (w *world) runWithInput(t *testing.T, input, scenario string, count int) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	args := []string{w.host, scenario, w.dir, strconv.Itoa(count)}
	if w.log != nil {
		args = append([]string{"unshare", "--mount", "--propagation", "private", "sh", "-c",
			`mount --bind "$0" /dev && exec "$@"`, filepath.Join(w.dir, "dev")}, args...)
	}
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s%s", scenario, err, out.String(), errs.String())
	}
	return out.String()
}

// frames reads the frames of a connection.
type frames struct {
	net.Conn
	buf []byte
}

func (f *frames) next() (wire.Frame, bool) {
	for {
		frame, n, err := wire.Decode(f.buf)
		if err != nil {
			return wire.Frame{}, false
		}
		if n > 0 {
			f.buf = f.buf[n:]
			return frame, true
		}
		chunk := make([]byte, wire.MaxFrame)
		n, err = f.Read(chunk)
		if err != nil {
			return wire.Frame{}, false
		}
		f.buf = append(f.buf, chunk[:n]...)
	}
}

func must(frame []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return frame
}

func ask() []byte    { return must(wire.AppendAsk(nil, wire.Hidden, "Code: ")) }
func tell() []byte   { return must(wire.AppendTell(nil, wire.Info, "hello\n")) }
func accept() []byte { return wire.AppendVerdict(nil, wire.Accepted) }
func notDue() []byte { return wire.AppendVerdict(nil, wire.NotDue) }

// polite accepts 123456, asks once, and takes two seconds to judge the code of a user named slow.
func polite(c net.Conn) {
	f := frames{Conn: c}
	frame, ok := f.next()
	open, err := wire.DecodeOpen(frame)
	if !ok || err != nil {
		return
	}
	c.Write(append(tell(), ask()...))
	frame, ok = f.next()
	if !ok {
		return
	}
	if open.User == "slow" {
		time.Sleep(2 * time.Second)
	}
	if string(frame.Text) == "123456" {
		c.Write(accept())
	} else {
		c.Write(wire.AppendVerdict(nil, wire.Refused))
	}
}
