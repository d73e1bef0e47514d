// Package host boots throwaway Debian 12 hosts with systemd as PID 1, for the stories that a package
// must stand: installed, set up, rebooted, upgraded, broken, removed. A host is systemd-nspawn over an
// overlay in memory of a base tree that mmdebstrap made once. Hosts stand in a lab: the calling program,
// run again in namespaces of its own, is the person at the client, and each host is a cable away in
// another network namespace. There is no way from the lab to the machine's network.
//
// The package owns everything it starts. When the program that entered ends, in whatever way, the kernel
// ends every process of the lab and drops every mount and network. Nothing of the machine changes but
// for the cache of the base tree, and empty control groups that the next lab removes after a SIGKILL.
// It knows nothing of totpd; the stories do.
//
// Several labs may be up at once, of one source tree or of several.
package host

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/totpd/totpd/packaging/world"
)

// ErrForbidden is the reason why there can be no test hosts here: not root, not Debian 12, namespaces or
// mounts refused, a tool missing.
var ErrForbidden = errors.New("no test hosts")

// labDir is the lab's own, in memory: hosts, sockets, keys.
const labDir = "/run/lab"

// Lab is where hosts stand.
type Lab struct {
	base   string
	cgroup string

	mu    sync.Mutex
	hosts int // booted so far; each has network addresses of its own
}

// tools are programs that hosts are made with, and the packages that bring them.
var tools = map[string]string{
	"systemd-nspawn": "systemd-container", "mmdebstrap": "mmdebstrap", "tmux": "tmux", "ip": "iproute2",
	"ssh": "openssh-client", "nsenter": "util-linux", "apt-get": "apt",
}

// Enter makes a lab and puts the calling program into it, as world.Enter does: the program runs a second
// time, and there Enter returns the lab. In the first run it returns only an error; ErrForbidden where
// there can be no lab. The base tree is made first unless it is there, which takes a minute and needs the
// machine's package sources.
//
// Call it first thing in main or TestMain.
func Enter() (*Lab, error) {
	if base, second := world.Second(); second {
		return arrive(base)
	}
	if err := possible(); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	base, err := Base()
	if errors.Is(err, fs.ErrPermission) {
		return nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	}
	if err != nil {
		return nil, err
	}
	sweep()
	status, err := world.Rerun(base, false)
	sweep()
	switch {
	case errors.Is(err, world.ErrRefused):
		return nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	case err != nil:
		return nil, err
	}
	os.Exit(status)
	return nil, nil
}

func possible() error {
	if os.Geteuid() != 0 {
		return errors.New("it takes root")
	}
	release, err := os.ReadFile("/etc/os-release")
	if err != nil {
		return err
	}
	if !bytes.Contains(release, []byte("\nVERSION_CODENAME="+suite+"\n")) {
		return fmt.Errorf("the machine is not Debian 12 (%s), whose package sources and libraries they take", suite)
	}
	for tool, from := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("%s is missing: install %s", tool, from)
		}
	}
	return nil
}

// arrive furnishes the second run: mounts, a control group, the loopback interface. What the machine
// refuses ends the program here.
func arrive(base string) (*Lab, error) {
	l := &Lab{base: base}
	if err := l.furnish(); err != nil {
		world.Refuse(err)
	}
	return l, nil
}

func (l *Lab) furnish() error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	const plain = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC
	for _, m := range []struct {
		kind, point string
		flags       uintptr
		data        string
	}{
		{"cgroup2", cgroups, plain, ""},
		{"tmpfs", "/run", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=755"},
		{"proc", "/proc", plain, ""},
	} {
		if m.kind == "cgroup2" {
			// nspawn has to see a machine with this hierarchy alone.
			for syscall.Unmount(m.point, syscall.MNT_DETACH) == nil {
			}
		}
		if err := syscall.Mount(m.kind, m.point, m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("mount %s on %s: %w", m.kind, m.point, err)
		}
	}
	var err error
	if l.cgroup, err = newCgroup(); err != nil {
		return fmt.Errorf("make a control group: %w", err)
	}
	if err := os.Mkdir(labDir, 0o700); err != nil {
		return err
	}
	// What every host does first: a machine that refuses it is told from a harness that is broken.
	try := l.host("try", 0)
	if err := errors.Join(try.mount(l.base), try.unmount()); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte("client")); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	return run("ip", "link", "set", "lo", "up")
}

// Find returns the first host of a lab for a program that has entered the lab's namespaces.
func Find(name string) (*Host, error) {
	first, err := cgroupOf("1")
	return (&Lab{cgroup: filepath.Join(cgroups, filepath.Dir(first))}).host(name, 1), err
}

// run runs a command of the machine; what it printed is part of the error.
func run(name string, arg ...string) error {
	out, err := exec.Command(name, arg...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(arg, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
