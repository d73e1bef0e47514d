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

// StartTotpd starts the installed daemon as root with these lines of configuration.
func (w *World) StartTotpd(config string) (*Daemon, error) {
	if err := WriteFile(ConfigFile, config, 0o644); err != nil {
		return nil, err
	}
	return StartDaemon(Totpd, ConfigFile, runDir, LogDir+"/totpd")
}

// StartDaemon starts a totpd with a configuration file, and returns when it has said that it is ready.
// In dir there is room for the socket where it says so. What it prints is appended to logFile.
func StartDaemon(program, configFile, dir, logFile string) (*Daemon, error) {
	notify := dir + "/notify"
	if err := os.Remove(notify); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	ready, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: notify, Net: "unixgram"})
	if err != nil {
		return nil, err
	}
	defer func() { _ = ready.Close() }()
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	// The first time, this makes the store. Where it can't, the daemon says why.
	_ = exec.Command(program, "-config", configFile, "-init").Run()
	cmd := exec.Command(program, "-config", configFile)
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
			return errors.New("totpd ended at once; its log says why")
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
	return errors.New("totpd did not become ready")
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
