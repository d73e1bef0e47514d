package host

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"

	"github.com/totpd/totpd/packaging/world"
)

// capabilities over nspawn's default set, which units need for what they ask of the kernel: mlock,
// IPAddressDeny=, DevicePolicy=, PrivateNetwork=.
const capabilities = "CAP_IPC_LOCK,CAP_BPF,CAP_PERFMON,CAP_NET_ADMIN"

// bootLimit is for a boot of two seconds on a busy machine.
const bootLimit = 60 * time.Second

// onConsole is what runs on the host's console: nspawn in the host's control group, again after a reboot.
const onConsole = `echo $$ >"$1"/cgroup.procs && shift && while :; do "$@"; [ $? = 133 ] || break; done; echo "(off)"`

var validName = regexp.MustCompile(`^[a-z][a-z0-9]{0,14}$`)

// Boot boots a new host. When it returns, every unit of the host has started. The name is the host's
// and must be new: small letters and digits.
func (l *Lab) Boot(name string) (*Host, error) {
	if !validName.MatchString(name) {
		return nil, fmt.Errorf("boot %q: a name has small letters and digits, 15 at most", name)
	}
	l.mu.Lock()
	l.hosts++
	h := l.host(name, l.hosts)
	l.mu.Unlock()
	if err := h.boot(l.base); err != nil {
		err = fmt.Errorf("boot %s: %w\n%s", name, err, h.Screens(1))
		if downErr := h.Down(); downErr != nil {
			err = fmt.Errorf("%w\n%w", err, downErr)
		}
		return nil, err
	}
	return h, nil
}

// Root is the root directory of a host, as its lab sees it.
func Root(name string) string { return filepath.Join(labDir, name, "root") }

func (l *Lab) host(name string, number int) *Host {
	dir := filepath.Join(labDir, name)
	return &Host{
		Name: name, Root: Root(name), Terminals: world.NewTerminals(dir),
		Addr: fmt.Sprintf("198.51.100.%d", 4*number+1), ClientAddr: fmt.Sprintf("198.51.100.%d", 4*number+2),
		dir: dir, cgroup: filepath.Join(l.cgroup, name),
	}
}

func (h *Host) boot(base string) error {
	for _, step := range []func() error{
		func() error { return h.mount(base) },
		h.cable,
		func() error { return os.Mkdir(h.cgroup, 0o755) },
		h.start,
		func() error { return h.awaitBoot(0) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// mount lays memory over the base tree, and names the host.
func (h *Host) mount(base string) error {
	if err := os.Mkdir(h.dir, 0o700); err != nil {
		return err
	}
	if err := syscall.Mount("host", h.dir, "tmpfs", 0, "mode=700,size=2g"); err != nil {
		return fmt.Errorf("mount tmpfs on %s: %w", h.dir, err)
	}
	upper, work := filepath.Join(h.dir, "upper"), filepath.Join(h.dir, "work")
	for _, d := range []string{upper, work, h.Root} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", base, upper, work)
	if err := syscall.Mount("overlay", h.Root, "overlay", 0, layers); err != nil {
		return fmt.Errorf("mount an overlay on %s: %w", h.Root, err)
	}
	// The host's keys are the base tree's: a client can know them.
	key, err := os.ReadFile(filepath.Join(h.Root, "etc/ssh/ssh_host_ed25519_key.pub"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(h.knownHosts(), []byte(h.Addr+" "+string(key)), 0o644); err != nil {
		return err
	}
	hosts := fmt.Sprintf("127.0.0.1 localhost\n::1 localhost\n%s %s\n%s client\n", h.Addr, h.Name, h.ClientAddr)
	for file, text := range map[string]string{"etc/hostname": h.Name + "\n", "etc/hosts": hosts} {
		if err := os.WriteFile(filepath.Join(h.Root, file), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// cable joins the lab's network namespace and a new one, the host's. Its addresses are of RFC 5737's.
func (h *Host) cable() error {
	ours := "to" + h.Name
	if len(ours) > 15 { // the kernel's limit
		ours = ours[:15]
	}
	for _, command := range []string{
		"netns add " + h.Name,
		"link add " + ours + " type veth peer name host0 netns " + h.Name,
		"addr add " + h.ClientAddr + "/30 dev " + ours,
		"link set " + ours + " up",
		"-n " + h.Name + " addr add " + h.Addr + "/30 dev host0",
		"-n " + h.Name + " link set host0 up",
		"-n " + h.Name + " link set lo up",
	} {
		if err := run("ip", strings.Fields(command)...); err != nil {
			return err
		}
	}
	return nil
}

// start runs nspawn on a terminal, the host's console.
func (h *Host) start() (err error) {
	h.Console, err = h.Open("console", "sh", "-c", onConsole, "sh", h.cgroup,
		"systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--boot", "--machine="+h.Name, "--directory="+h.Root,
		"--network-namespace-path=/run/netns/"+h.Name, "--resolv-conf=off", "--timezone=off", "--link-journal=no",
		"--capability="+capabilities, "--system-call-filter=@known")
	return err
}

// leader returns the number of the host's PID 1 in the lab, 0 while there is none.
func (h *Host) leader() (pid int) {
	procs, err := os.ReadFile(filepath.Join(h.cgroup, "payload/init.scope/cgroup.procs"))
	if err == nil {
		_, _ = fmt.Sscan(string(procs), &pid)
	}
	return pid
}

// awaitBoot waits until a PID 1 other than the one before says that every unit has started.
func (h *Host) awaitBoot(before int) error {
	for deadline := time.Now().Add(bootLimit); ; time.Sleep(50 * time.Millisecond) {
		pid := h.leader()
		if pid != 0 && pid != before {
			// Nothing says when PID 1 begins to answer.
			out, err := h.enter("timeout", "60", "systemctl", "is-system-running", "--wait").Output()
			switch state := strings.TrimSpace(string(out)); state {
			case "running":
				return nil
			case "degraded":
				failed, _ := h.enter("systemctl", "--failed", "--no-legend", "--plain").CombinedOutput()
				return fmt.Errorf("some units failed:\n%s", failed)
			default:
				if time.Now().After(deadline) {
					return fmt.Errorf("state %q after %v: %w", state, bootLimit, err)
				}
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("no PID 1 after %v", bootLimit)
		}
	}
}

// enter prepares a command in all namespaces of the host's PID 1. It runs in no control group of the
// host: for systemctl and systemd-run only.
func (h *Host) enter(argv ...string) *exec.Cmd {
	cmd := exec.Command("nsenter", append([]string{"--all", "--target", fmt.Sprint(h.leader()), "--"}, argv...)...)
	cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "HOME=/root", "LANG=C.UTF-8", "TERM=screen"}
	return cmd
}
