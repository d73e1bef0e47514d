// Package testbus is a system bus for tests: a real dbus-daemon on a socket of its own, with the rules of
// a real system bus and our policy file, and on it what is faked: polkit and timedate1. What real
// polkit makes of our policy is shown on test hosts.
package testbus

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/godbus/dbus/v5"
)

// Bus is a bus that can be stopped, frozen and started again at the same address.
type Bus struct {
	dir    string
	daemon *exec.Cmd
}

// config has the rules of dbus-daemon's own system.conf that our policy file builds upon.
const config = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <auth>EXTERNAL</auth>
  <listen>unix:path=DIR/bus</listen>
  <policy context="default">
    <allow user="*"/>
    <deny own="*"/>
    <deny send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus"/>
    <allow send_destination="org.freedesktop.PolicyKit1"/>
    <allow send_destination="org.freedesktop.timedate1"/>
  </policy>
  <policy user="root"><allow send_destination="org.freedesktop.DBus" send_interface="org.freedesktop.DBus.Monitoring"/></policy>
  <policy user="SELF"><allow own="org.freedesktop.PolicyKit1"/><allow own="org.freedesktop.timedate1"/></policy>
  <include>DIR/org.totpd.conf</include>
</busconfig>
`

// New starts a bus below dir, which must exist, with a copy of the policy file in which whoever runs the
// test stands for the user totpd.
func New(dir, policy string) (*Bus, error) {
	self, err := user.Current()
	if err != nil {
		return nil, err
	}
	rules, err := os.ReadFile(policy)
	if err != nil {
		return nil, err
	}
	b := &Bus{dir: dir}
	ours := strings.ReplaceAll(string(rules), `user="totpd"`, fmt.Sprintf("user=%q", self.Username))
	text := strings.NewReplacer("DIR", dir, "SELF", self.Username).Replace(config)
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "org.totpd.conf"), []byte(ours), 0o644),
		os.WriteFile(filepath.Join(dir, "bus.conf"), []byte(text), 0o644),
	)
	if err != nil {
		return nil, err
	}
	return b, b.Start()
}

// Address is the bus's, for DBUS_SYSTEM_BUS_ADDRESS.
func (b *Bus) Address() string { return "unix:path=" + filepath.Join(b.dir, "bus") }

// Start starts the bus and returns once it can be connected to.
func (b *Bus) Start() error {
	if err := os.RemoveAll(filepath.Join(b.dir, "bus")); err != nil {
		return err
	}
	daemon := exec.Command("dbus-daemon", "--config-file="+filepath.Join(b.dir, "bus.conf"), "--nofork", "--nopidfile", "--nosyslog", "--print-address=1")
	out, err := daemon.StdoutPipe()
	if err != nil {
		return err
	}
	var said strings.Builder
	daemon.Stderr = &said
	if err := daemon.Start(); err != nil {
		return err
	}
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line == "" {
		daemon.Wait()
		return fmt.Errorf("dbus-daemon: %v: %s", err, &said)
	}
	b.daemon = daemon
	return nil
}

// Forbid starts the bus without our policy file. Allow has it read that.
func (b *Bus) Forbid() error {
	rules := filepath.Join(b.dir, "org.totpd.conf")
	return errors.Join(os.Rename(rules, rules+".later"), os.WriteFile(rules, []byte("<busconfig/>"), 0o644), b.Start())
}

// Allow ends Forbid.
func (b *Bus) Allow() error {
	rules := filepath.Join(b.dir, "org.totpd.conf")
	return errors.Join(os.Rename(rules+".later", rules), b.daemon.Process.Signal(syscall.SIGHUP))
}

// Stop ends the bus.
func (b *Bus) Stop() {
	if b.daemon != nil {
		b.daemon.Process.Kill()
		b.daemon.Wait()
		b.daemon = nil
	}
}

// Freeze has the bus answer nobody any more until it is thawed or stopped.
func (b *Bus) Freeze() { b.daemon.Process.Signal(syscall.SIGSTOP) }

// Thaw ends Freeze.
func (b *Bus) Thaw() { b.daemon.Process.Signal(syscall.SIGCONT) }

// DialAs connects to a Unix socket as the user uid, which takes root unless it is oneself. The kernel takes
// the credentials of the thread that connects; only this one becomes somebody else, and it ends with its
// goroutine.
func DialAs(uid int, path string) (net.Conn, error) {
	type dialled struct {
		net.Conn
		error
	}
	done := make(chan dialled)
	go func() {
		runtime.LockOSThread()
		if uid != os.Geteuid() {
			if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); e != 0 {
				done <- dialled{nil, e}
				return
			}
		}
		c, err := net.Dial("unix", path)
		done <- dialled{c, err}
	}()
	d := <-done
	return d.Conn, d.error
}

// ListenAs has the user uid listen at a Unix socket, which takes root, and never accept. It returns the socket.
// listen(2) notes who listens: see DialAs.
func ListenAs(uid int, path string) (fd int, err error) {
	if fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM, 0); err != nil {
		return -1, err
	}
	if err = syscall.Bind(fd, &syscall.SockaddrUnix{Name: path}); err == nil {
		done := make(chan error)
		go func() {
			runtime.LockOSThread()
			if _, _, e := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), uintptr(uid), ^uintptr(0)); e != 0 {
				done <- e
				return
			}
			done <- syscall.Listen(fd, 1)
		}()
		err = <-done
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// Join connects to the bus as the user uid, as DialAs does.
func (b *Bus) Join(uid int) (*dbus.Conn, error) {
	conn, err := DialAs(uid, filepath.Join(b.dir, "bus"))
	if err != nil {
		return nil, err
	}
	c, err := dbus.NewConn(conn)
	if err != nil {
		return nil, err
	}
	if err := c.Auth([]dbus.Auth{dbus.AuthExternal(strconv.Itoa(uid))}); err != nil {
		c.Close()
		return nil, err
	}
	if err := c.Hello(); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// Eventually waits until what is true, or ten seconds are over.
func Eventually(what func() bool) bool {
	for range 1000 {
		if what() {
			return true
		}
		time.Sleep(10 * time.Millisecond)
	}
	return false
}
