package world

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// insideEnv is set in the program's second run, to the folder that the world is built on.
const insideEnv = "TOTPD_WORLD"

// exitForbidden is how the second run tells the first that the machine refused; the reason is in a file.
const exitForbidden = 97

// Enter puts the calling program into a new world. It starts the program a second time, with the same
// arguments, in new namespaces; there Enter returns the world. In the first run it does not return: it
// waits and exits as the second did. Only where there can be no world does it return in the first run,
// with ErrForbidden or ErrNotBuilt.
//
// Call it first thing in main or TestMain. Both runs print to the same standard output.
func Enter(o Options) (*World, error) {
	if dir := os.Getenv(insideEnv); dir != "" && os.Getpid() == 1 {
		return arrive(o, dir)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: it takes root", ErrForbidden)
	}
	for _, need := range []string{"build/stage", "build/debs"} {
		if _, err := os.Stat(filepath.Join(o.Top, need)); err != nil {
			return nil, fmt.Errorf("%w: %s is missing; run 'make world'", ErrNotBuilt, need)
		}
	}
	dir, err := os.MkdirTemp(filepath.Join(o.Top, "build"), "world.")
	if err != nil {
		return nil, err
	}
	code, err := rerun(o, dir)
	reason, _ := os.ReadFile(filepath.Join(dir, "reason"))
	if rmErr := os.RemoveAll(dir); rmErr != nil {
		fmt.Fprintln(os.Stderr, "world:", rmErr)
	}
	forbidden := code == exitForbidden && len(reason) > 0
	if err == nil && !forbidden && o.Afterwards != nil {
		code = o.Afterwards(code)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: new namespaces: %w", ErrForbidden, err)
	case forbidden:
		return nil, fmt.Errorf("%w: %s", ErrForbidden, reason)
	}
	os.Exit(code)
	return nil, nil
}

// rerun starts this program in new namespaces, and returns how it ended.
func rerun(o Options, dir string) (int, error) {
	// The child gets SIGKILL when the thread that made it ends, so the thread must stay.
	runtime.LockOSThread()
	flags := uintptr(syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWUTS | syscall.CLONE_NEWIPC)
	if !o.Network {
		flags |= syscall.CLONE_NEWNET
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Args = []string{os.Args[0]}
	for _, a := range os.Args[1:] {
		// The go command's own file in its own /tmp, which is out of sight inside.
		if !strings.HasPrefix(a, "-test.testlogfile=") {
			cmd.Args = append(cmd.Args, a)
		}
	}
	cmd.Env = append(os.Environ(), insideEnv+"="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: flags, Pdeathsig: syscall.SIGKILL}

	// A terminal sends Ctrl-C to both runs: the second decides. A signal to the first alone is passed on.
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	go func() {
		for s := range signals {
			if s != syscall.SIGINT {
				_ = cmd.Process.Signal(syscall.SIGTERM)
			}
		}
	}()
	err := cmd.Wait()
	var ended *exec.ExitError
	if errors.As(err, &ended) {
		if code := ended.ExitCode(); code >= 0 {
			return code, nil
		}
		return 1, nil
	}
	return 0, err
}

// arrive builds the world around the second run. What the machine refuses ends the program here, so
// that the first run can say why.
func arrive(o Options, dir string) (*World, error) {
	if err := os.Unsetenv(insideEnv); err != nil {
		return nil, err
	}
	w := &World{Options: o, Terminals: NewTerminals(runDir)}
	// The machine's /proc is still there, and numbers processes as the machine does.
	if self, err := os.Readlink("/proc/self"); err == nil {
		w.OuterPID, _ = strconv.Atoi(self)
	}
	// Opened now: the folder may be out of sight soon.
	reason, err := os.OpenFile(filepath.Join(dir, "reason"), os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	defer func() { _ = reason.Close() }()
	if err := build(o, dir); err != nil {
		if _, err := reason.WriteString(err.Error()); err != nil {
			fmt.Fprintln(os.Stderr, "world:", err)
		}
		os.Exit(exitForbidden)
	}
	if err := settle(o.Name); err != nil {
		return nil, err
	}
	w.Syslog, err = openSyslog("/dev/log", LogDir+"/syslog")
	return w, err
}
