package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// offlineProgram is what answers root while no daemon does, with the argument -offline: the daemon's own
// program. The linker sets it for another PREFIX.
var offlineProgram = "/usr/libexec/totpd/totpd"

// offlineVerbs are the commands that go without a daemon.
func offlineVerbs() []string {
	var names []string
	for _, v := range control.OfflineVerbs() {
		names = append(names, string(v))
	}
	return names
}

// checkOffline refuses --offline to others than root, and where it does nothing.
func (c *command) checkOffline(cmd *cobra.Command, args []string) error {
	verbs := offlineVerbs()
	switch {
	case !c.offline || cmd.Name() == "help":
		return nil
	case !cmd.HasParent():
		return &misuse{"--offline needs a command", "totpctl --offline " + verbs[0] + " USER"}
	case !control.Verb(pathOf(cmd)).Offline():
		last := len(verbs) - 1
		return &misuse{fmt.Sprintf("--offline goes with %s and %s, not with %s", strings.Join(verbs[:last], ", "), verbs[last], pathOf(cmd)),
			"with the daemon: totpctl " + pathOf(cmd)}
	case c.socket != "":
		return &misuse{"--offline asks no daemon, and --socket names one", "leave one of them out"}
	case os.Geteuid() != 0:
		return &failure{
			verb: cmd.Name(), user: userOf(args), err: errors.New("--offline is for root"),
			hint: "as root: " + c.self() + " " + cmd.Name() + argument(userOf(args)),
		}
	}
	c.helpers.err, c.err = c.err, &c.helpers
	return nil
}

// self is how the command was called, for hints.
func (c *command) self() string {
	if c.offline {
		return "totpctl --offline"
	}
	return "totpctl"
}

// helpers are the processes that answer in the daemon's place, one for each connection. What they say is
// talk, and so is what is written to them: it comes after what they have said.
type helpers struct {
	err io.Writer

	mu      sync.Mutex
	started []*helper
	said    map[string]bool
}

// helper is one of them, at the other end of a connection.
type helper struct {
	net.Conn
	all   *helpers
	cmd   *exec.Cmd
	rest  []byte        // of what it said: the line that isn't whole yet
	ended chan struct{} // closed when it has ended, and all that it said is shown
}

// dial starts a helper. Errors are *control.Error.
func (h *helpers) dial(context.Context) (net.Conn, error) {
	one, err := h.start()
	if err != nil {
		var path *os.PathError
		if errors.As(err, &path) {
			err = path.Err
		}
		return nil, &control.Error{Code: control.ErrNotStarted, Message: fmt.Sprintf("start %s: %v", offlineProgram, err)}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.started = append(h.started, one)
	return one, nil
}

func (h *helpers) start() (*helper, error) {
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	one := &helper{all: h, cmd: exec.Command(offlineProgram, "-offline"), ended: make(chan struct{})}
	if one.Conn, err = net.FileConn(ours); err != nil {
		return nil, err
	}
	one.cmd.Stdin, one.cmd.Stderr = theirs, sayer{one}
	// Ctrl-C is the command's: what is under way is seen to its end.
	one.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := one.cmd.Start(); err != nil {
		one.Conn.Close()
		return nil, err
	}
	go func() {
		one.cmd.Wait()
		one.show(append(one.rest, '\n'))
		close(one.ended)
	}()
	return one, nil
}

// Write writes talk.
func (h *helpers) Write(p []byte) (int, error) {
	h.wait()
	return h.err.Write(p)
}

// wait hangs up, and returns when all have ended.
func (h *helpers) wait() {
	h.mu.Lock()
	started := h.started
	h.started = nil
	h.mu.Unlock()
	for _, one := range started {
		one.Conn.Close()
		late := time.AfterFunc(control.Timeout, func() { one.cmd.Process.Kill() })
		<-one.ended
		late.Stop()
	}
}

// sayer takes the standard error of a helper.
type sayer struct{ of *helper }

func (s sayer) Write(p []byte) (int, error) {
	text := append(s.of.rest, p...)
	end := bytes.LastIndexByte(text, '\n') + 1
	s.of.rest = bytes.Clone(text[end:])
	s.of.show(text[:end])
	return len(p), nil
}

// show shows each line once: a command may need several helpers.
func (o *helper) show(lines []byte) {
	o.all.mu.Lock()
	defer o.all.mu.Unlock()
	for line := range strings.Lines(string(lines)) {
		if line = printable(strings.TrimRight(line, "\n")); line != "" && !o.all.said[line] {
			if o.all.said == nil {
				o.all.said = map[string]bool{}
			}
			o.all.said[line] = true
			fmt.Fprintln(o.all.err, line)
		}
	}
}

// Read implements net.Conn. Of a helper that ended too early it says how.
func (o *helper) Read(p []byte) (int, error) {
	n, err := o.Conn.Read(p)
	return n, o.explain(err)
}

// Write implements net.Conn, as Read does.
func (o *helper) Write(p []byte) (int, error) {
	n, err := o.Conn.Write(p)
	return n, o.explain(err)
}

func (o *helper) explain(err error) error {
	if err == nil || errors.Is(err, net.ErrClosed) {
		return err
	}
	select {
	case <-o.ended:
		return &control.Error{
			Code:    control.ErrNotStarted,
			Message: fmt.Sprintf("%s ended without an answer (%v)", offlineProgram, o.cmd.ProcessState),
		}
	case <-time.After(control.Timeout / 2): // it closed the connection, and goes on
		return err
	}
}
