package server

import (
	"context"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/wire"
)

// TestUsersCannotCrowdOutRoot needs root, to connect as somebody else.
func TestUsersCannotCrowdOutRoot(t *testing.T) {
	f := serveLogins(t)
	var inside []net.Conn
	for range f.gate.each {
		c := dialAs(t, stranger, f.path)
		c.Write(openFrame(t, "alice"))
		hear(t, c)
		inside = append(inside, c)
	}
	if heard := hear(t, dialAs(t, stranger, f.path)); verdict(heard) != wire.Unavailable {
		t.Errorf("one too many heard %v", heard)
	}
	for _, uid := range []int{0, 1} {
		c := dialAs(t, uid, f.path)
		c.Write(openFrame(t, "alice"))
		if heard := hear(t, c); len(heard) != 2 {
			t.Errorf("uid %d heard %v", uid, heard)
		}
	}
	inside[0].Close()
	eventually(t, func() bool {
		c := dialAs(t, stranger, f.path)
		defer c.Close()
		c.Write(openFrame(t, "alice"))
		return len(hear(t, c)) == 2
	})
	if !strings.Contains(f.log.String(), "uid 65534 is turned away") {
		t.Errorf("log %q", f.log)
	}
}

// roomForOne lets one user have as many connections as all together: then it need not be root.
func roomForOne(s *Logins) { s.gate.each = s.gate.others }

func TestStopDuringDialogues(t *testing.T) {
	f := serveLogins(t, roomForOne)
	var waiting, judged, silent []net.Conn
	for range 20 {
		w, j, s := dialAs(t, os.Geteuid(), f.path), dialAs(t, os.Geteuid(), f.path), dialAs(t, os.Geteuid(), f.path)
		for _, c := range []net.Conn{w, j} {
			c.Write(openFrame(t, "alice"))
			hear(t, c)
		}
		j.Write(answerFrame("slow"))
		waiting, judged, silent = append(waiting, w), append(judged, j), append(silent, s)
	}
	time.Sleep(50 * time.Millisecond)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := f.Stop(ctx); err != nil {
		t.Error(err)
	}
	if took := time.Since(begun); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	for name, want := range map[string]struct {
		conns   []net.Conn
		outcome wire.Outcome
	}{
		"waiting for a person": {waiting, 0},
		"being judged":         {judged, wire.Refused},
		"not begun":            {silent, 0},
	} {
		for _, c := range want.conns {
			if heard := hear(t, c); verdict(heard) != want.outcome || want.outcome == 0 && heard != nil {
				t.Errorf("%s: heard %v", name, heard)
			}
		}
	}
	if n := f.abandoned.Load(); n != 0 || f.log.String() != "" {
		t.Errorf("%d abandoned, log %q", n, f.log)
	}
}

func TestManyLoginsAtOnce(t *testing.T) {
	f := serveLogins(t, roomForOne)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				c, err := net.Dial("unix", f.path)
				if err != nil {
					t.Error(err)
					return
				}
				c.Write(openFrame(t, "alice"))
				hear(t, c)
				c.Write(answerFrame("let me in"))
				if verdict(hear(t, c)) != wire.Accepted {
					t.Error("not accepted")
				}
				c.Close()
			}
		})
	}
	all.Wait()
	eventually(t, func() bool {
		f.gate.mu.Lock()
		defer f.gate.mu.Unlock()
		return f.gate.inside == 0 && f.gate.roots == 0 && len(f.gate.uids) == 0
	})
}

func BenchmarkLogin(b *testing.B) {
	var abandoned atomic.Int32
	s := NewLogins(func(c login.Caller, _ wire.Open) Dialogue { return counting{c, &abandoned} }, NewNames(), nil)
	path := b.TempDir() + "/login.sock"
	l, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	go s.Serve(l)
	defer s.Stop(context.Background())
	open, answer := openFrame(b, "alice"), answerFrame("let me in")
	buf := make([]byte, 4096)
	b.ReportAllocs()
	for b.Loop() {
		c, err := net.Dial("unix", path)
		if err != nil {
			b.Fatal(err)
		}
		c.Write(open)
		c.Read(buf)
		c.Write(answer)
		c.Read(buf)
		c.Close()
	}
}
