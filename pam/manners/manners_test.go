// Package manners tests the built module as a guest: real libpam loads it into C hosts
// (testdata/host.c), which look at what it leaves behind. The daemon is a scripted one, so that it can
// also misbehave.
package manners

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// built is a module and a C host to load it.
type built struct{ host, module string }

var plain, asan built // as installed; the C halves under AddressSanitizer

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "manners")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // hosts that are not root look in here
		panic(err)
	}
	for _, b := range []struct {
		built          *built
		target, option string
	}{
		{&plain, "build/pam_totpd.so", "-O2"},
		{&asan, "build/asan/pam_totpd.so", "-fsanitize=address"},
	} {
		root, err := filepath.Abs("../..")
		if err != nil {
			panic(err)
		}
		*b.built = built{filepath.Join(dir, "host"+b.option), filepath.Join(root, b.target)}
		for _, command := range [][]string{
			{"make", "-s", "-C", root, b.target},
			{"gcc", "-Wall", "-Wextra", "-Werror", "-g", b.option, "-o", b.built.host, "testdata/host.c", "-lpam", "-lpthread"},
		} {
			if out, err := exec.Command(command[0], command[1:]...).CombinedOutput(); err != nil {
				os.Stderr.WriteString(strings.Join(command, " ") + ": " + err.Error() + "\n" + string(out))
				return 1
			}
		}
	}
	return m.Run()
}

func TestManners(t *testing.T) {
	w := newWorld(t, plain, polite)
	for _, c := range []struct {
		scenario string
		count    int
		root     bool
	}{
		{"dormant", 1, false},
		{"dormant-in-64-mb", 1, false},
		{"takes", 1, false},
		{"many", 5000, false},
		{"forks", 10000, false},
		{"nest", 20, false},
		{"two-handles", 50, false},
		{"threads", 500, false},
		{"threads-and-forks", 2000, false},
		{"forks-at-start", 100, false},
		{"threads-in-child", 200, false},
		{"closed", 100, false},
		{"short-of-space", 1, false},
		{"short-of-data", 1, false},
		{"short-of-threads", 1, true},
		{"signals", 20, false},
		{"chld-signalfd", 2000, false},
		{"chld-sigwait", 2000, false},
		{"chld-ppoll", 2000, false},
		{"chld-first", 500, false},
		{"identity", 1, true},
		{"cancelled", 1, false},
		{"environment", 1, false},
		{"long-answer", 1, false},
	} {
		t.Run(c.scenario, func(t *testing.T) {
			if c.root && os.Getuid() != 0 {
				t.Skip("needs root")
			}
			count := c.count
			if testing.Short() && count > 50 {
				count = 50
			}
			if out := w.run(t, c.scenario, count); out != "" {
				t.Log(strings.TrimSpace(out))
			}
		})
	}
}

// Memory errors and leaks of the C half show here; address space and signals look different under the
// sanitizer, so these are the scenarios that don't look at them.
func TestUnderAddressSanitizer(t *testing.T) {
	w := newWorld(t, asan, polite)
	for scenario, count := range map[string]int{"forks": 50, "nest": 5, "two-handles": 10, "threads": 50, "cancelled": 1, "long-answer": 1} {
		t.Run(scenario, func(t *testing.T) { w.run(t, scenario, count) })
	}
}
