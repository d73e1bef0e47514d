package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
)

// bin holds the programs that are tested: the real ones, built once.
var bin string

func TestMain(m *testing.M) {
	if path := os.Getenv(speakAs); path != "" {
		speak(path)
		return
	}
	code, err := func() (int, error) {
		var err error
		if bin, err = os.MkdirTemp("", "totpd-bin"); err != nil {
			return 1, err
		}
		defer os.RemoveAll(bin)
		if err := os.Chmod(bin, 0o755); err != nil { // for daemons that aren't root
			return 1, err
		}
		for name, path := range map[string]string{"totpd": ".", "totpd-password": "./passwordcheck"} {
			if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, name), path).CombinedOutput(); err != nil {
				return 1, fmt.Errorf("build %s: %w\n%s", name, err, out)
			}
		}
		return m.Run(), nil
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// world is a directory with all that one daemon needs.
type world struct {
	dir string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "totpd") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	w := &world{dir: dir}
	w.configure(t, "")
	w.init(t)
	return w
}

// init makes the store, as the package does at the first installation.
func (w *world) init(t *testing.T) {
	t.Helper()
	if out, err := exec.Command(filepath.Join(bin, "totpd"), "-config", w.path("totpd.toml"), "-init").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// configure writes the configuration: the paths, and what the test adds.
func (w *world) configure(t *testing.T, more string) {
	t.Helper()
	text := fmt.Sprintf("[listen]\nlogin = %q\ncontrol = %q\n[store]\npath = %q\n[key]\nfile = %q\n%s",
		w.path("run/login.sock"), w.path("run/control.sock"), w.path("totpd.db"), w.path("totpd.key"), more)
	if err := os.WriteFile(w.path("totpd.toml"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// chown has the directory, and what is in it, belong to another user.
func (w *world) chown(t *testing.T, owner int) {
	t.Helper()
	files, err := filepath.Glob(w.path("*"))
	for _, path := range append(files, w.dir) {
		err = errors.Join(err, os.Chown(path, owner, owner))
	}
	if err != nil {
		t.Fatal(err)
	}
}

// running is a daemon under way.
type running struct {
	*exec.Cmd
	log   *buffer
	ended chan error
}

// start runs the daemon and waits until it is ready. Its command may be changed before.
func (w *world) start(t *testing.T, change ...func(*exec.Cmd)) *running {
	t.Helper()
	r := w.launch(t, change...)
	deadline := time.Now().Add(10 * time.Second)
	for !strings.Contains(r.log.String(), "ready: ") {
		select {
		case err := <-r.ended:
			t.Fatalf("the daemon ended: %v\n%s", err, r.log)
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the daemon is not ready:\n%s", r.log)
		}
	}
	return r
}

func (w *world) launch(t *testing.T, change ...func(*exec.Cmd)) *running {
	t.Helper()
	r := &running{log: &buffer{}, ended: make(chan error, 1)}
	r.Cmd = exec.Command(filepath.Join(bin, "totpd"), "-config", w.path("totpd.toml"))
	r.Stderr = r.log
	for _, c := range change {
		c(r.Cmd)
	}
	if err := r.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- r.Wait(); close(r.ended) }()
	t.Cleanup(func() {
		r.Process.Kill()
		<-r.ended
		if strings.Contains(r.log.String(), "panic") {
			t.Errorf("panic:\n%s", r.log)
		}
	})
	return r
}

// end sends a signal and waits for the end.
func (r *running) end(t *testing.T, s syscall.Signal) error {
	t.Helper()
	r.Process.Signal(s)
	select {
	case err := <-r.ended:
		return err
	case <-time.After(8 * time.Second):
		t.Fatalf("the daemon doesn't end:\n%s", r.log)
		return nil
	}
}

// fails runs a daemon that must not start, and returns what it says.
func (w *world) fails(t *testing.T, change ...func(*exec.Cmd)) string {
	t.Helper()
	r := w.launch(t, change...)
	select {
	case err := <-r.ended:
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 1 {
			t.Errorf("ended with %v", err)
		}
	case <-time.After(8 * time.Second):
		t.Errorf("it started")
	}
	return r.log.String()
}

// logLine waits for a line that holds the text.
func (r *running) logLine(t *testing.T, text string) {
	t.Helper()
	for range 400 {
		if strings.Contains(r.log.String(), text) {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("no line with %q:\n%s", text, r.log)
}

type buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (w *world) client() *control.Client { return control.NewClient(w.path("run/control.sock")) }

const secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

// give gives the user a device with the key secret, as root.
func (w *world) give(t *testing.T, user string) {
	t.Helper()
	w.giveKey(t, user, secret)
}

func (w *world) giveKey(t *testing.T, user, key string) {
	t.Helper()
	uri := control.Secret("otpauth://totp/x:" + user + "?secret=" + key)
	if _, err := w.client().Set(t.Context(), control.SetRequest{User: user, URI: uri}); err != nil {
		t.Fatal(err)
	}
}

// code is the one of steps from now: each is accepted once.
func code(t *testing.T, steps int) string {
	t.Helper()
	return codeOf(t, secret, steps)
}

func codeOf(t *testing.T, key string, steps int) string {
	t.Helper()
	code, err := totp.GenerateCode(key, time.Now().Add(time.Duration(steps)*30*time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// dialogue is a module's side of a login.
type dialogue struct {
	net.Conn
	buf []byte
}

// me is who runs the tests: anybody may log in as themselves.
func me(t *testing.T) string {
	t.Helper()
	u, err := user.Current()
	if err != nil {
		t.Skipf("needs a user with a name: %v", err)
	}
	return u.Username
}

func (w *world) begin(t *testing.T, user string) *dialogue {
	t.Helper()
	conn, err := net.Dial("unix", w.path("run/login.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	d := &dialogue{Conn: conn}
	d.open(user)
	return d
}

func (d *dialogue) open(user string) {
	frame, err := wire.AppendOpen(nil, &wire.Open{User: user, Service: "test", TTY: "pts/0"})
	if err == nil {
		_, err = d.Write(frame)
	}
	if err != nil {
		panic(err)
	}
}

func (d *dialogue) answer(text string) {
	frame, err := wire.AppendAnswer(nil, []byte(text))
	if err == nil {
		_, err = d.Write(frame)
	}
	if err != nil {
		panic(err)
	}
}

// next returns the next Ask's text, or the Verdict's outcome.
func (d *dialogue) next() (ask string, outcome wire.Outcome, err error) {
	d.SetReadDeadline(time.Now().Add(10 * time.Second))
	for {
		f, n, err := wire.Decode(d.buf)
		if err != nil {
			return "", 0, err
		}
		if n == 0 {
			more := make([]byte, 1024)
			n, err := d.Read(more)
			if err != nil {
				return "", 0, err
			}
			d.buf = append(d.buf, more[:n]...)
			continue
		}
		ask, outcome := string(f.Text), f.Outcome
		if d.buf = d.buf[n:]; f.Kind != wire.KindTell {
			return ask, outcome, nil
		}
	}
}

// login logs in with one answer, and returns the outcome: 0 when another answer is asked for.
func (w *world) login(t *testing.T, user, answer string) wire.Outcome {
	t.Helper()
	d := w.begin(t, user)
	defer d.Close()
	ask, outcome, err := d.next()
	if err == nil && ask != "" {
		d.answer(answer)
		_, outcome, err = d.next()
	}
	if err != nil {
		t.Fatal(err)
	}
	return outcome
}

// speakAs makes this executable a child that asks for root's login at the socket it names.
const speakAs = "TOTPD_TEST_SPEAK"

func speak(path string) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		fmt.Println(err)
		return
	}
	d := &dialogue{Conn: conn}
	d.open("root")
	ask, outcome, err := d.next()
	fmt.Printf("%q %d %v\n", ask, outcome, err)
	_, err = control.NewClient(filepath.Join(filepath.Dir(path), "control.sock")).
		Status(context.Background(), control.StatusRequest{User: "root"})
	var e *control.Error
	if errors.As(err, &e) {
		fmt.Println(e.Code)
	}
}
