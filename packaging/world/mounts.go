package world

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"unsafe"
)

// build mounts the world over the machine, in this process's mount namespace. dir is an empty folder.
func build(o Options, dir string) error {
	if err := syscall.Mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	if target, err := os.Readlink("/lib"); err != nil || !strings.HasSuffix(target, "usr/lib") {
		return fmt.Errorf("/lib is not a link to usr/lib, as it is since Debian 12")
	}
	// Everything is reached from here by short relative names: a path with a colon or a comma would
	// end the list of layers too early, and a tree below /tmp or /home goes out of sight on the way.
	root := filepath.Join(dir, "root")
	if err := os.Mkdir(root, 0o755); err != nil {
		return err
	}
	if err := mount("tmpfs", root, "tmpfs", 0, "mode=755,size=1g"); err != nil {
		return err
	}
	if err := os.Chdir(root); err != nil {
		return err
	}
	for _, layer := range []string{"stage", "debs"} {
		if err := bind(filepath.Join(o.Top, "build", layer), layer); err != nil {
			return err
		}
	}
	for _, top := range []string{"etc", "var", "usr"} {
		if err := overlay(top, "stage", "debs"); err != nil {
			return err
		}
	}
	for _, t := range []struct{ path, mode string }{
		{"/home", "755"}, {"/root", "700"}, {"/run", "755"}, {"/tmp", "1777"}, {"/var/log", "755"},
	} {
		if err := mount("tmpfs", t.path, "tmpfs", syscall.MS_NODEV, "mode="+t.mode); err != nil {
			return err
		}
	}
	if err := devices(); err != nil {
		return err
	}
	if err := mount("proc", "/proc", "proc", syscall.MS_NOSUID|syscall.MS_NODEV|syscall.MS_NOEXEC, ""); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	if err := syscall.Sethostname([]byte(o.Name)); err != nil {
		return fmt.Errorf("set the host name: %w", err)
	}
	if !o.Network {
		return loopbackUp()
	}
	return nil
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := syscall.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s on %s: %w", kind, target, err)
	}
	return nil
}

func bind(source, target string) error {
	st, err := os.Stat(source)
	if err != nil {
		return err
	}
	if st.IsDir() {
		err = os.MkdirAll(target, 0o755)
	} else {
		err = os.WriteFile(target, nil, 0o600)
	}
	if err != nil {
		return err
	}
	return mount(source, target, "bind", syscall.MS_BIND, "")
}

// overlay covers /top: writes go to memory, and what layers/top holds lies over the machine's own.
func overlay(top string, layers ...string) error {
	var lower []string
	for _, l := range layers {
		if st, err := os.Stat(filepath.Join(l, top)); err == nil && st.IsDir() {
			lower = append(lower, filepath.Join(l, top))
		}
	}
	lower = append(lower, "/"+top)
	upper, work := top+".up", top+".work"
	for _, d := range []string{upper, work} {
		if err := os.Mkdir(d, 0o755); err != nil {
			return err
		}
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(lower, ":"), upper, work)
	return mount("overlay", "/"+top, "overlay", 0, data)
}

// devices makes /dev anew: the few devices that a login needs, pseudo-terminals of its own, and room
// for /dev/log, which must not appear on the machine.
func devices() error {
	const dev = "dev"
	if err := os.Mkdir(dev, 0o755); err != nil {
		return err
	}
	if err := mount("tmpfs", dev, "tmpfs", syscall.MS_NOSUID, "mode=755"); err != nil {
		return err
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		if err := bind("/dev/"+name, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	for _, d := range []string{"pts", "shm"} {
		if err := os.Mkdir(filepath.Join(dev, d), 0o755); err != nil {
			return err
		}
	}
	if err := mount("devpts", dev+"/pts", "devpts", syscall.MS_NOSUID|syscall.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"); err != nil {
		return err
	}
	if err := mount("tmpfs", dev+"/shm", "tmpfs", syscall.MS_NOSUID|syscall.MS_NODEV, "mode=1777"); err != nil {
		return err
	}
	for link, target := range map[string]string{
		"ptmx": "pts/ptmx", "fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2",
	} {
		if err := os.Symlink(target, filepath.Join(dev, link)); err != nil {
			return err
		}
	}
	return mount(dev, "/dev", "bind", syscall.MS_BIND|syscall.MS_REC, "")
}

// loopbackUp brings up the only interface of a new network namespace: netdevice(7), SIOCSIFFLAGS.
func loopbackUp() error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_DGRAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = syscall.Close(fd) }()
	var req struct {
		name  [syscall.IFNAMSIZ]byte
		flags uint16
		_     [22]byte
	}
	copy(req.name[:], "lo")
	req.flags = syscall.IFF_UP | syscall.IFF_RUNNING
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), syscall.SIOCSIFFLAGS, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return fmt.Errorf("bring the loopback interface up: %w", errno)
	}
	return nil
}

// FreePort returns a port of 127.0.0.1 that nothing listened on a moment ago.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
