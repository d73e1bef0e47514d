package manners

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/wire"
	"github.com/totpd/totpd/packaging/testbus"
)

// combined is a world of a combined login: the daemon asks for codes of these lengths and accepts whatever
// comes; totpd-password knows one password.
type combined struct {
	*world
	mu     sync.Mutex
	asked  []string // passwords that totpd-password was asked about
	asker  string   // on whose behalf
	codes  []string // that the daemon got
	opened int
	helper net.Listener
}

// right is alice's password.
const right = "correct horse"

func newCombined(t *testing.T, b built, tails []byte, script func(net.Conn)) *combined {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root asks totpd-password")
	}
	c := &combined{}
	if script == nil {
		script = func(conn net.Conn) {
			f := frames2(conn)
			frame, _ := f.next()
			if open, err := wire.DecodeOpen(frame); err != nil || !open.Combined {
				return
			}
			c.mu.Lock()
			c.opened++
			c.mu.Unlock()
			conn.Write(must(wire.AppendCombined(nil, tails, "Password and code: ")))
			frame, ok := f.next()
			if !ok {
				return
			}
			c.mu.Lock()
			c.codes = append(c.codes, string(frame.Text))
			c.mu.Unlock()
			conn.Write(accept())
		}
	}
	c.world = newWorld(t, b, script)
	c.listen(t, func(conn net.Conn, user, password string) {
		switch {
		case user == "alice" && password == right:
			conn.Write([]byte{1, 0})
		case user == "expired" && password == right:
			conn.Write([]byte{4, 3, 'o', 'l', 'd'})
		default:
			conn.Write([]byte{2, 0})
		}
	})
	c.stack(t, "")
	return c
}

// stack writes the service: ours, and behind it a module that shows what password it gets.
func (c *combined) stack(t *testing.T, options string) {
	t.Helper()
	show := filepath.Join(c.dir, "show")
	text := fmt.Sprintf("auth required %s prompt=combined socket=%s %s\nauth optional pam_exec.so quiet expose_authtok %s\n",
		c.module, c.socket, options, show)
	for name, text := range map[string]string{"totp": text, "show": "#!/bin/sh\ntr -d '\\000' >" + show + "n\n"} {
		if err := os.WriteFile(filepath.Join(c.dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// listen answers as totpd-password, in place of whoever did before.
func (c *combined) listen(t *testing.T, answer func(conn net.Conn, user, password string)) {
	t.Helper()
	if c.helper != nil {
		c.helper.Close()
	}
	l, err := net.Listen("unix", filepath.Join(c.dir, "password.sock"))
	if err != nil {
		t.Fatal(err)
	}
	c.helper = l
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				asker := make([]byte, 2)
				if _, err := io.ReadFull(conn, asker); err != nil || asker[0] != 2 {
					return
				}
				asker = make([]byte, asker[1])
				if _, err := io.ReadFull(conn, asker); err != nil {
					return
				}
				head := make([]byte, 5)
				if _, err := io.ReadFull(conn, head); err != nil || head[0] != 1 {
					return
				}
				rest := make([]byte, int(head[1])<<8+int(head[2])-2)
				if _, err := io.ReadFull(conn, rest); err != nil {
					return
				}
				n := int(head[3])<<8 + int(head[4])
				c.mu.Lock()
				c.asked, c.asker = append(c.asked, string(rest[n:])), string(asker)
				c.mu.Unlock()
				answer(conn, string(rest[:n]), string(rest[n:]))
			}()
		}
	}()
}

// types has somebody log in who answers with typed.
func (c *combined) types(t *testing.T, user, typed string) string {
	t.Helper()
	c.asked, c.codes = nil, nil
	os.Remove(filepath.Join(c.dir, "shown"))
	return strings.TrimSpace(c.runWithInput(t, user+" "+typed, "typed", 1))
}

// shown is the password that the module behind ours got.
func (c *combined) shown() string {
	text, err := os.ReadFile(filepath.Join(c.dir, "shown"))
	if err != nil {
		return "nothing"
	}
	return string(text)
}

const letIn, refused, unavailable = "0, asked 1, told", "7, asked 1, told", "9, asked 1, told codes can't be checked right now: try again later, or tell your administrator (reference "

func TestCombined(t *testing.T) {
	six, both := newCombined(t, plain, []byte{6}, nil), newCombined(t, asan, []byte{6, 8}, nil)
	none := newCombined(t, plain, nil, nil)
	for _, c := range []struct {
		name        string
		world       *combined
		user, typed string
		want        string
		asked       []string
		code        string // that the daemon got; empty: none
		password    string // that the next module got
	}{
		{"right", six, "alice", right + "123456", letIn, []string{right}, "123456", right},
		{"wrong", six, "alice", "wrong123456", refused, []string{"wrong"}, "", "wrong"},
		{"wrong phrase", six, "alice", "wrong horse123456", refused, []string{"wrong horse", "wrong"}, "", "wrong horse"},
		{"a digit too many", six, "alice", right + "1234567", refused, []string{right + "1", "correct"}, "", right + "1"},
		{"without code", six, "alice", right, refused, nil, "", right},
		{"a digit too few", six, "alice", right + "12345", refused, []string{"correct"}, "", right + "12345"},
		{"code alone", six, "alice", "123456", refused, nil, "", "123456"},
		{"other digits", six, "alice", right + "１２３４５６", refused, nil, "", right + "１２３４５６"},
		{"blank between", six, "alice", right + " 123456", letIn, []string{right}, "123456", right},
		{"two blanks between", six, "alice", right + "  123456", refused, []string{right + " ", right + "  "}, "", right + " "},
		{"recovery code", six, "alice", right + " ABCD-EFGH-JKMN", letIn, []string{right}, "ABCD-EFGH-JKMN", right},
		{"recovery code without blank", six, "alice", right + "ABCD-EFGH-JKMN", refused, []string{"correct"}, "", right + "ABCD-EFGH-JKMN"},
		{"a shorter word", six, "alice", right + " ABCD-EFG", refused, nil, "", right + " ABCD-EFG"},
		{"a longer word", six, "alice", right + " " + strings.Repeat("x", 33), refused, nil, "", right + " " + strings.Repeat("x", 33)},
		{"expired", six, "expired", right + "123456", letIn, []string{right}, "123456", right},
		{"somebody else", six, "bob", right + "123456", refused, []string{right, "correct"}, "", right},
		{"six of both", both, "alice", right + "123456", letIn, []string{right}, "123456", right},
		{"eight of both", both, "alice", right + "12345678", letIn, []string{right + "12", right}, "12345678", right},
		{"none, digits", none, "alice", right + "123456", refused, []string{"correct"}, "", right + "123456"},
		{"none, recovery code", none, "alice", right + " ABCDE-FGHJK", letIn, []string{right}, "ABCDE-FGHJK", right},
		{"long password", six, "alice", strings.Repeat("x", 1500) + "123456", refused, nil, "", strings.Repeat("x", 1500)},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := c.world.opened
			got := c.world.types(t, c.user, c.typed)
			if got != c.want || c.world.opened != before+1 {
				t.Errorf("%q, want %q; %d dialogues", got, c.want, c.world.opened-before)
			}
			if strings.Join(c.world.asked, "|") != strings.Join(c.asked, "|") {
				t.Errorf("asked about %q, want %q", c.world.asked, c.asked)
			}
			if strings.Join(c.world.codes, "|") != c.code {
				t.Errorf("the daemon got %q, want %q", c.world.codes, c.code)
			}
			if shown := c.world.shown(); shown[:min(len(shown), 500)] != c.password[:min(len(c.password), 500)] { // pam_exec cuts it
				t.Errorf("the next module got %q, want %q", shown, c.password)
			}
			for _, line := range c.world.logged(t) {
				if strings.Contains(line, "horse") || strings.Contains(line, "123456") || c.want == letIn {
					t.Errorf("logged %q", line)
				}
			}
		})
	}
}

// What another module has asked for already isn't asked for again.
func TestCombinedAfterAnotherModule(t *testing.T) {
	c := newCombined(t, plain, []byte{6}, nil)
	text, err := os.ReadFile(filepath.Join(c.dir, "totp"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(c.dir, "totp"), append([]byte("auth optional pam_exec.so quiet expose_authtok /bin/true\n"), text...), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := c.types(t, "alice", right+"123456"); got != letIn || c.shown() != right {
		t.Errorf("%q, the next module got %q", got, c.shown())
	}
}

// Where no code is due nothing is asked and nothing is left behind: the password is for the next module.
func TestCombinedNotDue(t *testing.T) {
	c := newCombined(t, plain, nil, func(conn net.Conn) {
		frames2(conn).next()
		conn.Write(wire.AppendVerdict(nil, wire.NotDue))
	})
	if got := c.types(t, "alice", right+"123456"); !strings.Contains(got, ", asked 1, told") || c.shown() != right+"123456" {
		t.Errorf("%q, the next module got %q", got, c.shown()) // pam_exec has asked
	}
}

// Whoever isn't root can't ask totpd-password: the code is judged at once. No other word of what was typed
// is taken for a code.
func TestCombinedNotRoot(t *testing.T) {
	c := newCombined(t, plain, []byte{6}, nil)
	for typed, want := range map[string][2]string{
		"wrong123456":          {letIn, "123456"},
		"wrong 123456":         {letIn, "123456"},
		"wrong ABCD-EFGH-JKMN": {refused, ""},
		"a phrase to remember": {refused, ""},
	} {
		c.asked, c.codes = nil, nil
		got := strings.TrimSpace(c.runWithInput(t, "alice "+typed, "typed-by-user", 1))
		if got != want[0] || strings.Join(c.codes, "|") != want[1] || len(c.asked) != 0 {
			t.Errorf("%q: %q, the daemon got %q", typed, got, c.codes)
		}
	}
}

// Where nobody can tell whether the password is right, nobody gets in and no code is judged.
func TestCombinedWithoutHelper(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(conn net.Conn, user, password string) // nil: nobody listens
		log    string
		within time.Duration
	}{
		"nobody listens": {nil, "can't reach totpd-password: No such file", 2 * time.Second},
		"hangs up":       {func(net.Conn, string, string) {}, "hung up", 2 * time.Second},
		"silent":         {func(c net.Conn, _, _ string) { io.Copy(io.Discard, c) }, "in time", 4 * time.Second},
		"never ends":     {func(c net.Conn, _, _ string) { c.Write([]byte{1, 0}); io.Copy(io.Discard, c) }, "in time", 4 * time.Second},
		"half":           {func(c net.Conn, _, _ string) { c.Write([]byte{1}) }, "malformed", time.Second},
		"cut":            {func(c net.Conn, _, _ string) { c.Write([]byte{1, 5, 'a'}) }, "malformed", time.Second},
		"two":            {func(c net.Conn, _, _ string) { c.Write([]byte{1, 0, 1, 0}) }, "malformed", time.Second},
		"endless":        {func(c net.Conn, _, _ string) { c.Write(bytes.Repeat([]byte{1}, 9999)) }, "can't hear", time.Second},
		"no verdict":     {func(c net.Conn, _, _ string) { c.Write([]byte{0, 0}) }, "malformed", time.Second},
		"later verdict":  {func(c net.Conn, _, _ string) { c.Write([]byte{5, 0}) }, "malformed", time.Second},
		"broken":         {func(c net.Conn, _, _ string) { c.Write([]byte("\x03\x09PAM\nsays\x00")) }, "can't tell: PAM?says", time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newCombined(t, asan, []byte{6}, nil)
			w.stack(t, "timeout=3")
			if c.answer == nil {
				w.helper.Close()
			} else {
				w.listen(t, c.answer)
			}
			begun := time.Now()
			got := w.types(t, "alice", right+"123456")
			if !strings.HasPrefix(got, unavailable) || len(w.codes) > 0 {
				t.Errorf("%q, the daemon got %q", got, w.codes)
			}
			if took := time.Since(begun); took > c.within+time.Second {
				t.Errorf("it took %v", took)
			}
			if lines := w.logged(t); len(lines) != 1 || !strings.Contains(lines[0], "denied: ") || !strings.Contains(lines[0], c.log) {
				t.Errorf("the log has %q", lines)
			}
		})
	}
	// systemd holds the socket of one that hangs or can't be started: what is sent stays there.
	t.Run("nobody reads", func(t *testing.T) {
		t.Parallel()
		w := newCombined(t, asan, []byte{6}, nil)
		w.helper.Close()
		l, err := net.Listen("unix", filepath.Join(w.dir, "password.sock"))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		begun := time.Now()
		if got := w.types(t, "alice", right+"123456"); !strings.HasPrefix(got, unavailable) || len(w.codes) > 0 {
			t.Errorf("%q, the daemon got %q", got, w.codes)
		}
		if took := time.Since(begun); took > 4*time.Second {
			t.Errorf("it took %v", took)
		}
		if lines := w.logged(t); len(lines) != 1 || !strings.Contains(lines[0], "denied: totpd-password does not take questions") {
			t.Errorf("the log has %q", lines)
		}
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if sent, err := io.ReadAll(conn); err != nil || bytes.Contains(sent, []byte(right)) {
			t.Errorf("the password was sent: %q, %v", sent, err)
		}
	})
	// One that has been told who asks may take its time: others come first.
	t.Run("waits for its turn", func(t *testing.T) {
		t.Parallel()
		w := newCombined(t, plain, []byte{6}, nil)
		w.listen(t, func(c net.Conn, _, _ string) {
			time.Sleep(4 * time.Second)
			c.Write([]byte{1, 0})
		})
		if got := w.types(t, "alice", right+"123456"); got != letIn {
			t.Error(got)
		}
	})
	t.Run("a stranger listens", func(t *testing.T) {
		w := newCombined(t, plain, []byte{6}, nil)
		w.helper.Close()
		w.strangerListens(t)
		if got := w.types(t, "alice", right+"123456"); !strings.HasPrefix(got, unavailable) || len(w.codes) > 0 {
			t.Errorf("%q", got)
		}
		if lines := w.logged(t); len(lines) != 1 || !strings.Contains(lines[0], "isn't root") {
			t.Errorf("the log has %q", lines)
		}
	})
}

// Where totpd-password listens is beside the daemon, or where an argument says.
func TestPasswordSocket(t *testing.T) {
	c := newCombined(t, plain, []byte{6}, nil)
	elsewhere := filepath.Join(c.dir, "elsewhere")
	if err := os.Rename(filepath.Join(c.dir, "password.sock"), elsewhere); err != nil {
		t.Fatal(err)
	}
	for options, want := range map[string]string{
		"password_socket=" + elsewhere:                       letIn,
		"password_socket=" + elsewhere + " with_key":         "3, asked 1, told",
		"password_socket=":                                   "3, asked 1, told",
		"password_socket=elsewhere":                          "3, asked 1, told",
		"password_socket=/" + strings.Repeat("x", 107):       "3, asked 1, told",
		"socket=/" + strings.Repeat("x", 100) + "/login":     "3, asked 1, told",
		"password_socket=" + elsewhere + " prompt=separate":  "3, asked 1, told",
		"password_socket=" + elsewhere + " prompt=combined1": "3, asked 1, told",
	} {
		c.stack(t, options)
		if got := c.types(t, "alice", right+"123456"); got != want && !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q", options, got)
		}
	}
}

// A busy totpd-password hangs up on one too many, and is asked again.
func TestCombinedBusyHelper(t *testing.T) {
	c := newCombined(t, plain, []byte{6}, nil)
	var times atomic.Int32
	c.listen(t, func(conn net.Conn, _, _ string) {
		if times.Add(1) > 3 {
			conn.Write([]byte{1, 0})
		}
	})
	if got := c.types(t, "alice", right+"123456"); got != letIn || times.Load() != 4 {
		t.Errorf("%q after %d times", got, times.Load())
	}
}

// The daemon may be restarted while the password is checked: it is checked once.
func TestCombinedDaemonComesBack(t *testing.T) {
	question := must(wire.AppendCombined(nil, []byte{6}, "Password and code: "))
	for name, first := range map[string]func(f *frames){
		"before its question": func(*frames) {},
		"at its question":     func(f *frames) { f.Write(question) },
		"after the answer":    func(f *frames) { f.Write(question); f.next() },
	} {
		var once sync.Once
		var code string
		c := newCombined(t, asan, nil, func(conn net.Conn) {
			f := frames2(conn)
			frame, _ := f.next()
			if open, err := wire.DecodeOpen(frame); err != nil || !open.Combined {
				t.Errorf("%s: the dialogue is another one: %v", name, err)
			}
			lost := false
			if once.Do(func() { lost = true }); lost {
				first(f)
				return
			}
			f.Write(question)
			frame, _ = f.next()
			code = string(frame.Text)
			f.Write(accept())
		})
		if got := c.types(t, "alice", right+"123456"); got != letIn || code != "123456" || len(c.asked) != 1 {
			t.Errorf("%s: %q, the daemon got %q, %d passwords were asked about", name, got, code, len(c.asked))
		}
	}
}

// A daemon that doesn't know of combined logins, or breaks their rules, lets nobody in and gets no password.
func TestCombinedHostileDaemon(t *testing.T) {
	for name, c := range map[string]struct {
		script func(*frames)
		log    string
	}{
		"hangs up":         {func(*frames) {}, "hung up"},
		"asks for a code":  {func(f *frames) { f.Write(ask()); f.next() }, "out of order"},
		"asks and may not": {func(f *frames) { f.Write(must(wire.AppendAsk(nil, wire.Optional, "? "))); f.next() }, "out of order"},
		"asks for a proof": {func(f *frames) { f.Write(proof()); f.next() }, "out of order"},
		"accepts at once":  {func(f *frames) { f.Write(accept()); f.next() }, "out of order"},
		"asks twice": {func(f *frames) {
			for range 2 {
				f.Write(must(wire.AppendCombined(nil, []byte{6}, "Password and code: ")))
				f.next()
			}
		}, "twice"},
		"asks for a code after": {func(f *frames) {
			f.Write(must(wire.AppendCombined(nil, []byte{6}, "Password and code: ")))
			f.next()
			f.Write(ask())
			f.next()
		}, "out of order"},
		"lengths of nothing": {func(f *frames) { f.Write([]byte{3, 0, 4, 4, 1, 0, 'x'}); f.next() }, "malformed"},
		"lengths beyond":     {func(f *frames) { f.Write([]byte{3, 0, 4, 4, 200, 6, 'x'}); f.next() }, "malformed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			var heard bytes.Buffer
			w := newCombined(t, asan, nil, func(conn net.Conn) {
				f := frames2(conn)
				f.next()
				c.script(&frames{Conn: tee{conn, &heard, &mu}})
			})
			w.stack(t, "timeout=3")
			got := w.types(t, "alice", right+"123456")
			if !strings.HasPrefix(got, "9, ") {
				t.Errorf("%q", got)
			}
			mu.Lock()
			defer mu.Unlock()
			if strings.Contains(heard.String(), "horse") {
				t.Errorf("the daemon heard %q", heard.String())
			}
			if lines := w.logged(t); len(lines) != 1 || !strings.Contains(lines[0], c.log) {
				t.Errorf("the log has %q", lines)
			}
		})
	}
}

// tee keeps what is read.
type tee struct {
	net.Conn
	heard *bytes.Buffer
	mu    *sync.Mutex
}

func (c tee) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.heard.Write(p[:n])
	return n, err
}

// The guest leaves no more behind for a combined login than for another one.
func TestCombinedManners(t *testing.T) {
	c := newCombined(t, plain, []byte{6}, nil)
	for range 20 {
		if got := c.types(t, "alice", right+"123456"); got != letIn { // "typed" compares before and after
			t.Error(got)
		}
	}
	c.listen(t, func(conn net.Conn, _, _ string) { time.Sleep(200 * time.Millisecond) })
	c.helper.Close()
	if got := c.types(t, "alice", right+"123456"); !strings.HasPrefix(got, unavailable) {
		t.Error(got)
	}
}

// strangerListens has somebody else than root listen where totpd-password does.
func (c *combined) strangerListens(t *testing.T) {
	t.Helper()
	fd, err := testbus.ListenAs(65534, filepath.Join(c.dir, "password.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
}
