package manners

import (
	"net"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/wire"
)

// hostile daemons: each must be denied before the deadline (a timeout of 1 s), with one line in the log.
var hostile = []struct {
	name   string
	script func(net.Conn)
	log    string // part of the log line
}{
	{"silent", func(c net.Conn) { time.Sleep(10 * time.Second) }, "in time"},
	{"silent after the answer", func(c net.Conn) { question(c); time.Sleep(10 * time.Second) }, "in time"},
	{"slow byte by byte", func(c net.Conn) {
		for _, b := range must(wire.AppendAsk(nil, wire.Hidden, strings.Repeat("x", 2000))) {
			c.Write([]byte{b})
			time.Sleep(10 * time.Millisecond)
		}
	}, "in time"},
	{"slow tells", func(c net.Conn) {
		for range 60 {
			c.Write(tell())
			time.Sleep(100 * time.Millisecond)
		}
	}, "in time"},
	{"hang up at once", func(c net.Conn) {}, "hung up"},
	{"hang up after the open", func(c net.Conn) { frames2(c).next() }, "hung up"},
	{"hang up within a frame", func(c net.Conn) { frames2(c).next(); c.Write(ask()[:4]) }, "hung up"},
	{"hang up after the question", func(c net.Conn) { question(c) }, "hung up"},
	{"half a header", func(c net.Conn) { frames2(c).next(); c.Write(ask()[:1]) }, "hung up"},
	{"acceptance before the open", func(c net.Conn) { c.Write(accept()) }, "out of order"},
	{"acceptance of an answer that it didn't take", func(c net.Conn) {
		frames2(c).next()
		c.(*net.UnixConn).CloseRead()
		c.Write(ask())
		time.Sleep(100 * time.Millisecond)
		c.Write(accept())
	}, "out of order"},
	{"acceptance before any question", func(c net.Conn) { frames2(c).next(); c.Write(accept()); sink(c) }, "out of order"},
	{"no code due after an answer", func(c net.Conn) { question(c); c.Write(notDue()); sink(c) }, "out of order"},
	{"optional question of an earlier version", func(c net.Conn) {
		frame, _ := frames2(c).next()
		if open, _ := wire.DecodeOpen(frame); open.Version == wire.Oldest {
			c.Write(must(wire.AppendAsk(nil, wire.Optional, "Remember? ")))
			sink(c)
		}
	}, "out of order"},
	{"questions without end", func(c net.Conn) {
		f := frames2(c)
		f.next()
		for {
			if _, err := c.Write(ask()); err != nil {
				return
			}
			if _, ok := f.next(); !ok {
				return
			}
		}
	}, "without end"},
	{"talk without end", func(c net.Conn) {
		for {
			if _, err := c.Write(tell()); err != nil {
				return
			}
		}
	}, "without end"},
}

// malformed is what no daemon of ours sends, by name: as its first word, which C reads, and after an answer, which Go does.
var malformed = map[string]struct {
	bytes []byte
	log   string // part of the log line
}{
	"huge frame":                {[]byte{byte(wire.KindAsk), 0xff, 0xff, 0}, "malformed"},
	"huge tell":                 {[]byte{byte(wire.KindTell), 0xff, 0xff, 0}, "malformed"},
	"frame one too long":        {[]byte{byte(wire.KindAsk), 0x40, 0x01, 0}, "malformed"},
	"garbage":                   {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), "malformed"},
	"zeros":                     {make([]byte, 100), "malformed"},
	"two verdicts":              {append(notDue(), notDue()...), "out of order"},
	"two acceptances":           {append(accept(), accept()...), "out of order"},
	"a verdict and more":        {append(notDue(), tell()...), "out of order"},
	"two questions":             {append(ask(), ask()...), "out of order"},
	"a question and acceptance": {append(ask(), accept()...), "out of order"},
	"an answer":                 {must(wire.AppendAnswer(nil, []byte("123456"))), "out of order"},
	"an open":                   {must(wire.AppendOpen(nil, &wire.Open{User: "root"})), "out of order"},
	"verdict of no kind":        {[]byte{byte(wire.KindVerdict), 0, 1, 0}, "malformed"},
	"verdict of a later kind":   {[]byte{byte(wire.KindVerdict), 0, 1, 9}, "malformed"},
	"empty verdict":             {[]byte{byte(wire.KindVerdict), 0, 0}, "malformed"},
	"long verdict":              {[]byte{byte(wire.KindVerdict), 0, 2, 2, 2}, "malformed"},
	"tell with a NUL":           {[]byte{byte(wire.KindTell), 0, 4, 2, 'a', 0, 'b'}, "malformed"},
	"tell of nothing":           {[]byte{byte(wire.KindTell), 0, 1, 2}, "malformed"},
	"tell of a strange style":   {[]byte{byte(wire.KindTell), 0, 2, 0, 'a'}, "malformed"},
	"prompt with a NUL":         {[]byte{byte(wire.KindAsk), 0, 4, 0, 'a', 0, 'b'}, "malformed"},
	"prompt of nothing":         {[]byte{byte(wire.KindAsk), 0, 1, 0}, "malformed"},
	"prompt of a strange style": {[]byte{byte(wire.KindAsk), 0, 2, 7, 'a'}, "malformed"},
	"combined question of a login that isn't": {must(wire.AppendCombined(nil, []byte{6}, "Password and code: ")), "out of order"},
}

func frames2(c net.Conn) *frames { return &frames{Conn: c} }

// question reads the open, asks, and reads the answer.
func question(c net.Conn) {
	f := frames2(c)
	f.next()
	c.Write(ask())
	f.next()
}

// sink reads until the module hangs up.
func sink(c net.Conn) {
	buf := make([]byte, 4096)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// Each for a timeout of 1 s and a busy machine, and for a daemon that is gone, with the default timeout; in ms.
// README promises the latter.
const deadline, patience = 1700, 3000

func TestHostileDaemon(t *testing.T) {
	for build, b := range map[string]built{"plain": plain, "asan": asan} {
		for _, h := range hostile {
			t.Run(build+"/"+h.name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, b, h.script)
				w.services(t, "timeout=1")
				w.denied(t, h.log, deadline)
			})
		}
		for name, m := range malformed {
			isAsk := m.bytes[0] == byte(wire.KindAsk) && m.bytes[1] < 0x40
			t.Run(build+"/"+name, func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, b, func(c net.Conn) { frames2(c).next(); c.Write(m.bytes); sink(c) })
				w.services(t, "timeout=1")
				if out := w.denied(t, m.log, deadline); !isAsk && !strings.Contains(out, " 1 threads") {
					t.Errorf("the Go runtime was started: %s", out)
				}
			})
			t.Run(build+"/"+name+" after an answer", func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, b, func(c net.Conn) { question(c); c.Write(m.bytes); sink(c) })
				w.services(t, "timeout=1")
				w.denied(t, m.log, deadline)
			})
		}
	}
}

// told is how a denial of the module's own ends: with a sentence and a reference.
var told = regexp.MustCompile(`, told (?:hello\n)*(?:codes can't be checked right now: try again later, or tell your administrator|this login is set up wrongly: tell your administrator) \(reference ([2-9A-Z]{4}-[2-9A-Z]{4})\)$`)

// denied holds that a login is denied within so many ms, that whoever logs in is told so with a reference, and
// that one line in the log has this reference and contains part.
func (w *world) denied(t *testing.T, part string, within int) string {
	t.Helper()
	out := strings.TrimSpace(w.run(t, "denied", within))
	t.Log(out)
	said := told.FindStringSubmatch(out)
	if said == nil {
		t.Fatal("nobody was told, or not like this")
	}
	if w.log == nil {
		t.Skip("the log line needs root")
	}
	lines := w.logged(t)
	if len(lines) != 1 || !strings.Contains(lines[0], part) || !strings.Contains(lines[0], "denied: ") || !strings.HasSuffix(lines[0], ", reference="+said[1]) {
		t.Errorf("the log has %q, want one line with %q and reference %s", lines, part, said[1])
	}
	return out
}

// A host that wants no texts gets none; the log has the reference all the same.
func TestDeniedSilently(t *testing.T) {
	w := newWorld(t, plain, nil)
	if out := strings.TrimSpace(w.run(t, "denied-silently", patience)); !strings.HasSuffix(out, ", told") {
		t.Error(out)
	}
	if w.log == nil {
		t.Skip("the log line needs root")
	}
	if lines := w.logged(t); len(lines) != 1 || !strings.Contains(lines[0], ", reference=") {
		t.Errorf("the log has %q", lines)
	}
}

func TestNoDaemon(t *testing.T) {
	t.Run("socket missing", func(t *testing.T) { newWorld(t, plain, nil).denied(t, "No such file", patience) })
	t.Run("socket of a dead daemon", func(t *testing.T) {
		w := newWorld(t, plain, nil)
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: w.socket}); err != nil {
			t.Fatal(err)
		}
		syscall.Close(fd)
		w.denied(t, "Connection refused", patience)
	})
	t.Run("no socket but a file", func(t *testing.T) {
		w := newWorld(t, plain, nil)
		if err := os.WriteFile(w.socket, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		w.denied(t, "Connection refused", patience)
	})
	t.Run("socket of another kind", func(t *testing.T) {
		w := newWorld(t, plain, nil)
		c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: w.socket})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w.denied(t, "wrong type", patience)
	})
	t.Run("nobody at systemd's socket", func(t *testing.T) {
		w := newWorld(t, plain, nil)
		l, err := net.Listen("unix", w.socket)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		w.denied(t, "in time", patience)
	})
	t.Run("crashes at each login", func(t *testing.T) {
		newWorld(t, plain, func(c net.Conn) { frames2(c).next() }).denied(t, "hung up", patience)
	})
	t.Run("hangs while the person types", func(t *testing.T) {
		w := newWorld(t, plain, func(c net.Conn) { frames2(c).next(); c.Write(ask()); time.Sleep(10 * time.Second) })
		w.denied(t, "in time", patience)
	})
	t.Run("stopped, its queue full", func(t *testing.T) {
		w := newWorld(t, plain, nil)
		fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer syscall.Close(fd)
		if err := syscall.Bind(fd, &syscall.SockaddrUnix{Name: w.socket}); err != nil {
			t.Fatal(err)
		}
		if err := syscall.Listen(fd, 0); err != nil {
			t.Fatal(err)
		}
		c, err := net.Dial("unix", w.socket) // takes the one place
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		w.denied(t, "in time", patience)
	})
}

// A daemon that takes what it is sent, and then its time, but not too much, is waited for.
func TestSlowDaemon(t *testing.T) {
	thinks := newWorld(t, plain, func(c net.Conn) { question(c); time.Sleep(3500 * time.Millisecond); c.Write(accept()) })
	if out := thinks.runWithInput(t, "alice", "named", 1); out != "0\n" {
		t.Errorf("pam_authenticate returned %q", out)
	}
	w := newWorld(t, plain, func(c net.Conn) {
		time.Sleep(600 * time.Millisecond)
		question(c)
		time.Sleep(600 * time.Millisecond)
		for _, b := range accept() {
			c.Write([]byte{b})
			time.Sleep(10 * time.Millisecond)
		}
	})
	w.services(t, "timeout=1")
	if out := w.runWithInput(t, "alice", "named", 1); out != "0\n" {
		t.Errorf("pam_authenticate returned %q", out)
	}
}

func TestArguments(t *testing.T) {
	for _, arg := range []string{
		"timeout=0", "timeout=31", "timeout=", "timeout=-1", "timeout=1.5", "timeout=99999999999999999999", "timeout=0x5", "timeout=1s", "timeout",
		"socket=", "socket=relative", "socket", "socket=/" + strings.Repeat("x", 107), "nullok", "Debug", "debug=1", "use_first_pass", "x=1",
	} {
		t.Run(arg, func(t *testing.T) {
			w := newWorld(t, plain, polite)
			w.services(t, arg)
			w.denied(t, `"`+arg[:min(len(arg), 100)], deadline)
		})
	}
	for _, arg := range []string{"timeout=1", "timeout=30", "timeout=10", "timeout=05", ""} {
		t.Run("taken "+arg, func(t *testing.T) {
			w := newWorld(t, plain, polite)
			w.services(t, arg)
			if out := w.runWithInput(t, "alice", "named", 1); out != "0\n" {
				t.Errorf("pam_authenticate returned %q", out)
			}
			if w.log != nil && len(w.logged(t)) != 0 {
				t.Error("logged something without debug")
			}
		})
	}
	t.Run("debug", func(t *testing.T) {
		w := newWorld(t, plain, polite)
		w.services(t, "debug")
		w.runWithInput(t, "alice", "named", 1)
		if w.log == nil {
			t.Skip("the log line needs root")
		}
		lines := w.logged(t)
		if len(lines) != 1 || !strings.Contains(lines[0], "accepted") || strings.Contains(lines[0], "123456") {
			t.Errorf("the log has %q", lines)
		}
	})
}

// The name goes to the daemon as PAM has it; one that doesn't fit a frame is denied.
func TestNames(t *testing.T) {
	for name, user := range map[string]string{
		"plain": "alice", "slash": "../../etc/passwd", "space": "a b", "newline": "a\nb\n<0>forged", "utf-8": "Jürgen", "not utf-8": "\xff\xfe",
		"format": "%s%n%s", "domain": `EXAMPLE\alice`, "10,000 bytes": strings.Repeat("x", 10000),
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			w := newWorld(t, plain, func(c net.Conn) {
				frame, _ := frames2(c).next()
				open, err := wire.DecodeOpen(frame)
				if err != nil {
					got <- err.Error()
					return
				}
				got <- open.User
				c.Write(wire.AppendVerdict(nil, wire.Refused))
			})
			if out := w.runWithInput(t, user, "named", 1); out != "7\n" {
				t.Errorf("pam_authenticate returned %q", out)
			}
			if u := <-got; u != user {
				t.Errorf("the daemon got %.100q", u)
			}
		})
	}
	for name, user := range map[string]string{"nothing": "", "more than a frame": strings.Repeat("x", 20000)} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, plain, func(c net.Conn) { c.Write(accept()) })
			if out := w.runWithInput(t, user, "named", 1); out == "0\n" || out == "25\n" {
				t.Errorf("pam_authenticate returned %q", out)
			}
		})
	}
}
