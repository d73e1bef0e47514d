package manners

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/wire"
)

// alice logs in, and what came of it is returned.
func (w *world) alice(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(w.runWithInput(t, "alice 123456", "typed", 1))
}

// A daemon that goes away before its verdict and comes back: the person notices nothing.
func TestDaemonComesBack(t *testing.T) {
	other := must(wire.AppendAsk(nil, wire.Hidden, "Token: "))
	news := must(wire.AppendTell(nil, wire.Info, "a new key\n"))
	wrong := must(wire.AppendTell(nil, wire.Error, "not right\n"))
	opened := func(c net.Conn, send ...[]byte) *frames {
		f := frames2(c)
		f.next()
		for _, frame := range send {
			c.Write(frame)
		}
		return f
	}
	answered := func(c net.Conn, send ...[]byte) {
		opened(c, tell(), ask()).next()
		for _, frame := range send {
			c.Write(frame)
		}
	}
	for _, c := range []struct {
		name  string
		first func(net.Conn) // what the daemon does before it goes
		times int            // so often; then it is polite
		want  string
	}{
		{"before the open", func(net.Conn) {}, 1, "0, asked 1, told hello"},
		{"after the open", func(c net.Conn) { opened(c) }, 1, "0, asked 1, told hello"},
		{"within the question", func(c net.Conn) { opened(c, ask()[:5]) }, 1, "0, asked 1, told hello"},
		{"between tell and question", func(c net.Conn) { opened(c, tell()) }, 1, "0, asked 1, told hello"},
		{"while the person types", func(c net.Conn) { opened(c, tell(), ask()) }, 1, "0, asked 1, told hello"},
		{"after the answer", func(c net.Conn) { answered(c) }, 1, "0, asked 1, told hello"},
		{"within the verdict", func(c net.Conn) { answered(c, accept()[:2]) }, 1, "0, asked 1, told hello"},
		{"after the answer, six times", func(c net.Conn) { answered(c) }, 6, "0, asked 1, told hello"},
		{"after a wrong answer", func(c net.Conn) { answered(c, wrong, ask()) }, 1, "0, asked 2, told hello\nnot right"},
		{"within its word about the answer", func(c net.Conn) { answered(c, wrong) }, 1, "0, asked 2, told hello\nnot right"},
		{"and asks for something else", func(c net.Conn) { opened(c, tell(), other).next() }, 1, "0, asked 2, told hello"},
		{"and has news", func(c net.Conn) { opened(c, news, ask()).next() }, 1, "0, asked 2, told a new key\nhello"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			calls := 0
			w := newWorld(t, asan, func(conn net.Conn) {
				mu.Lock()
				calls++
				first := calls <= c.times
				mu.Unlock()
				if first {
					c.first(conn)
				} else {
					polite(conn)
				}
			})
			w.services(t, "timeout=3")
			if got := w.alice(t); got != c.want {
				t.Errorf("%s, want %s", got, c.want)
			}
			if w.log != nil && len(w.logged(t)) != 0 {
				t.Error("it was logged")
			}
			mu.Lock()
			defer mu.Unlock()
			if calls != c.times+1 {
				t.Errorf("%d connections", calls)
			}
		})
	}
}

// A daemon that came back asks for a proof again, and then gets the answer that was typed behind the first.
func TestDaemonComesBackBehindAProof(t *testing.T) {
	var calls atomic.Int32
	var answer atomic.Value
	w := newWorld(t, plain, func(c net.Conn) {
		f := frames2(c)
		f.next()
		c.Write(proof())
		f.next()
		c.Write(ask())
		frame, _ := f.next()
		if calls.Add(1) == 1 {
			return
		}
		answer.Store(string(frame.Text))
		c.Write(accept())
	})
	w.services(t, "timeout=3")
	if got := w.alice(t); got != "0, asked 1, told" || answer.Load() != "123456" {
		t.Errorf("%s, and the daemon heard %q", got, answer.Load())
	}
}

// What the daemon says without hearing the login is its word, and ends it. Where it doesn't say why, the module
// tells whoever logs in, with a reference.
func TestTurnedAway(t *testing.T) {
	unavailable := wire.AppendVerdict(nil, wire.Unavailable)
	why := must(wire.AppendTell(nil, wire.Error, "not now"))
	const own = "codes can't be checked right now: try again later, or tell your administrator (reference "
	for name, c := range map[string]struct {
		says []byte
		want string // PAM_AUTHINFO_UNAVAIL, and what is told
		line bool
	}{
		"nothing":     {unavailable, "9, asked 0, told " + own, true},
		"a greeting":  {append(tell(), unavailable...), "9, asked 0, told hello\n" + own, true},
		"says why":    {append(append(tell(), why...), unavailable...), "9, asked 0, told hello\nnot now", false},
		"only why":    {append(bytes.Clone(why), unavailable...), "9, asked 0, told not now", false},
		"why, refuse": {append(bytes.Clone(why), wire.AppendVerdict(nil, wire.Refused)...), "7, asked 0, told not now", false},
	} {
		var calls atomic.Int32
		w := newWorld(t, plain, func(conn net.Conn) {
			calls.Add(1)
			conn.Write(c.says)
		})
		if got := w.alice(t); got != c.want && !(c.line && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s: %s", name, got)
		}
		if calls.Load() != 1 {
			t.Errorf("%s: %d connections", name, calls.Load())
		}
		if w.log == nil {
			continue
		}
		if lines := w.logged(t); (len(lines) == 1 && strings.Contains(lines[0], "turned the login away")) != c.line {
			t.Errorf("%s: the log has %q", name, lines)
		}
	}
}

// A daemon that came back and says that no code is due any more decides, also after an answer.
func TestNotDueAfterAll(t *testing.T) {
	var once sync.Once
	w := newWorld(t, plain, func(c net.Conn) {
		first := false
		if once.Do(func() { first = true }); first {
			question(c)
			return
		}
		frames2(c).next()
		c.Write(wire.AppendVerdict(nil, wire.NotDue))
	})
	if got := w.alice(t); got != "6, asked 1, told" { // PAM_IGNORE of all modules
		t.Error(got)
	}
}

// The daemon knows by the id which dialogues are one login.
func TestLoginID(t *testing.T) {
	var mu sync.Mutex
	var ids []wire.LoginID
	w := newWorld(t, plain, func(c net.Conn) {
		f := frames2(c)
		frame, _ := f.next()
		open, err := wire.DecodeOpen(frame)
		if err != nil {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if ids = append(ids, open.ID); len(ids) < 3 {
			return
		}
		c.Write(wire.AppendVerdict(nil, wire.Refused))
	})
	for range 2 {
		w.alice(t)
	}
	if len(ids) != 4 || len(ids[0]) != wire.IDSize || ids[0] != ids[1] || ids[1] != ids[2] || ids[2] == ids[3] {
		t.Errorf("%q", fmt.Sprint([]string{string(ids[0]), string(ids[1]), string(ids[2]), string(ids[3])}))
	}
	if strings.Trim(string(ids[0]), "0123456789abcdef") != "" || strings.Count(string(ids[0]), "0") > 20 {
		t.Errorf("no random bytes in hexadecimal: %q", string(ids[0]))
	}
}

// Without systemd there is no socket for a moment.
func TestSocketComesBack(t *testing.T) {
	w := newWorld(t, plain, nil)
	moved := filepath.Join(w.dir, "away")
	script := func(c net.Conn) { // the first daemon, whose socket is gone with it
		frames2(c).next()
		c.Write(append(tell(), ask()...))
		os.Rename(w.socket, moved)
	}
	listen := func() net.Listener {
		l, err := net.Listen("unix", w.socket)
		if err != nil {
			t.Error(err)
			return nil
		}
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		return l
	}
	l := listen()
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		script(c)
		c.Close()
		time.Sleep(time.Second)
		l := listen()
		if l == nil {
			return
		}
		defer l.Close()
		if c, err = l.Accept(); err == nil {
			polite(c)
			c.Close()
		}
	}()
	if got := w.alice(t); got != "0, asked 1, told hello" {
		t.Error(got)
	}
}
