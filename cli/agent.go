package main

import (
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// agentTime is how long pkttyagent may take to be ready, or to end.
const agentTime = 2 * time.Second

// agent is polkit's pkttyagent, which asks at the terminal for passwords that polkit wants of this
// process. Where there is another agent, as in a graphical session, that one asks.
type agent struct {
	cmd    *exec.Cmd // nil: there is none
	ended  chan struct{}
	once   sync.Once
	fd     int
	before *unix.Termios
}

// startAgent returns once it is ready, or isn't going to be: then nobody asks, and polkit's answer says
// that a password was needed.
func startAgent(fd int) *agent {
	a := &agent{fd: fd, ended: make(chan struct{})}
	path, err := exec.LookPath("pkttyagent")
	if err != nil {
		return a
	}
	ready, registered, err := os.Pipe()
	if err != nil {
		return a
	}
	defer ready.Close()
	a.before, _ = unix.IoctlGetTermios(fd, unix.TCGETS)
	cmd := exec.Command(path, "--process", strconv.Itoa(os.Getpid()), "--notify-fd", "3", "--fallback")
	cmd.ExtraFiles = []*os.File{registered}
	// It ends with us however we end. The kernel means the thread: this one does nothing else.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
			close(a.ended)
		}
	}()
	err = <-started
	registered.Close()
	if err != nil {
		return a
	}
	a.cmd = cmd
	ready.SetReadDeadline(time.Now().Add(agentTime))
	ready.Read(make([]byte, 1)) // it closes its end when it is ready
	return a
}

// stop ends it. The terminal is as it was before, whatever the agent was doing.
func (a *agent) stop() {
	a.once.Do(func() {
		if a.cmd == nil {
			return
		}
		for _, s := range []os.Signal{syscall.SIGTERM, syscall.SIGKILL} {
			a.cmd.Process.Signal(s)
			select {
			case <-a.ended:
			case <-time.After(agentTime):
				continue
			}
			break
		}
		now, err := unix.IoctlGetTermios(a.fd, unix.TCGETS)
		if err == nil && a.before != nil && *now != *a.before {
			unix.IoctlSetTermios(a.fd, unix.TCSETS, a.before)
		}
	})
}
