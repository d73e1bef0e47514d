package host

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/totpd/totpd/packaging/world"
)

// site is a host in a test: whatever goes wrong fails the test, which shows the screens and the journal.
type site struct {
	*Host
	t         *testing.T
	terminals []*screen
	visitor   *person // who has a terminal from which others log in
}

var booted atomic.Int32

func boot(t *testing.T) *site {
	t.Helper()
	h, err := inLab(t).Boot(fmt.Sprintf("host%d", booted.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{Host: h, t: t}
	t.Cleanup(func() {
		if t.Failed() {
			s.show()
		}
		if err := h.Down(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// show prints what helps to find out why a story failed.
func (s *site) show() {
	for _, term := range s.terminals[max(0, len(s.terminals)-4):] {
		text := regexp.MustCompile(`\n{3,}`).ReplaceAllString(term.Screen(), "\n\n")
		s.t.Logf("--- screen of %s\n%s", term.name, text)
	}
	journal := s.Journal()
	lines := strings.SplitAfter(journal, "\n")
	s.t.Logf("--- end of the journal\n%s", strings.Join(lines[max(0, len(lines)-60):], ""))
	file := filepath.Join(top(s.t), "build/test", s.t.Name()+".journal")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, []byte(journal), 0o644)); err != nil {
		s.t.Error(err)
	}
	s.t.Log("the whole journal:", file)
}

// top is the source tree.
func top(t *testing.T) string {
	t.Helper()
	dir, err := world.FindTop(".")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// run runs a command as root, which must succeed.
func (s *site) run(argv ...string) string {
	s.t.Helper()
	out, err := s.Run(argv...)
	s.must(err)
	return out
}

// script runs a shell script as root, whose commands must succeed.
func (s *site) script(text string) string {
	s.t.Helper()
	return s.run("sh", "-ec", text)
}

// fails runs a command as root, which must fail, and returns what it said.
func (s *site) fails(argv ...string) string {
	s.t.Helper()
	out, err := s.Run(argv...)
	if err == nil {
		s.t.Fatalf("%s succeeded: %s", strings.Join(argv, " "), out)
	}
	return out
}

// deb returns the package that was built for this machine's architecture; built one of a name's pattern.
func deb(t *testing.T) string {
	t.Helper()
	return built(t, "totpd_*_"+runtime.GOARCH+".deb")
}

func built(t *testing.T, pattern string) string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(top(t), "build/packages", pattern))
	if err != nil || len(all) != 1 {
		t.Fatalf("packages %s: %v, %v; want one: run 'make packages'", pattern, all, err)
	}
	return all[0]
}

// install installs the package that was built. A host gets nothing else of the source tree.
func (s *site) install() {
	s.t.Helper()
	file := deb(s.t)
	s.must(s.Copy(file, "/root"))
	s.run("dpkg", "--install", "/root/"+filepath.Base(file))
}

// installVersion installs another version of the package.
func (s *site) installVersion(version string) {
	s.t.Helper()
	s.run("dpkg", "--install", s.repack(version))
}

// repack makes another version of the package that was built, with the same content, and returns its file
// on the host.
func (s *site) repack(version string) string {
	s.t.Helper()
	tree := filepath.Join(s.t.TempDir(), "tree")
	file := filepath.Join(s.t.TempDir(), "totpd_"+version+".deb")
	s.must(run("dpkg-deb", "--raw-extract", deb(s.t), tree))
	s.must(run("sed", "-i", "s/^Version: .*/Version: "+version+"/", filepath.Join(tree, "DEBIAN/control")))
	s.must(run("dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, file))
	s.must(s.Copy(file, "/root"))
	return "/root/" + filepath.Base(file)
}

// runs makes sure that the daemon and its sockets run, and will after the next boot, and that the daemon
// has its name on the system bus, at the first try.
func (s *site) runs() {
	s.t.Helper()
	s.run("systemctl", "is-active", "totpd.service", "totpd.socket", "totpd-password.socket")
	s.run("systemctl", "is-enabled", "totpd.service", "totpd.socket", "totpd-password.socket")
	s.script("timeout 5 sh -c 'until busctl status org.totpd | grep -x UID=$(id -u totpd); do sleep 0.1; done'")
	if said, err := s.Run("journalctl", "--unit=totpd", "--priority=warning", "--quiet"); err != nil || said != "" {
		s.t.Errorf("the daemon complains: %s, %v", said, err)
	}
}

// quiet makes sure that nothing was refused to the daemon by its sandbox, that it has no complaint, and that
// the module in the login programs has none.
func (s *site) quiet() {
	s.t.Helper()
	const units = "--unit=totpd.service --unit=totpd-password.service"
	for _, look := range []string{
		units + " --priority=warning",
		units + " --grep='not permitted|denied|is not known'",
		"--identifier=sshd --identifier=login --identifier=sudo --grep='pam_totpd'",
	} {
		if said := s.script("journalctl --quiet " + look + " || :"); said != "" {
			s.t.Errorf("the journal has: %s", said)
		}
	}
}
