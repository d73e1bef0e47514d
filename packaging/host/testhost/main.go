// Command testhost boots the test hosts of package host for a person: to try a package by hand, or to
// find out why a story failed.
package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/totpd/totpd/packaging/host"
)

const usage = `testhost - throwaway Debian 12 hosts with systemd, to try the package by hand. As root.

  testhost up NAME [DEB..]     boot a host and install packages; it stays until 'down'
  testhost list                the hosts that are up
  testhost exec NAME CMD..     run a command as root in a unit of the host
  testhost shell NAME          a root shell there
  testhost tty NAME            agetty and login(1) on a new terminal of the host
  testhost console NAME        its console; leave with Ctrl-B D
  testhost client NAME CMD..   run a program of this machine where the host's network cable ends
  testhost ssh NAME USER ..    an ssh client there
  testhost root NAME           the host's root directory, as this machine sees it
  testhost reboot NAME         and wait until it is up again
  testhost poweroff NAME       shut down in order, then 'down'
  testhost down NAME           kill the host; nothing of it stays
  testhost base                make the base tree unless it is there, and print where it is
  testhost clean               remove all base trees; while a host is up, it needs its own

The base tree takes a minute once and stays in ` + host.Cache + `; 'make clean' leaves it there.

Example:
  make packages testhost
  build/testhost up web1 build/packages/totpd_*_amd64.deb
  build/testhost shell web1
  build/testhost down web1
`

// verbs that run in the lab of a host, with the arguments that follow its name.
var verbs = map[string]func(h *host.Host, arg []string) error{
	"exec":     func(h *host.Host, arg []string) error { return become(h.Unit(arg...)) },
	"shell":    func(h *host.Host, _ []string) error { return become(h.Terminal("/bin/bash", "-l")) },
	"tty":      func(h *host.Host, _ []string) error { return become(h.Getty("hand")) },
	"console":  func(h *host.Host, _ []string) error { return become(h.Attach("console")) },
	"client":   func(_ *host.Host, arg []string) error { return become(arg) },
	"reboot":   func(h *host.Host, _ []string) error { return h.Reboot() },
	"poweroff": func(h *host.Host, _ []string) error { return h.PowerOff() },
	"ssh": func(h *host.Host, arg []string) error {
		if len(arg) == 0 {
			return errUsage
		}
		return become(append(h.SSH(arg[0]), arg[1:]...))
	},
}

var errUsage = errors.New("usage")

func main() {
	err := run(os.Args[1:])
	var ended *exec.ExitError
	switch {
	case errors.Is(err, errUsage):
		fmt.Fprint(os.Stderr, usage)
		os.Exit(2)
	case errors.As(err, &ended):
		os.Exit(max(1, ended.ExitCode()))
	case err != nil:
		fmt.Fprintln(os.Stderr, "testhost:", err)
		os.Exit(1)
	}
}

func run(arg []string) error {
	switch {
	case len(arg) == 1 && arg[0] == "list":
		for _, k := range keepers() {
			fmt.Println(k.name)
		}
		return nil
	case len(arg) == 1 && arg[0] == "base":
		base, err := host.Base()
		if err == nil {
			fmt.Println(base)
		}
		return err
	case len(arg) == 1 && arg[0] == "clean":
		return os.RemoveAll(host.Cache)
	case len(arg) < 2:
		return errUsage
	}
	verb, name, rest := arg[0], arg[1], arg[2:]
	switch verb {
	case "up":
		return up(name, rest)
	case "keep":
		return keep(name, rest)
	}
	return there(verb, name, rest)
}

// there does what a verb says about a host that is up.
func there(verb, name string, arg []string) error {
	if os.Getenv(inLabEnv) != "" {
		h, err := host.Find(name)
		if err != nil {
			return err
		}
		return verbs[verb](h, arg)
	}
	k, err := find(name)
	if err != nil {
		return err
	}
	switch verb {
	case "root":
		fmt.Printf("/proc/%d/root%s\n", k.pid, host.Root(name))
		return nil
	case "down":
		return k.end()
	}
	if verbs[verb] == nil {
		return errUsage
	}
	if err := k.enter(append([]string{verb, name}, arg...)); err != nil || verb != "poweroff" {
		return err
	}
	return k.end()
}

// become runs a command in the place of this program.
func become(argv []string) error {
	if len(argv) == 0 {
		return errUsage
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, argv, os.Environ())
}

// up starts a keeper that outlives this program, and waits until its host is up.
func up(name string, debs []string) error {
	if _, err := find(name); err == nil {
		return fmt.Errorf("%s is up already; 'testhost down %s' ends it", name, name)
	}
	if _, err := host.Base(); err != nil { // which says what it does
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	// A file, since whoever reads our standard error waits until everybody has closed it.
	failure, err := os.CreateTemp("", "testhost.")
	if err != nil {
		return err
	}
	defer failure.Close()
	defer os.Remove(failure.Name())
	said, says, err := os.Pipe()
	if err != nil {
		return err
	}
	args := []string{"keep", name}
	for _, d := range debs {
		full, err := filepath.Abs(d)
		if err != nil {
			return err
		}
		args = append(args, full)
	}
	cmd := exec.Command(self, args...)
	cmd.Stdout, cmd.Stderr = says, failure
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = says.Close() // the keeper has its own
	if line, _ := bufio.NewReader(said).ReadString('\n'); strings.TrimSpace(line) != upSaid {
		err := cmd.Wait()
		text, _ := os.ReadFile(failure.Name())
		_, _ = os.Stderr.Write(text)
		return errors.Join(err, fmt.Errorf("%s did not come up", name))
	}
	fmt.Printf("%s is up. 'testhost down %s' ends it.\n", name, name)
	return nil
}
