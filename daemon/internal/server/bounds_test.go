package server

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/user"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/wire"
)

// asks opens a dialogue and returns the connection at which the person is asked.
func (f *fixture) asks(t *testing.T, uid int, open wire.Open) net.Conn {
	t.Helper()
	c := dialAs(t, uid, f.path)
	frame, err := wire.AppendOpen(nil, &open)
	if err != nil {
		t.Fatal(err)
	}
	c.Write(frame)
	if heard := hear(t, c); len(heard) != 2 {
		t.Fatalf("%+v heard %v", open, heard)
	}
	return c
}

// lives says whether the daemon still waits for this one's answer.
func lives(t *testing.T, c net.Conn) bool {
	t.Helper()
	c.Write(answerFrame("no"))
	return hear(t, c) != nil
}

// TestUserMakesRoomForOneself needs root, to connect as somebody else.
func TestUserMakesRoomForOneself(t *testing.T) {
	f := serveLogins(t)
	other := f.asks(t, 1, wire.Open{User: "daemon"})
	root := f.asks(t, 0, wire.Open{User: "alice"})
	var inside []net.Conn
	for range 3 * loginBounds.each[users] {
		inside = append(inside, f.asks(t, stranger, wire.Open{User: "nobody"}))
	}
	for i, c := range inside {
		if got, want := lives(t, c), i >= 2*loginBounds.each[users]; got != want {
			t.Errorf("number %d of %d: lives %v", i, len(inside), got)
		}
	}
	if !lives(t, other) || !lives(t, root) {
		t.Error("somebody else was hung up on")
	}
	if n := f.abandoned.Load(); n != 0 || !strings.Contains(f.log.String(), `1 logins that waited (the person's answer begins them again) were hung up on, the last of "uid 65534"`) {
		t.Errorf("%d abandoned, log %q", n, f.log)
	}
	if strings.Count(f.log.String(), "\n") != 1 {
		t.Errorf("more than one line: %s", f.log)
	}
}

// TestNobodyIsKeptOut fills the daemon with dialogues of one person behind su, over as many users as there are.
func TestNobodyIsKeptOut(t *testing.T) {
	f := serveLogins(t, func(s *Logins) { s.places.bounds = bounds{all: 40, others: 10, each: [kinds]int{20, 30, 5, 5}} })
	alice := f.asks(t, 0, wire.Open{User: "alice", RHost: "192.0.2.7", Service: "sshd"})
	var mallorys []net.Conn
	for i := range 100 {
		mallorys = append(mallorys, f.asks(t, 0, wire.Open{User: fmt.Sprint("user", i), RUser: "mallory", Service: "su"}))
	}
	for i := range 20 { // and over the network
		f.asks(t, 0, wire.Open{User: "alice", RHost: fmt.Sprintf("2001:db8::%x", i), Service: "sshd"})
	}
	bob := f.asks(t, 0, wire.Open{User: "bob", RHost: "192.0.2.8", Service: "sshd"})
	for name, c := range map[string]net.Conn{"alice": alice, "bob": bob, "mallory's last one": mallorys[99]} {
		if !lives(t, c) {
			t.Errorf("%s was hung up on", name)
		}
	}
	if lives(t, mallorys[0]) {
		t.Error("mallory's first one lives")
	}
}

// TestAsManyPersonsAsPlaces: the oldest has to go, and begins again.
func TestAsManyPersonsAsPlaces(t *testing.T) {
	f := serveLogins(t, func(s *Logins) { s.places.bounds = bounds{all: 20, others: 10, each: [kinds]int{20, 30, 5, 5}} })
	var all []net.Conn
	for i := range 25 {
		all = append(all, f.asks(t, 0, wire.Open{User: "alice", RHost: fmt.Sprintf("192.0.2.%d", i), Service: "sshd"}))
	}
	for i, c := range all {
		if got, want := lives(t, c), i >= 5; got != want {
			t.Errorf("number %d: lives %v", i, got)
		}
	}
}

// TestJudgedIsNotHungUpOn: nor who would have to do something again, while others wait.
func TestJudgedIsNotHungUpOn(t *testing.T) {
	f := serveLogins(t, func(s *Logins) { s.places.bounds = bounds{all: 3, others: 1, each: [kinds]int{3, 3, 1, 1}} })
	open := wire.Open{User: "alice", RUser: "mallory"}
	judged, noting, waits := f.asks(t, 0, open), f.asks(t, 0, open), f.asks(t, 0, open)
	noting.Write(answerFrame("reserve"))
	hear(t, noting)
	judged.Write(answerFrame("slow"))
	f.judges(t, 1)
	next := f.asks(t, 0, open)
	if heard := hear(t, waits); heard != nil {
		t.Errorf("the one that only waited heard %v", heard)
	}
	last := f.asks(t, 0, open)
	if heard := hear(t, next); heard != nil {
		t.Errorf("the one that only waited heard %v", heard)
	}
	f.judge.end()
	if heard := hear(t, judged); verdict(heard) != wire.Refused {
		t.Errorf("the judged one heard %v", heard)
	}
	if !lives(t, noting) || !lives(t, last) {
		t.Error("hung up on one that had to begin anew")
	}
}

// TestSilent: who connects and says nothing keeps nobody out either, root's callers neither.
func TestSilent(t *testing.T) {
	f := serveLogins(t, func(s *Logins) { s.places.bounds = bounds{all: 20, others: 10, each: [kinds]int{10, 30, 5, 5}} })
	alice := f.asks(t, 0, wire.Open{User: "alice", RHost: "192.0.2.7"})
	for i := range 100 {
		dialAs(t, 0, f.path)
		dialAs(t, 1+i%10, f.path)
	}
	for i := range 5 {
		if !lives(t, f.asks(t, 0, wire.Open{User: "alice", RHost: fmt.Sprintf("192.0.2.%d", 10+i)})) {
			t.Error("a new one is hung up on")
		}
	}
	if !lives(t, alice) {
		t.Error("alice was hung up on")
	}
}

// TestAllAreJudged: then, and only then, somebody is turned away, and told.
func TestAllAreJudged(t *testing.T) {
	f := serveLogins(t, func(s *Logins) { s.places.bounds = bounds{all: 2, others: 1, each: [kinds]int{2, 2, 1, 1}} })
	for range 2 {
		f.asks(t, 0, wire.Open{User: "alice"}).Write(answerFrame("slow"))
	}
	f.judges(t, 2)
	f.isTurnedAway(t, 0, wire.Unavailable, "codes can't be checked right now", "too many connections")
}

// isTurnedAway says what is told to one who can't be served, and that the journal has it with the same reference.
func (f *fixture) isTurnedAway(t *testing.T, uid int, want wire.Outcome, told, cause string) {
	t.Helper()
	heard := hear(t, dialAs(t, uid, f.path))
	if verdict(heard) != want || len(heard) != 2 || !strings.Contains(string(heard[0].Text), told) {
		t.Fatalf("heard %v", heard)
	}
	_, reference, _ := strings.Cut(string(heard[0].Text), "(reference ")
	if line := f.log.String(); len(reference) < 9 || !strings.Contains(line, cause) || !strings.Contains(line, reference) {
		t.Errorf("told %q, log %q", heard[0].Text, line)
	}
}

// TestNameless needs root, to be many uids. They share a few places, only until their names have been looked up,
// and no dialogue begins.
func TestNameless(t *testing.T) {
	hang := make(chan struct{})
	n := NewNames()
	lookUp := n.byUID
	n.byUID = func(uid string) (*user.User, error) {
		switch {
		case len(uid) > 5 || uid == fmt.Sprint(stranger):
			<-hang // a slow directory
		case uid == "1":
			time.Sleep(500 * time.Millisecond)
		}
		return lookUp(uid)
	}
	f := serveLogins(t, func(s *Logins) { s.names = n })
	f.isTurnedAway(t, 99_999, wire.Refused, "not accepted", "uid 99999 is turned away: its uid has no name")
	for i := range 200 {
		dialAs(t, 1_000_000+i, f.path)
	}
	eventually(t, func() bool {
		f.places.mu.Lock()
		defer f.places.mu.Unlock()
		return f.places.inside == loginBounds.each[namelesses]
	})
	// Also during that, one with a name is not kept waiting: neither by those, nor by a neighbour.
	begun := time.Now()
	c := dialAs(t, 1, f.path)
	c.Write(openFrame(t, "daemon"))
	for range 200 {
		dialAs(t, stranger, f.path)
	}
	if len(hear(t, c)) != 2 || time.Since(begun) > 2*time.Second {
		t.Errorf("a user with a name waited %v", time.Since(begun))
	}
	close(hang)
	eventually(t, func() bool {
		f.places.mu.Lock()
		defer f.places.mu.Unlock()
		return len(f.places.held[arrival(Peer{UID: 1}).person]) == 0
	})
	if f.abandoned.Load() != 0 {
		t.Error("a dialogue had begun")
	}
}

// TestIdleClients needs root, to be many users. Connections at which nothing is asked keep nobody else from asking;
// nor do uids without a name, which are told so.
func TestIdleClients(t *testing.T) {
	a := serveControl(t)
	for i := range 20 * controlBounds.each[users] {
		dialAs(t, 1+i%10, a.path)
		dialAs(t, 100000+i, a.path)
	}
	for _, uid := range []int{stranger, 0} {
		if status, e := a.post(t, uid, control.VerbVersion, control.Nothing{}, nil); status != http.StatusOK {
			t.Errorf("uid %d: %v", uid, e)
		}
	}
	if status, e := a.post(t, 99999, control.VerbVersion, control.Nothing{}, nil); status != http.StatusForbidden || e == nil || len(e.Reference) < 9 {
		t.Errorf("without a name: %d %v", status, e)
	}
}

func TestBehind(t *testing.T) {
	session := func() string { return "session 1" }
	for _, c := range []struct {
		open         wire.Open
		person, part string
	}{
		{wire.Open{User: "alice", RHost: "192.0.2.7"}, "192.0.2.7", "@alice"},
		{wire.Open{User: "alice", RHost: "2001:db8:1:2:3::4", RUser: "x"}, "2001:db8:1:2::/64", "x@alice"},
		{wire.Open{User: "alice", RUser: "mallory", TTY: "pts/3"}, "local mallory", "alice"},
		{wire.Open{User: "mallory", RUser: "mallory"}, "local mallory", "mallory"},
		{wire.Open{User: "alice", RHost: ":0"}, "local", "session 1"},
		{wire.Open{User: "alice", TTY: "tty1"}, "local", "session 1"},
	} {
		if h := behind(&c.open, session); h.kind != persons || h.person != c.person || h.part != c.part {
			t.Errorf("%+v: %+v", c.open, h)
		}
	}
	long := strings.Repeat("x", 5000)
	if h := behind(&wire.Open{User: long, RUser: long, RHost: long}, session); len(h.person) > personMax || len(h.part) > personMax {
		t.Errorf("%d and %d bytes", len(h.person), len(h.part))
	}
	if h := behind(&wire.Open{User: "alice"}, func() string { return "" }); h.part != "alice" {
		t.Errorf("%+v", h)
	}
}

// roomForOne lets one user have as many connections as all together: then it need not be root.
func roomForOne(s *Logins) {
	s.places.each = [kinds]int{s.places.all, s.places.all, s.places.bounds.others, s.places.bounds.others}
}

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
	f.judges(t, 20)
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	time.AfterFunc(200*time.Millisecond, f.judge.end)
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
		f.places.mu.Lock()
		defer f.places.mu.Unlock()
		return f.places.inside == 0 && f.places.others == 0 && len(f.places.held) == 0
	})
}

func BenchmarkLogin(b *testing.B) {
	var abandoned atomic.Int32
	s := NewLogins(func(c login.Caller, _ wire.Open) Dialogue { return counting{c, &abandoned, new(atomic.Int32), nil} }, NewNames(), nil)
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

// BenchmarkCrowded is a login where each person holds one place, and all are taken.
func BenchmarkCrowded(b *testing.B) {
	s := newPlaces(loginBounds, func(holder) {})
	for i := range 2 * s.all {
		s.enter(holder{kind: persons, person: fmt.Sprint(i)}, func() {})
	}
	for i := 0; b.Loop(); i++ {
		if s.enter(holder{kind: persons, person: fmt.Sprint("new ", i)}, func() {}) == nil {
			b.Fatal("kept out")
		}
	}
}
