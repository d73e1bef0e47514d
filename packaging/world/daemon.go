package world

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Daemon is a running totpd.
type Daemon struct {
	process *os.Process
	ended   chan struct{}
}

// StartTotpd starts the daemon as root with these lines of configuration, and returns when it has said
// that it is ready.
func (w *World) StartTotpd(config string) (*Daemon, error) {
	if err := WriteFile(ConfigFile, config, 0o644); err != nil {
		return nil, err
	}
	notify := runDir + "/notify"
	if err := os.Remove(notify); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer func() { _ = ready.Close() }()
	log, err := os.OpenFile(LogDir+"/totpd", os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(Totpd, "-config", ConfigFile)
	cmd.Env = []string{"PATH=/usr/bin:/usr/sbin", "NOTIFY_SOCKET=" + notify}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &Daemon{process: cmd.Process, ended: make(chan struct{})}
	go func() {
		_ = cmd.Wait()
		close(d.ended)
	}()
	return d, d.awaitReady(ready)
}

// awaitReady waits for READY=1 (sd_notify(3)) for 5 seconds.
func (d *Daemon) awaitReady(from *net.UnixConn) error {
	buf := make([]byte, 4096)
	for deadline := time.Now().Add(5 * time.Second); time.Now().Before(deadline); {
		select {
		case <-d.ended:
			return fmt.Errorf("totpd ended at once:\n%s", Logs(20))
		default:
		}
		if err := from.SetReadDeadline(time.Now().Add(50 * time.Millisecond)); err != nil {
			return err
		}
		n, err := from.Read(buf)
		if err == nil && strings.Contains("\n"+string(buf[:n])+"\n", "\nREADY=1\n") {
			return nil
		}
	}
	return fmt.Errorf("totpd did not become ready:\n%s", Logs(20))
}

// Signal sends the daemon a signal.
func (d *Daemon) Signal(s syscall.Signal) error { return d.process.Signal(s) }

// Stop ends the daemon and waits for its end.
func (d *Daemon) Stop(how syscall.Signal) error {
	if err := d.process.Signal(how); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	select {
	case <-d.ended:
		return nil
	case <-time.After(5 * time.Second):
		return fmt.Errorf("totpd still runs 5 s after %v", how)
	}
}
