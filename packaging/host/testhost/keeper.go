package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/totpd/totpd/packaging/host"
)

// inLabEnv tells this program that it runs in the lab of a host.
const inLabEnv = "TOTPD_TESTHOST_LAB"

// upSaid is what a keeper says when its host is up.
const upSaid = "up"

// keep holds a lab with one host until it gets a signal. It is its own record: others find it by its
// command line, so that nothing can be left behind.
func keep(name string, debs []string) error {
	lab, err := host.Enter()
	if err != nil {
		return err
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	h, err := lab.Boot(name)
	if err != nil {
		return err
	}
	for _, d := range debs {
		if err := h.Copy(d, "/root"); err != nil {
			return err
		}
		if _, err := h.Run("dpkg", "-i", "/root/"+filepath.Base(d)); err != nil {
			return err
		}
	}
	fmt.Println(upSaid)
	<-stop
	return nil
}

// keeper is the first process of a lab that is kept for a host.
type keeper struct {
	pid  int
	name string
}

// keepers finds the labs that are up: processes of this program whose number in a namespace of their own
// is one.
func keepers() (all []keeper) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		line, err := os.ReadFile(dir + "/cmdline")
		arg := strings.Split(string(line), "\x00")
		if err != nil || len(arg) < 3 || arg[1] != "keep" || filepath.Base(arg[0]) != "testhost" {
			continue
		}
		status, err := os.ReadFile(dir + "/status")
		if err != nil || !bytes.Contains(status, []byte("\t1\nNSpgid:")) {
			continue
		}
		if pid, err := strconv.Atoi(filepath.Base(dir)); err == nil {
			all = append(all, keeper{pid, arg[2]})
		}
	}
	return all
}

func find(name string) (keeper, error) {
	for _, k := range keepers() {
		if k.name == name {
			return k, nil
		}
	}
	return keeper{}, fmt.Errorf("no host %s is up; 'testhost up %s' boots one", name, name)
}

// enter runs this program in the keeper's lab.
func (k keeper) enter(arg []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	pid := strconv.Itoa(k.pid)
	cmd := exec.Command("nsenter", append([]string{"--target", pid, "--mount", "--pid", "--net", "--uts", "--ipc", "--", self}, arg...)...)
	cmd.Env = append(os.Environ(), inLabEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	// A terminal sends Ctrl-C to all; the program inside decides.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGINT, syscall.SIGQUIT)
	return cmd.Run()
}

// end kills the lab and waits until it is gone.
func (k keeper) end() error {
	if err := syscall.Kill(k.pid, syscall.SIGKILL); err != nil {
		return err
	}
	for range 200 {
		if syscall.Kill(k.pid, 0) == syscall.ESRCH {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return fmt.Errorf("%s still runs", k.name)
}
