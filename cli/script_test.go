package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/totpd/totpd/cli/internal/system"
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
		system.Booted = func() bool { return os.Getenv("TEST_BOOTED") != "no" }
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
			env.Setenv("GORACE", "atexit_sleep_ms=0") // the race detector's second at the end of each command
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
			"traced":   cmdTraced,
			"homes":    cmdHomes,
			"setclock": func(ts *testscript.TestScript, _ bool, args []string) { ts.Setenv("TEST_CLOCK", args[0]) },
		},
	})
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
