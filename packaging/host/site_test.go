package host

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
)

// site is a host in a test: whatever goes wrong fails the test, which shows the screens and the journal.
type site struct {
	*Host
	t *testing.T
}

var booted atomic.Int32

func boot(t *testing.T) *site {
	t.Helper()
	h, err := inLab(t).Boot(fmt.Sprintf("host%d", booted.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	s := &site{h, t}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s--- journal\n%s", h.Screens(4), h.Journal(80))
		}
		if err := h.Down(); err != nil {
			t.Error(err)
		}
	})
	return s
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
