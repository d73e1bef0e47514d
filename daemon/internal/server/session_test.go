package server

import (
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// inSession starts a process that leads a session, with a child in it, and returns the child's pid.
func inSession(t *testing.T) (leader *exec.Cmd, child int32) {
	t.Helper()
	leader = exec.Command("sh", "-c", "sleep 60 & echo $!; wait")
	leader.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	out, err := leader.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := leader.Start(); err != nil {
		t.Fatal(err)
	}
	var text [16]byte
	n, err := out.Read(text[:])
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range text[:n-1] {
		child = child*10 + int32(b-'0')
	}
	t.Cleanup(func() {
		unix.Kill(int(child), unix.SIGKILL)
		leader.Process.Kill()
		leader.Wait()
	})
	return leader, child
}

func TestSessionsAreToldApart(t *testing.T) {
	var s sessions
	leader, child := inSession(t)
	other, _ := inSession(t)
	one := s.of(child)
	if one == "" || s.of(int32(leader.Process.Pid)) != one || s.of(child) != one {
		t.Errorf("one session: %q, %q, %q", one, s.of(int32(leader.Process.Pid)), s.of(child))
	}
	if two := s.of(int32(other.Process.Pid)); two == "" || two == one {
		t.Errorf("another: %q", two)
	}
	if len(s.all) != 2 {
		t.Errorf("%d are known", len(s.all))
	}
	for _, none := range []int32{1 << 30, 0, -1} { // 0: of another namespace, and to getsid(2) the caller itself
		if name := s.of(none); name != "" {
			t.Errorf("of process %d: %q", none, name)
		}
	}
	// The leader ends, and leaves the number to a process that lives on.
	leader.Process.Kill()
	leader.Wait()
	for deadline := time.Now().Add(5 * time.Second); s.of(child) != ""; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("a session outlives its leader")
		}
	}
	if len(s.all) != 1 {
		t.Errorf("%d are known", len(s.all))
	}
}

// What is forgotten for want of room gets another name, and its file is closed.
func TestSessionsAreBounded(t *testing.T) {
	var s sessions
	leader, child := inSession(t)
	one := s.of(child)
	for range sessionsMax {
		fd, err := unix.PidfdOpen(leader.Process.Pid, 0)
		if err != nil {
			t.Fatal(err)
		}
		s.all = append(s.all, terminalSession{id: -1, leader: fd})
	}
	s.all = s.all[1:]
	if two := s.of(child); two == one || two == "" || len(s.all) != sessionsMax {
		t.Errorf("%q, then %q, %d are known", one, two, len(s.all))
	}
	for _, known := range s.all {
		unix.Close(known.leader)
	}
}
