package world

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
)

// A second run has its number one and this setting, which holds what the first run wants it to know.
// What it can't do it says on the file with this number, and ends with this status.
const (
	secondEnv     = "TOTPD_SECOND_RUN"
	reasonFile    = 3
	exitForbidden = 97
)

// ErrRefused says that a second run could not be started, or refused; the machine forbids something.
var ErrRefused = errors.New("refused")

// Second returns what the first run said to this one. In a first run it returns false.
func Second() (string, bool) {
	said, ok := os.LookupEnv(secondEnv)
	if !ok || os.Getpid() != 1 {
		return "", false
	}
	syscall.CloseOnExec(reasonFile)
	_ = os.Unsetenv(secondEnv) // can't fail for this name
	return said, true
}

// Refuse ends the second run; Rerun returns the reason as an error.
func Refuse(reason error) {
	fmt.Fprint(os.NewFile(reasonFile, "reason"), reason)
	os.Exit(exitForbidden)
}

// Rerun starts this program a second time with the same arguments, as the first process of new
// namespaces: mounts, processes, host name, IPC, and network unless it keeps the machine's. It waits, and
// returns how the second run ended. When this process ends, in whatever way, the kernel kills the second
// run, and with it every process of the new namespaces.
func Rerun(say string, keepNetwork bool) (int, error) {
	// The child gets SIGKILL when the thread that made it ends, so the thread must stay.
	runtime.LockOSThread()
	flags := uintptr(syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC)
	if !keepNetwork {
		flags |= syscall.CLONE_NEWNET
	}
	reason, told, err := os.Pipe()
	if err != nil {
		return 0, err
	}
	defer func() { _ = reason.Close() }()
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{os.Args[0]}
	for _, a := range os.Args[1:] {
		// The go command's own file in its own /tmp, which may be out of sight inside.
		if !strings.HasPrefix(a, "-test.testlogfile=") {
			cmd.Args = append(cmd.Args, a)
		}
	}
	cmd.Env = append(os.Environ(), secondEnv+"="+say)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.ExtraFiles = []*os.File{told}
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}
	status, err := await(cmd, told)
	if err != nil {
		return 0, fmt.Errorf("%w: new namespaces: %w", ErrRefused, err)
	}
	if status == exitForbidden {
		if text, _ := io.ReadAll(reason); len(text) > 0 {
			return 0, fmt.Errorf("%w: %s", ErrRefused, text)
		}
	}
	return status, nil
}

// await starts the second run and waits for its end. A terminal sends Ctrl-C to both runs: the second
// decides. A signal to the first alone is passed on.
func await(cmd *exec.Cmd, told *os.File) (int, error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	err := cmd.Start()
	_ = told.Close() // the second run has its own
	if err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if s != syscall.SIGINT {
				_ = cmd.Process.Signal(syscall.SIGTERM)
			}
		}
	}()
	err = cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		if code := ended.ExitCode(); code >= 0 {
			return code, nil
		}
		return 1, nil
	}
	return 0, err
}
