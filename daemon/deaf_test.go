package main

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/wire"
)

// TestNobodyReadsTheLog has a daemon whose standard error is full from the start. It begins, judges and ends as fast
// as ever: no verdict waits, and no code is used up for a login that has hung. What was lost is told later.
func TestNobodyReadsTheLog(t *testing.T) {
	w := newWorld(t)
	r, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	size, err := unix.FcntlInt(full.Fd(), unix.F_SETPIPE_SZ, 4096)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := full.Write(make([]byte, size)); err != nil {
		t.Fatal(err)
	}
	d := w.launch(t, func(cmd *exec.Cmd) { cmd.Stderr = full })
	user := me(t)
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		if _, err := w.client().Version(t.Context()); err == nil {
			break
		} else if time.Since(began) > 10*time.Second {
			t.Fatalf("the daemon doesn't begin: %v", err)
		}
	}
	w.give(t, user)
	quick := func(what, answer string, want wire.Outcome) {
		t.Helper()
		began := time.Now()
		if got := w.login(t, user, answer); got != want {
			t.Errorf("%s: %v", what, got)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("%s took %v", what, took)
		}
	}
	began := time.Now()
	for range 8000 { // more than the daemon holds
		if got := w.login(t, fmt.Sprint("nobody-", user), ""); got != wire.Refused {
			t.Fatalf("a name that is nobody's: %v", got)
		}
		if time.Since(began) > time.Minute {
			t.Fatal("refusals wait for the log")
		}
	}
	quick("a wrong code", "000000", 0)
	quick("a right code", code(t, 0), wire.Accepted)
	quick("the same again", code(t, 0), 0)

	read := make(chan string)
	go func() {
		text, _ := io.ReadAll(r)
		read <- string(text)
	}()
	time.Sleep(200 * time.Millisecond)
	if err := d.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("ended with %v", err)
	}
	full.Close()
	text := <-read
	for _, line := range []string{"ready: ", "reason=wrong_code", "result=accepted reason=code", "reason=used_code", "terminated: stopping"} {
		if !strings.Contains(text, line) {
			t.Errorf("no line with %q", line)
		}
	}
	if n := strings.Count(text, "unknown_user"); n < 900 || n > 1200 {
		t.Errorf("%d lines of refusals that cost nothing", n)
	}
}

// A daemon that ends while nobody reads doesn't wait for that either.
func TestNobodyReadsTheEnd(t *testing.T) {
	w := newWorld(t)
	r, full, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer full.Close()
	if _, err := unix.FcntlInt(full.Fd(), unix.F_SETPIPE_SZ, 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := full.Write(make([]byte, 4096)); err != nil {
		t.Fatal(err)
	}
	for name, more := range map[string]string{"broken settings": "[code]\ndigits = 99\n", "a stop": ""} {
		w.configure(t, more)
		d := w.launch(t, func(cmd *exec.Cmd) { cmd.Stderr = full })
		if more == "" {
			time.Sleep(500 * time.Millisecond)
			d.Process.Signal(syscall.SIGTERM)
		}
		select {
		case <-d.ended:
		case <-time.After(5 * time.Second):
			t.Errorf("%s: the daemon doesn't end", name)
		}
	}
}
