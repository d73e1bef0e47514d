package manners

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

func proof() []byte { return must(wire.AppendAsk(nil, wire.Proof, "proof")) }

// newProof is a world whose daemon wants a proof before it lets anybody in: for an enrolment, say.
func newProof(t *testing.T, b built) *combined {
	c := newCombined(t, b, nil, nil)
	c.daemon.Close()
	l, err := net.Listen("unix", c.socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(c.socket, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f := frames2(conn)
			f.next()
			conn.Write(proof())
			frame, _ := f.next()
			c.mu.Lock()
			c.codes = append(c.codes, string(frame.Text))
			c.mu.Unlock()
			conn.Write(wire.AppendVerdict(nil, wire.Refused))
			conn.Close()
		}
	}()
	return c
}

// begin forgets what the daemon and totpd-password were told.
func (c *combined) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked, c.codes = nil, nil
}

// heard is how often totpd-password was asked, and what the daemon was told.
func (c *combined) heard() (asked int, codes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.asked), slices.Clone(c.codes)
}

// before writes the service: ours, behind a line of auth that may have asked for the password.
func (c *combined) before(t *testing.T, line, options string) {
	t.Helper()
	text := fmt.Sprintf("%s\nauth required %s socket=%s %s\n", line, c.module, c.socket, options)
	if err := os.WriteFile(filepath.Join(c.dir, "totp"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// That a stack has come to the module proves nothing: it may go on after a wrong password.
func TestProofByPassword(t *testing.T) {
	const asks = "auth optional pam_exec.so quiet expose_authtok /bin/true"
	const failed = asks + "\nauth required pam_debug.so auth=auth_err"
	c := newProof(t, asan)
	for name, tt := range map[string]struct {
		line, user, typed, options string
		scenario                   string
		proven                     bool
		asked                      int // passwords
		log                        string
	}{
		"right":                  {asks, "alice", right, "", "typed", true, 1, ""},
		"right, expired":         {asks, "expired", right, "", "typed", true, 1, ""},
		"wrong":                  {asks, "alice", "wrong", "", "typed", false, 1, "no enrolment: the password is wrong"},
		"wrong, and it went on":  {failed, "alice", "wrong", "", "typed", false, 1, "no enrolment: the password is wrong"},
		"somebody else's":        {asks, "bob", right, "", "typed", false, 1, "no enrolment: the password is wrong"},
		"too long":               {asks, "alice", strings.Repeat("x", 1500), "", "typed", false, 0, "the password is wrong"},
		"nobody asked":           {"", "alice", right, "", "typed", false, 0, "no module before this one has asked for the password"},
		"nobody can tell":        {asks, "alice", right, "password_socket=/nonexistent/x timeout=1", "typed", false, 0, "no enrolment: can't reach totpd-password"},
		"a host that isn't root": {asks, "alice", right, "timeout=1", "typed-by-user", false, 0, ""},
	} {
		c.before(t, tt.line, tt.options)
		c.begin()
		out := c.runWithInput(t, tt.user+" "+tt.typed, tt.scenario, 1)
		if asked := strings.Count(tt.line, "expose"); !strings.HasPrefix(out, fmt.Sprintf("7, asked %d, told", asked)) {
			t.Errorf("%s: %q", name, out) // of the proof the person sees nothing
		}
		want := map[bool]string{true: wire.Proven}[tt.proven]
		if asked, codes := c.heard(); len(codes) != 1 || codes[0] != want || asked != tt.asked {
			t.Errorf("%s: the daemon got %q, totpd-password was asked %d times", name, codes, asked)
		}
		lines := c.logged(t)
		if (tt.log == "") != (len(lines) == 0) || len(lines) > 1 || tt.log != "" && !strings.Contains(lines[0], tt.log) {
			t.Errorf("%s: the log has %q", name, lines)
		}
	}
}

// A key that sshd has verified is a proof as well; what else it has verified is not.
func TestProofByKey(t *testing.T) {
	c := newProof(t, plain)
	c.before(t, "", "")
	for key, want := range map[int]string{1: wire.Proven, 2: ""} {
		c.begin()
		out := c.run(t, "keyed", key)
		if asked, codes := c.heard(); out != "7\n" || len(codes) != 1 || codes[0] != want || asked != 0 {
			t.Errorf("%d: %q, the daemon got %q", key, out, codes)
		}
	}
}

// No daemon has the password tried without end, nor in a dialogue that knows of no proof.
func TestProofHostileDaemon(t *testing.T) {
	for name, c := range map[string]struct {
		script func(*frames, wire.Open)
		log    string
	}{
		"without end": {func(f *frames, _ wire.Open) {
			for ok := true; ok; _, ok = f.next() {
				f.Write(proof())
			}
		}, "without end"},
		"in Version 1": {func(f *frames, o wire.Open) {
			if o.Version == 1 {
				f.Write(proof())
				f.next()
			}
		}, "out of order"},
		"then accepts for nothing": {func(f *frames, _ wire.Open) {
			f.Write(proof())
			f.next()
			f.Write(wire.AppendVerdict(nil, wire.NotDue))
		}, "out of order"},
	} {
		w := newWorld(t, asan, func(conn net.Conn) {
			f := frames2(conn)
			frame, _ := f.next()
			open, _ := wire.DecodeOpen(frame)
			c.script(f, open)
		})
		if got := w.alice(t); !strings.HasPrefix(got, "9, asked 0") {
			t.Errorf("%s: %q", name, got)
		}
		if w.log == nil {
			continue
		}
		if lines := w.logged(t); len(lines) == 0 || !strings.Contains(lines[len(lines)-1], c.log) {
			t.Errorf("%s: the log has %q", name, lines)
		}
	}
}
