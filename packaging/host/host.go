package host

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/totpd/totpd/packaging/world"
)

// Host is a running Debian host.
type Host struct {
	Name       string
	Root       string // its root directory, as the lab sees it
	Addr       string // where its sshd listens
	ClientAddr string // where the lab's clients come from
	Console    *world.Terminal
	*world.Terminals

	dir    string
	cgroup string
}

// runLimit is for commands that take seconds on a busy machine: package installations.
const runLimit = 2 * time.Minute

// Run runs a command as root in a transient unit of the host, and returns what it printed.
func (h *Host) Run(argv ...string) (string, error) { return h.RunInput("", argv...) }

// RunInput does so with a standard input. The error of a failed command has its output.
func (h *Host) RunInput(input string, argv ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	defer cancel()
	unit := h.Unit(argv...)
	cmd := exec.CommandContext(ctx, unit[0], unit[1:]...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %s: %w: %s", h.Name, strings.Join(argv, " "), err, bytes.TrimSpace(out))
	}
	return string(out), err
}

// Unit is the lab's command line that runs a command as root in a transient unit of the host: standard
// input and output and the exit status are the command's.
func (h *Host) Unit(argv ...string) []string {
	return h.unit([]string{"--pipe", "--wait", "--service-type=exec", "--setenv=HOME=/root", "--setenv=LANG=C.UTF-8"}, argv)
}

// Terminal is the command line that runs a command as root on a new terminal of the host.
func (h *Host) Terminal(argv ...string) []string {
	return h.unit([]string{"--pty", "--setenv=HOME=/root", "--setenv=LANG=C.UTF-8", "--working-directory=/root"}, argv)
}

// Getty is the command line of agetty and login(1) on a new terminal of the host: a real pseudo-terminal
// of the host's own.
func (h *Host) Getty(id string) []string {
	return h.unit([]string{"--pty", "--property=UtmpIdentifier=" + id, "--property=UtmpMode=user"},
		[]string{"/sbin/agetty", "--noclear", "--noreset", "--nohostname", "-o", `-p -- \u`, "-", "vt220"})
}

func (h *Host) unit(options, argv []string) []string {
	line := append(h.enter("systemd-run", "--quiet", "--collect").Args, options...)
	line = append(line, "--")
	for _, a := range argv {
		line = append(line, strings.ReplaceAll(a, "$", "$$")) // systemd would put variables in
	}
	return line
}

// SSH is the command line of an ssh client in the lab, for a user of the host. More options may come
// first; the first value of an option counts.
func (h *Host) SSH(user string, options ...string) []string {
	argv := append([]string{"ssh", "-F", "none"}, options...)
	return append(argv, "-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile="+h.knownHosts(),
		"-o", "IdentityAgent=none", "-o", "NumberOfPasswordPrompts=1", user+"@"+h.Addr)
}

func (h *Host) knownHosts() string { return filepath.Join(h.dir, "known_hosts") }

// Copy puts a file of the lab's into a folder of the host.
func (h *Host) Copy(file, dir string) error {
	return run("install", "-D", "--target-directory="+filepath.Join(h.Root, dir), file)
}

// Reboot reboots the host from inside, and waits until it is up again.
func (h *Host) Reboot() error {
	before := h.leader()
	if _, err := h.Run("systemctl", "--no-block", "reboot"); err != nil {
		return err
	}
	if err := h.awaitBoot(before); err != nil {
		return fmt.Errorf("reboot %s: %w\n%s", h.Name, err, h.Screens(1))
	}
	return nil
}

// PowerOff shuts the host down in order. Its files stay until Down.
func (h *Host) PowerOff() error {
	pid := h.leader()
	if pid == 0 {
		return nil
	}
	const poweroff = syscall.Signal(34 + 4) // SIGRTMIN+4: systemd(1)
	if err := syscall.Kill(pid, poweroff); err != nil {
		return err
	}
	if err := awaitEmpty(h.cgroup, bootLimit); err != nil {
		return fmt.Errorf("power %s off: %w", h.Name, err)
	}
	return nil
}

// Down kills the host and removes all that was its own.
func (h *Host) Down() error {
	errs := []error{}
	note := func(err error) {
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	note(killCgroup(h.cgroup))
	note(h.Close())
	removeCgroups(h.cgroup)
	if _, err := os.Stat("/run/netns/" + h.Name); err == nil {
		note(run("ip", "netns", "del", h.Name)) // and the cable
	}
	note(h.unmount())
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("down %s: %w", h.Name, err)
	}
	return nil
}

// unmount takes away what mount made, as far as it came.
func (h *Host) unmount() error {
	for _, m := range []string{h.Root, h.dir} {
		// Lazily: processes of the lab may still look into the host.
		if err := syscall.Unmount(m, syscall.MNT_DETACH); err != nil && err != syscall.EINVAL && err != syscall.ENOENT {
			return fmt.Errorf("unmount %s: %w", m, err)
		}
	}
	return os.Remove(h.dir)
}

// Journal returns the whole journal, for a person who looks for the cause of a failure. What systemd says
// about the units of Run is left out.
func (h *Host) Journal() string {
	out, err := h.Run("journalctl", "--no-pager", "--output=short-precise")
	if err != nil {
		return err.Error()
	}
	all := slices.DeleteFunc(strings.SplitAfter(out, "\n"), func(line string) bool { return strings.Contains(line, " run-u") })
	return strings.Join(all, "")
}
