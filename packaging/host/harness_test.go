package host

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSeveralHosts boots two hosts at once. Each has its own network and goes on its own.
func TestSeveralHosts(t *testing.T) {
	inLab(t)
	one, two := boot(t), boot(t)
	one.run("touch", "/root/here")
	two.fails("cat", "/root/here")
	before := one.run("cat", "/proc/sys/kernel/random/boot_id")
	one.must(one.Reboot())
	if one.run("cat", "/proc/sys/kernel/random/boot_id") == before {
		t.Error("it was no reboot")
	}
	one.run("cat", "/root/here")
	one.must(one.PowerOff())
	if state := two.run("systemctl", "is-system-running"); state != "running\n" {
		t.Errorf("the other host is %s", state)
	}
}

// keptEnv makes a second program of this test: one with a lab of its own, that waits to be killed.
const keptEnv = "TOTPD_HOST_KEPT"

func TestKept(t *testing.T) {
	if os.Getenv(keptEnv) == "" {
		return // it is the other program's
	}
	h, err := inLab(t).Boot("kept")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("up %d\n", h.leader())
	time.Sleep(time.Hour)
}

// TestNothingStays kills a program with a lab and a running host. Nothing of them may stay, though the
// program had no time to tidy up.
func TestNothingStays(t *testing.T) {
	inLab(t)
	before := processes(t)
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestKept$")
	cmd.Env = append(os.Environ(), keptEnv+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() && !strings.HasPrefix(lines.Text(), "up ") {
		t.Log(lines.Text())
	}
	if more := len(processes(t)) - len(before); more < 10 {
		t.Errorf("a booted host has %d processes", more)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left := processes(t)
		for pid := range before {
			delete(left, pid)
		}
		if len(left) == 0 {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("still there: %v", left)
		}
	}
	sweep()
	if left, err := filepath.Glob(filepath.Join(lab.cgroup, labGroup, cgroupPrefix+"*")); len(left) != 0 || err != nil {
		t.Errorf("control groups %v, %v", left, err)
	}
}

// processes returns the lab's processes and their names, without those that have ended.
func processes(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	dirs, err := filepath.Glob("/proc/[0-9]*")
	if err != nil {
		t.Fatal(err)
	}
	for _, dir := range dirs {
		stat, err := os.ReadFile(dir + "/stat") // proc_pid_stat(5): number (name) state
		if _, state, ok := strings.Cut(string(stat), ") "); err == nil && ok && state[0] != 'Z' && state[0] != 'X' {
			all[filepath.Base(dir)] = string(stat[:strings.LastIndex(string(stat), ")")+1])
		}
	}
	return all
}
