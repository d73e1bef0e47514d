package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/wire"
)

// TestStory needs root, who gives nobody a second factor and takes it away.
func TestStory(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	r := w.start(t)
	if got := w.login(t, "nobody", ""); got != wire.NotDue {
		t.Errorf("not enrolled: %v", got)
	}
	w.give(t, "nobody")
	if got := w.login(t, "nobody", "000000"); got != 0 && got != wire.Refused {
		t.Errorf("wrong code: %v", got)
	}
	used := code(t, 0)
	if got := w.login(t, "nobody", used); got != wire.Accepted {
		t.Errorf("right code: %v\n%s", got, r.log)
	}
	if got := w.login(t, "nobody", used); got == wire.Accepted {
		t.Error("used code: accepted")
	}
	if got := w.login(t, "no such user", used); got != wire.Refused {
		t.Errorf("unknown user: %v", got)
	}
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("end: %v\n%s", err, r.log)
	}
	r = w.start(t)
	if got := w.login(t, "nobody", used); got == wire.Accepted {
		t.Error("used code after a restart: accepted")
	}
	if err := w.client().Disable(t.Context(), control.DisableRequest{User: "nobody"}); err != nil {
		t.Error(err)
	}
	if got := w.login(t, "nobody", ""); got != wire.NotDue {
		t.Errorf("disabled: %v", got)
	}
	if strings.Contains(r.log.String(), secret) || strings.Contains(r.log.String(), used) {
		t.Errorf("a secret is in the log:\n%s", r.log)
	}
	for name, mode := range map[string]os.FileMode{
		"totpd.key": 0o600, "totpd.db": 0o600, "run": 0o755, "run/login.sock": 0o666, "run/control.sock": 0o666,
	} {
		if info, err := os.Stat(w.path(name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

// TestStrangerSpeaksForRoot needs root, to run a child as uid 65534.
func TestStrangerSpeaksForRoot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	r := w.start(t)
	w.give(t, "root")
	child := w.path("child")
	if out, err := exec.Command("cp", os.Args[0], child).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	cmd := exec.Command(child)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), speakAs+"="+w.path("run/login.sock"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if want := fmt.Sprintf("\"\" %d <nil>\nnot_allowed\n", wire.Refused); err != nil || string(out) != want {
		t.Errorf("%q, %v", out, err)
	}
	r.logLine(t, "caller_uid=65534")
}

// TestStopDuringLogins needs root, who gives nobody a second factor.
func TestStopDuringLogins(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	r := w.start(t)
	w.give(t, "nobody")
	var waiting []*dialogue
	for range 50 {
		d := w.begin(t, "nobody")
		if _, _, err := d.next(); err != nil {
			t.Fatal(err)
		}
		waiting = append(waiting, d)
	}
	begun := time.Now()
	if err := r.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("end: %v\n%s", err, r.log)
	}
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("stopping took %v", took)
	}
	for _, d := range waiting {
		if _, got, err := d.next(); err == nil {
			t.Errorf("%v instead of a hang-up", got)
		}
	}
}

func TestCommandLine(t *testing.T) {
	w := newWorld(t)
	for _, tt := range []struct {
		args           []string
		config         string
		status         int
		stdout, stderr string
	}{
		{args: []string{"-version"}, stdout: "totpd "},
		{args: []string{"-config", w.path("totpd.toml"), "-check"}, stdout: "login.sock"},
		{args: []string{"-config", w.path("totpd.toml"), "-check"}, config: "[login]\ntires = 3\n", status: 1, stderr: "tires"},
		{args: []string{"-config", w.path("totpd.toml")}, config: "[login]\ntries = \"x\"\n", status: 1, stderr: "tries"},
		{args: []string{"-config", w.path("missing.toml")}, status: 1, stderr: "missing.toml"},
		{args: []string{"-config", w.path("missing.toml"), "-check"}, status: 1, stderr: "missing.toml"},
		{args: []string{"-nonsense"}, status: 2, stderr: "usage"},
		{args: []string{"start"}, status: 2, stderr: "usage"},
		{args: []string{"-h"}, stderr: "example"},
	} {
		w.configure(t, tt.config)
		cmd := exec.Command(filepath.Join(bin, "totpd"), tt.args...)
		var stdout, stderr strings.Builder
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		cmd.Run()
		if cmd.ProcessState.ExitCode() != tt.status || !strings.Contains(stdout.String(), tt.stdout) || !strings.Contains(stderr.String(), tt.stderr) ||
			(tt.stdout == "") != (stdout.Len() == 0) {
			t.Errorf("totpd %v: status %d\nstdout: %s\nstderr: %s", tt.args, cmd.ProcessState.ExitCode(), &stdout, &stderr)
		}
	}
}
