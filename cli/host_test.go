package main

import (
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/totpd/totpd/packaging/testbus"
)

// host is what a story runs on.
type host struct {
	dir    string
	bus    *testbus.Bus
	polkit *testbus.Polkit
	daemon *exec.Cmd
	done   chan struct{} // closed when the daemon has ended
}

type hostKey struct{}

// startHost starts a password check and a daemon. The story's end stops them.
func startHost(env *testscript.Env) error {
	h := &host{dir: env.WorkDir}
	if err := os.Chmod(h.dir, 0o755); err != nil {
		return err
	}
	home := filepath.Join(h.dir, "home")
	if err := errors.Join(os.MkdirAll(home, 0o777), os.Chmod(home, 0o777)); err != nil {
		return err
	}
	env.Setenv("HOME", home)
	env.Setenv("TOTPD_SOCKET", filepath.Join(h.dir, "control.sock"))
	offline := filepath.Join(h.dir, "totpd-offline")
	env.Setenv("TEST_TOTPD", offline)
	err := os.WriteFile(offline, []byte("#!/bin/sh\nexec "+filepath.Join(bin, "totpd")+" -config "+h.dir+"/effective.toml \"$@\"\n"), 0o755)
	if err != nil {
		return err
	}
	env.Values[hostKey{}] = h
	bus, err := testbus.New(h.dir, "../packaging/dbus/org.totpd.conf")
	if err != nil {
		return err
	}
	h.bus = bus
	env.Defer(bus.Stop)
	env.Setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.Address())
	stop, err := h.servePasswords()
	if err != nil {
		return err
	}
	env.Defer(stop)
	more, err := os.ReadFile(filepath.Join(h.dir, "totpd.toml"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	config := strings.ReplaceAll(`
[listen]
login = "DIR/login.sock"
control = "DIR/control.sock"
password = "DIR/password.sock"
[store]
path = "DIR/totpd.db"
[key]
file = "DIR/totpd.key"
[code]
issuer = "testhost"
`, "DIR", h.dir) + string(more)
	if err := os.WriteFile(filepath.Join(h.dir, "effective.toml"), []byte(config), 0o644); err != nil {
		return err
	}
	env.Defer(func() { h.signal(syscall.SIGKILL) })
	if err := h.init(); err != nil {
		return err
	}
	return h.start()
}

// init makes the store, as the package does at the first installation.
func (h *host) init() error {
	out, err := exec.Command(filepath.Join(bin, "totpd"), "-config", filepath.Join(h.dir, "effective.toml"), "-init").CombinedOutput()
	if err != nil {
		return fmt.Errorf("make a store: %w: %s", err, out)
	}
	return nil
}

// start starts the daemon and waits until it answers.
func (h *host) start() error {
	if h.runs() {
		return errors.New("a daemon runs already: nobody would stop it")
	}
	log, err := os.OpenFile(filepath.Join(h.dir, "totpd.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	h.daemon = exec.Command(filepath.Join(bin, "totpd"), "-config", filepath.Join(h.dir, "effective.toml"))
	h.daemon.Dir, h.daemon.Stderr = h.dir, log
	h.daemon.Env = append(os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS="+h.bus.Address())
	if err := h.daemon.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	h.done = done
	go func(c *exec.Cmd) { c.Wait(); close(done) }(h.daemon)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if c, err := net.Dial("unix", filepath.Join(h.dir, "control.sock")); err == nil {
			c.Close()
			return nil
		}
		select {
		case <-done:
			text, _ := os.ReadFile(log.Name())
			return fmt.Errorf("the daemon ended: %s", text)
		default:
		}
	}
	return errors.New("the daemon doesn't answer")
}

// runs tells whether the daemon hasn't ended.
func (h *host) runs() bool {
	if h.daemon == nil {
		return false
	}
	select {
	case <-h.done:
		return false
	default:
		return true
	}
}

// signal sends a signal; after one that ends the daemon it waits until that is gone.
func (h *host) signal(s syscall.Signal) {
	if h.daemon == nil {
		return
	}
	h.daemon.Process.Signal(s)
	if s == syscall.SIGTERM || s == syscall.SIGKILL {
		<-h.done
		h.daemon = nil
	}
}

// servePasswords does what systemd does with totpd-password.socket: a process for each connection.
func (h *host) servePasswords() (stop func(), err error) {
	dir := filepath.Join(h.dir, "pam.d")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return nil, err
	}
	judge := filepath.Join(dir, "judge")
	for path, text := range map[string]string{
		judge: "#!/bin/sh\n[ \"$(tr -d '\\000')\" = 'open sesame' ]\n",
		filepath.Join(dir, "totpd"): "auth [success=1 default=ignore] pam_exec.so quiet expose_authtok " + judge + "\n" +
			"auth requisite pam_deny.so\nauth required pam_permit.so\naccount required pam_permit.so\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o755); err != nil {
			return nil, err
		}
	}
	l, err := net.Listen("unix", filepath.Join(h.dir, "password.sock"))
	if err != nil {
		return nil, err
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			stdin, err := c.(*net.UnixConn).File()
			c.Close()
			if err != nil {
				continue
			}
			check := exec.Command(filepath.Join(bin, "totpd-password"), "-pam-dir", dir)
			check.Stdin = stdin
			running.Go(func() { check.Run(); stdin.Close() })
		}
	})
	return func() { l.Close(); running.Wait() }, nil
}

// cmdDaemon is: daemon init | start | stop | kill | freeze. The end of the story kills a frozen one.
func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	h := ts.Value(hostKey{}).(*host)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: daemon init | start | stop | kill | freeze")
	}
	switch args[0] {
	case "init":
		ts.Check(h.init())
	case "start":
		if h.daemon != nil {
			ts.Fatalf("a daemon runs already, and nobody would end it")
		}
		ts.Check(h.start())
	case "stop":
		h.signal(syscall.SIGTERM)
	case "kill":
		h.signal(syscall.SIGKILL)
	case "freeze":
		h.signal(syscall.SIGSTOP)
	default:
		ts.Fatalf("daemon %s?", args[0])
	}
}

// cmdBus is: bus start | stop | freeze.
func cmdBus(ts *testscript.TestScript, neg bool, args []string) {
	h := ts.Value(hostKey{}).(*host)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: bus start | stop | freeze")
	}
	switch args[0] {
	case "start":
		ts.Check(h.bus.Start())
	case "stop":
		h.bus.Stop()
	case "freeze":
		h.bus.Freeze()
	default:
		ts.Fatalf("bus %s?", args[0])
	}
}

// cmdPolkit is: polkit yes | no | password | late. With password it says yes to those who can be asked for
// one, with late it takes longer to do so than a person has patience. It waits until the daemon is on the bus.
func cmdPolkit(ts *testscript.TestScript, neg bool, args []string) {
	h := ts.Value(hostKey{}).(*host)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: polkit yes | no | password | late")
	}
	if h.polkit != nil {
		h.polkit.Close()
	}
	how := args[0]
	var err error
	h.polkit, err = testbus.NewPolkit(h.bus, func(c testbus.Check) testbus.Result {
		switch {
		case how == "yes":
			return testbus.Result{Authorized: true}
		case how == "no":
			return testbus.Result{}
		case !c.Interactive:
			return testbus.Result{Challenge: true}
		case how == "late":
			select {
			case <-c.Withdrawn:
			case <-time.After(patience):
			}
			return testbus.Result{}
		}
		return testbus.Result{Authorized: true}
	})
	ts.Check(err)
	ts.Defer(h.polkit.Close)
	conn, err := h.bus.Join(os.Geteuid())
	ts.Check(err)
	defer conn.Close()
	if !testbus.Eventually(func() bool {
		var has bool
		return conn.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, "org.totpd").Store(&has) == nil && has
	}) {
		ts.Fatalf("the daemon is not on the bus")
	}
}

// cmdSQL is: sql STATEMENT. It is run on the store of a daemon that was stopped.
func cmdSQL(ts *testscript.TestScript, neg bool, args []string) {
	cmdSQLIn(ts, neg, append([]string{"totpd.db"}, args...))
}

// cmdSQLIn is: sqlin FILE STATEMENT.
func cmdSQLIn(ts *testscript.TestScript, neg bool, args []string) {
	db, err := sql.Open("sqlite3", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}
