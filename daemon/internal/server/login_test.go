package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
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

// counting is a dialogue that asks until the answer is "let me in", and says who called.
type counting struct {
	caller      login.Caller
	abandoned   *atomic.Int32
	undelivered *atomic.Int32
	judge       *judge // of the answer "slow"; may be nil
}

// judge takes as long as the test wants.
type judge struct {
	works atomic.Int32
	ends  chan struct{}
	once  sync.Once
}

// end refuses all that are judged, and those to come.
func (j *judge) end() { j.once.Do(func() { close(j.ends) }) }

func (d counting) Open(context.Context) login.Step {
	frames, _ := wire.AppendTell(nil, wire.Info, fmt.Sprintf("{UID:%d Root:%v User:%s}", d.caller.UID, d.caller.Root, d.caller.User))
	frames, _ = wire.AppendAsk(frames, wire.Hidden, "code: ")
	return login.Step{Frames: frames}
}

func (d counting) Answer(_ context.Context, text []byte) login.Step {
	switch string(text) {
	case "let me in":
		return login.Step{Frames: wire.AppendVerdict(nil, wire.Accepted), Done: true}
	case "slow":
		d.judge.works.Add(1)
		<-d.judge.ends
		return login.Step{Frames: wire.AppendVerdict(nil, wire.Refused), Done: true}
	case "reserve":
		frames, _ := wire.AppendAsk(nil, wire.Optional, "noted? ")
		return login.Step{Frames: frames, Reserved: true}
	case "panic":
		panic("of the dialogue")
	}
	frames, _ := wire.AppendAsk(nil, wire.Hidden, "again: ")
	return login.Step{Frames: frames}
}

func (d counting) Abandon() { d.abandoned.Add(1) }

func (d counting) Undelivered(context.Context) { d.undelivered.Add(1) }

type fixture struct {
	*Logins
	path      string
	log       *lines
	abandoned atomic.Int32
	lost      atomic.Int32 // verdicts that were not delivered
	judge     judge
	served    chan error
}

// judges waits until n answers are being judged.
func (f *fixture) judges(t *testing.T, n int32) {
	t.Helper()
	eventually(t, func() bool { return f.judge.works.Load() == n })
}

// serveLogins serves until the test ends. The server may be changed before.
func serveLogins(t *testing.T, change ...func(*Logins)) *fixture {
	t.Helper()
	f := &fixture{log: &lines{}, judge: judge{ends: make(chan struct{})}, served: make(chan error, 1)}
	begin := func(c login.Caller, _ wire.Open) Dialogue { return counting{c, &f.abandoned, &f.lost, &f.judge} }
	f.Logins = NewLogins(begin, NewNames(), f.log.logger())
	for _, c := range change {
		c(f.Logins)
	}
	l, path := listenAt(t, "login.sock")
	f.path = path
	go func() { f.served <- f.Serve(l) }()
	t.Cleanup(func() {
		f.judge.end()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := f.Stop(ctx); err != nil {
			t.Errorf("stop: %v", err)
		}
		if err := <-f.served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return f
}

func openFrame(t testing.TB, user string) []byte {
	t.Helper()
	frame, err := wire.AppendOpen(nil, &wire.Open{User: user, Service: "sshd", RHost: "192.0.2.1"})
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

func answerFrame(text string) []byte {
	frame, err := wire.AppendAnswer(nil, []byte(text))
	if err != nil {
		panic(err)
	}
	return frame
}

// hear reads frames up to and including an Ask or a Verdict; the end of the stream is nil.
func hear(t testing.TB, c net.Conn) []wire.Frame {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(10 * time.Second))
	var heard []wire.Frame
	var buf []byte
	for {
		f, n, err := wire.Decode(buf)
		if err != nil {
			t.Fatal(err)
		}
		if n > 0 {
			heard = append(heard, wire.Frame{Kind: f.Kind, Style: f.Style, Outcome: f.Outcome, Text: bytes.Clone(f.Text)})
			if buf = buf[n:]; f.Kind == wire.KindAsk || f.Kind == wire.KindVerdict {
				return heard
			}
			continue
		}
		more := make([]byte, 4096)
		n, err = c.Read(more)
		if err != nil {
			if os.IsTimeout(err) {
				t.Fatal("the server is silent")
			}
			return nil
		}
		buf = append(buf, more[:n]...)
	}
}

func verdict(frames []wire.Frame) wire.Outcome {
	if len(frames) == 0 {
		return 0
	}
	return frames[len(frames)-1].Outcome
}

func TestLoginDialogue(t *testing.T) {
	f := serveLogins(t)
	c := dialAs(t, os.Geteuid(), f.path)
	c.Write(openFrame(t, "alice"))
	heard := hear(t, c)
	if len(heard) != 2 || heard[1].Kind != wire.KindAsk {
		t.Fatalf("heard %v", heard)
	}
	for _, b := range answerFrame("no") { // byte by byte
		c.Write([]byte{b})
	}
	if heard := hear(t, c); len(heard) != 1 || string(heard[0].Text) != "again: " {
		t.Fatalf("heard %v", heard)
	}
	c.Write(answerFrame("let me in"))
	if heard := hear(t, c); verdict(heard) != wire.Accepted {
		t.Fatalf("heard %v", heard)
	}
	if n, err := c.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("after the verdict: %d bytes, %v", n, err)
	}
	if f.abandoned.Load() != 0 || f.log.String() != "" {
		t.Errorf("%d abandoned, log %q", f.abandoned.Load(), f.log)
	}
}

// TestCallerIsWhoTheKernelSays needs root, to connect as somebody else.
func TestCallerIsWhoTheKernelSays(t *testing.T) {
	f := serveLogins(t)
	for uid, want := range map[int]string{
		0:        "{UID:0 Root:true User:}",
		stranger: "{UID:65534 Root:false User:nobody}",
	} {
		c := dialAs(t, uid, f.path)
		c.Write(openFrame(t, "root"))
		if heard := hear(t, c); len(heard) == 0 || string(heard[0].Text) != want {
			t.Errorf("uid %d is taken for %q", uid, heard)
		}
	}
}

func TestHostileLogins(t *testing.T) {
	t.Parallel()
	long, err := wire.AppendOpen(nil, &wire.Open{User: strings.Repeat("x", 16000)})
	if err != nil {
		t.Fatal(err)
	}
	open := openFrame(t, "alice")
	ask, _ := wire.AppendAsk(nil, wire.Hidden, "your root password: ")
	for _, tt := range []struct {
		name   string
		send   []byte
		hangUp bool
		log    string // "": served like any other
	}{
		{"longest open", long, false, ""},
		{"garbage", []byte("GET / HTTP/1.1\r\n\r\n"), false, "unknown kind"},
		{"huge", []byte{byte(wire.KindOpen), 0xff, 0xff}, false, "longer than allowed"},
		{"answer first", answerFrame("123456"), false, "not due"},
		{"verdict", wire.AppendVerdict(nil, wire.Accepted), false, "not due"},
		{"ask", ask, false, "not due"},
		{"two opens", append(bytes.Clone(open), open...), false, "not due"},
		{"answer in advance", append(bytes.Clone(open), answerFrame("let me in")...), false, "not due"},
		{"version", append([]byte{byte(wire.KindOpen), 0, 13, 9}, make([]byte, 12)...), false, "unknown version"},
		{"empty open", []byte{byte(wire.KindOpen), 0, 0}, false, "shorter"},
		{"NUL", bytes.Replace(open, []byte("alice"), []byte("ali\x00e"), 1), false, "NUL"},
		{"half a frame", open[:5], true, "middle of a frame"},
		{"silent", nil, false, "in time"},
		{"stuck", open[:5], false, "in time"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := serveLogins(t)
			c := dialAs(t, os.Geteuid(), f.path)
			c.Write(tt.send)
			if tt.hangUp {
				c.(*net.UnixConn).CloseWrite()
			}
			heard := hear(t, c)
			if tt.log == "" {
				if len(heard) != 2 {
					t.Errorf("heard %v", heard)
				}
				return
			}
			if heard != nil {
				t.Errorf("heard %v", heard)
			}
			if !strings.Contains(f.log.String(), tt.log) {
				t.Errorf("log %q", f.log)
			}
		})
	}
}

// A slow client has a bound for all of its Open, not for each byte.
func TestSlowOpen(t *testing.T) {
	t.Parallel()
	f := serveLogins(t)
	c := dialAs(t, os.Geteuid(), f.path)
	begun := time.Now()
	for _, b := range bytes.Repeat(openFrame(t, strings.Repeat("x", 100)), 2) {
		if _, err := c.Write([]byte{b}); err != nil {
			break
		}
		time.Sleep(100 * time.Millisecond)
	}
	if took := time.Since(begun); took > openTime+2*time.Second {
		t.Errorf("held the connection for %v", took)
	}
}

func TestHangUpIsAbandoned(t *testing.T) {
	f := serveLogins(t)
	c := dialAs(t, os.Geteuid(), f.path)
	c.Write(openFrame(t, "alice"))
	hear(t, c)
	c.Close()
	eventually(t, func() bool { return f.abandoned.Load() == 1 })
	if f.log.String() != "" {
		t.Errorf("log %q", f.log)
	}
}

func TestPanicDenies(t *testing.T) {
	f := serveLogins(t)
	c := dialAs(t, os.Geteuid(), f.path)
	c.Write(openFrame(t, "alice"))
	hear(t, c)
	c.Write(answerFrame("panic"))
	if heard := hear(t, c); verdict(heard) != wire.Unavailable {
		t.Errorf("heard %v", heard)
	}
	if !strings.Contains(f.log.String(), "panic: of the dialogue") {
		t.Errorf("log %q", f.log)
	}
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for range 500 {
		if is() {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Error("it never happened")
}
