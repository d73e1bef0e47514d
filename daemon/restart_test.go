package main

import (
	"fmt"
	"math/rand/v2"
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

	"github.com/totpd/totpd/daemon/wire"
)

// module lays out a PAM service with the real module, and returns a program that logs in through it:
// libpam's host of pam/manners.
func (w *world) module(t *testing.T, socket string) (login func(user, code string, typing time.Duration) string) {
	t.Helper()
	top, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, command := range [][]string{
		{"make", "-s", "-C", top, "build/pam_totpd.so"},
		{"gcc", "-O2", "-o", w.path("host"), filepath.Join(top, "pam/manners/testdata/host.c"), "-lpam", "-lpthread"},
	} {
		if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%v: %v\n%s", command, err, out)
		}
	}
	stack := fmt.Sprintf("auth required %s/build/pam_totpd.so socket=%s\n", top, socket)
	if err := os.WriteFile(w.path("totp"), []byte(stack), 0o644); err != nil {
		t.Fatal(err)
	}
	return func(user, code string, typing time.Duration) string {
		cmd := exec.Command(w.path("host"), "typed", w.dir, fmt.Sprint(typing.Milliseconds()))
		cmd.Stdin = strings.NewReader(user + " " + code)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Sprintf("%v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
}

// accepted is what login returns when the person was asked once and let in, and told nothing.
const accepted = "0, asked 1, told"

// hold opens the two sockets and keeps them, as systemd does.
func (w *world) hold(t *testing.T) func(*exec.Cmd) {
	t.Helper()
	if err := os.Mkdir(w.path("run"), 0o755); err != nil {
		t.Fatal(err)
	}
	var sockets []net.Listener
	for _, name := range []string{"run/login.sock", "run/control.sock"} {
		l, err := net.Listen("unix", w.path(name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		sockets = append(sockets, l)
	}
	return handed(t, sockets...)
}

// TestNoLoginFails needs root, who logs others in. 200 people log in through libpam while the daemon is
// killed and stopped again and again.
func TestNoLoginFails(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	// Of each user: the codes of two devices that are good at once, whatever drift is learnt from their order, and
	// still in the next period.
	const logins, each, around = 200, 10, 2
	keys := []string{secret, "KRSXG5CTMVRXEZLUKRSXG5CTMVRXEZLU"}
	w := newWorld(t)
	w.configure(t, "[code]\nskew = 5\n")
	login := w.module(t, w.path("run/login.sock"))
	held := w.hold(t)
	r := w.start(t, held)
	var users []string
	for uid := 1; len(users) < logins/each && uid < 1000; uid++ {
		if u, err := user.LookupId(fmt.Sprint(uid)); err == nil {
			for _, key := range keys {
				w.giveKey(t, u.Username, key)
			}
			users = append(users, u.Username)
		}
	}
	if len(users) == 0 {
		t.Fatal("a system without users")
	}
	type person struct{ name, code string }
	var people []person
	var codes []string
	for step := -around; step <= around; step++ {
		for _, key := range keys {
			codes = append(codes, codeOf(t, key, step))
		}
	}
	for _, one := range codes {
		for _, u := range users {
			people = append(people, person{u, one})
		}
	}

	var all sync.WaitGroup
	over := make(chan struct{})
	go func() {
		places := make(chan struct{}, 40)
		for _, p := range people {
			places <- struct{}{}
			all.Go(func() {
				defer func() { <-places }()
				if got := login(p.name, p.code, time.Duration(rand.IntN(2500))*time.Millisecond); got != accepted {
					t.Errorf("%s: %s", p.name, got)
				}
			})
		}
		all.Wait()
		close(over)
	}()
	logs := []*buffer{r.log}
	signals := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGKILL}
	for under := true; under; {
		select {
		case <-over:
			under = false
		case <-time.After(time.Duration(200+rand.IntN(400)) * time.Millisecond):
			how := signals[len(logs)%3]
			r.end(t, how)
			if how == syscall.SIGKILL {
				time.Sleep(time.Second) // more than RestartSec= of the unit
			}
			r = w.start(t, held)
			logs = append(logs, r.log)
		}
	}
	var lines strings.Builder
	for _, l := range logs {
		lines.WriteString(l.String())
	}
	// No code lets anybody in twice; a daemon that was killed may not have written its line.
	used, repeated := strings.Count(lines.String(), "reason=code "), strings.Count(lines.String(), "reason=code_repeated ")
	t.Logf("%d logins, %d daemons; %d lines of accepted codes, %d repeated", len(people), len(logs), used, repeated)
	if used+repeated < len(people) || used > len(people) || len(logs) < 5 {
		t.Errorf("%s", lines.String())
	}
	for i, used := range codes {
		if got := w.login(t, users[0], used); got == wire.Accepted {
			t.Errorf("code %d was accepted in another login", i)
		}
	}
}

// TestVerdictLost needs root, who logs nobody in. The daemon is killed when the code is used up and the
// verdict is on its way.
func TestVerdictLost(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	held := w.hold(t)
	r := w.start(t, held)
	w.give(t, "nobody")
	proxy, err := net.Listen("unix", w.path("proxy.sock"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { proxy.Close() })
	lost, back := make(chan wire.Outcome), make(chan struct{})
	go func() {
		for first := true; ; first = false {
			c, err := proxy.Accept()
			if err != nil {
				return
			}
			frames, verdict, err := w.relay(c)
			switch {
			case err != nil:
				t.Error(err)
			case first:
				lost <- verdict
				<-back
			default:
				c.Write(frames)
			}
			c.Close()
		}
	}()
	login := w.module(t, w.path("proxy.sock"))
	right := code(t, 0)
	got := make(chan string)
	go func() { got <- login("nobody", right, 0) }()
	if verdict := <-lost; verdict != wire.Accepted {
		t.Errorf("the verdict that is lost: %v", verdict)
	}
	r.end(t, syscall.SIGKILL)
	r = w.start(t, held)
	close(back)
	if got := <-got; got != accepted {
		t.Errorf("%s\n%s", got, r.log)
	}
	r.logLine(t, "reason=code_repeated")
	if got := login("nobody", right, 0); got == accepted || !strings.Contains(got, "used already") {
		t.Errorf("another login with that code: %s", got)
	}
}

// relay carries a dialogue. It returns the verdict and what came with it instead of sending them.
func (w *world) relay(module net.Conn) (frames []byte, verdict wire.Outcome, err error) {
	daemon, err := net.Dial("unix", w.path("run/login.sock"))
	if err != nil {
		return nil, 0, err
	}
	defer daemon.Close()
	for buf := make([]byte, wire.MaxFrame); ; {
		n, err := module.Read(buf)
		if err != nil {
			return nil, 0, err
		}
		daemon.Write(buf[:n])
		if n, err = daemon.Read(buf); err != nil {
			return nil, 0, err
		}
		for rest := buf[:n]; len(rest) > 0; {
			f, size, err := wire.Decode(rest)
			if err != nil || size == 0 {
				return nil, 0, fmt.Errorf("%d bytes of a frame: %v", len(rest), err)
			}
			if f.Kind == wire.KindVerdict {
				return buf[:n], f.Outcome, nil
			}
			rest = rest[size:]
		}
		module.Write(buf[:n])
	}
}
