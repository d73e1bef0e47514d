package main

import (
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	_ "github.com/mattn/go-sqlite3"
	"github.com/rogpeppe/go-internal/testscript"

	"github.com/totpd/totpd/packaging/testbus"
)

// bin holds what the stories run: this test binary as totpctl, and the daemon built for the test.
// Every user may enter it.
var bin string

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) == "totpctl" {
		if program := os.Getenv("TEST_TOTPD"); program != "" {
			offlineProgram = program
		}
		examineTree(os.Getenv("TEST_ROOT"))
		os.Exit(run(clock))
	}
	os.Exit(func() int {
		var err error
		if bin, err = os.MkdirTemp("", "totpctl"); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(bin)
		return m.Run()
	}())
}

// clock is the one thing that stories fake: TEST_CLOCK is by how much it is ahead.
func clock() time.Time {
	ahead, _ := time.ParseDuration(os.Getenv("TEST_CLOCK"))
	return time.Now().Add(ahead)
}

// equip fills bin.
func equip() error {
	if err := os.Chmod(bin, 0o755); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := os.OpenFile(filepath.Join(bin, "totpctl"), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(to, from); err != nil {
		return err
	}
	if err := to.Close(); err != nil {
		return err
	}
	me := "#!/bin/sh\nexec \"$@\"\n"
	if os.Getuid() == 0 {
		me = "#!/bin/sh\nexec setpriv --reuid=games --clear-groups \"$@\"\n"
	}
	if err := os.WriteFile(filepath.Join(bin, "me"), []byte(me), 0o755); err != nil {
		return err
	}
	// Test hosts show the real one. This one is the worst that can be at a terminal.
	const agent = "#!/bin/sh\nexec >/dev/tty </dev/tty\nstty -echo\necho 'Password for the agent:'\nexec 3>&-\nexec sleep 60\n"
	if err := os.WriteFile(filepath.Join(bin, "pkttyagent"), []byte(agent), 0o755); err != nil {
		return err
	}
	for name, pkg := range map[string]string{"totpd": "daemon", "totpd-password": "daemon/passwordcheck"} {
		build := exec.Command("go", "build", "-ldflags", "-X main.version=1.2.3-test", "-o", filepath.Join(bin, name), "./"+pkg)
		build.Dir = ".."
		if out, err := build.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", name, err, out)
		}
	}
	return nil
}

// Each file of testdata is a story: people at totpctl, a daemon and a system bus of the story's own, real
// files, sockets and PAM. The program me runs another as an ordinary user: games when root tests, else whoever does; the
// name is $ME, and home is a directory to write to. The password of everybody is "open sesame". A file
// totpd.toml of the story is added to the daemon's configuration. What totpctl --offline starts is
// totpd-offline: the same program with the same configuration.
func TestStories(t *testing.T) {
	if err := errors.Join(equip(), equipSetup()); err != nil {
		t.Fatal(err)
	}
	own, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	contrib, err := filepath.Abs("../contrib")
	if err != nil {
		t.Fatal(err)
	}
	profile, err := filepath.Abs("../packaging/pam-configs/totpd")
	if err != nil {
		t.Fatal(err)
	}
	me := own.Username
	if os.Getuid() == 0 {
		me = "games"
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		WorkdirRoot:         bin,
		RequireExplicitExec: true,
		Condition: func(name string) (bool, error) {
			if name == "root" {
				return os.Getuid() == 0, nil
			}
			return false, fmt.Errorf("unknown condition %q", name)
		},
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", bin+":/usr/sbin:/usr/bin:/sbin:/bin")
			env.Setenv("ME", me)
			env.Setenv("CONTRIB", contrib)
			env.Setenv("PROFILE", profile)
			env.Setenv("ROOT", filepath.Join(env.WorkDir, "root"))
			env.Setenv("MODULE", filepath.Join(bin, "pam_totpd.so")+" socket="+filepath.Join(env.WorkDir, "login.sock"))
			env.Setenv("TZ", "UTC")
			env.Setenv("LC_ALL", "C.UTF-8")
			env.Setenv("TERM", "xterm-256color")
			return startHost(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"daemon":   cmdDaemon,
			"bus":      cmdBus,
			"polkit":   cmdPolkit,
			"sql":      cmdSQL,
			"sqlin":    cmdSQLIn,
			"person":   cmdPerson,
			"robot":    cmdRobot,
			"scan":     cmdScan,
			"example":  cmdExample,
			"status":   cmdStatus,
			"waitfor":  cmdWaitfor,
			"tree":     cmdTree,
			"stacks":   cmdStacks,
			"setclock": func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv("TEST_CLOCK", args[0]) },
		},
	})
}

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
	return h.start()
}

// start starts the daemon and waits until it answers.
func (h *host) start() error {
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

// cmdDaemon is: daemon start | stop | freeze. The end of the story kills a frozen one.
func cmdDaemon(ts *testscript.TestScript, neg bool, args []string) {
	h := ts.Value(hostKey{}).(*host)
	if neg || len(args) != 1 {
		ts.Fatalf("usage: daemon start | stop | freeze")
	}
	switch args[0] {
	case "start":
		ts.Check(h.start())
	case "stop":
		h.signal(syscall.SIGTERM)
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

// cmdWaitfor is: waitfor FILE REGEXP. It waits until the file holds that.
func cmdWaitfor(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: waitfor FILE REGEXP")
	}
	pattern, err := regexp.Compile(args[1])
	ts.Check(err)
	if !testbus.Eventually(func() bool {
		text, _ := os.ReadFile(ts.MkAbs(args[0]))
		return pattern.Match(text)
	}) {
		ts.Fatalf("%s doesn't hold %s:\n%s", args[0], args[1], ts.ReadFile(args[0]))
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
