package server

import (
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
)

// A loss is told when it is found, when it is another one, from time to time, and when it is over.
func TestSetupReports(t *testing.T) {
	a := serveControl(t)
	for i, step := range []struct {
		lost []string
		pass time.Duration
		want string // in the line that comes; empty: none
	}{
		{nil, 0, ""},
		{[]string{"/etc/pam.d/sshd: gone"}, 0, "kind=setup result=lost reason=lost"},
		{[]string{"/etc/pam.d/sshd: gone"}, 5 * time.Minute, ""},
		{[]string{"/etc/pam.d/sshd: gone", "/etc/pam.d/su: gone"}, 0, "su: gone"},
		{[]string{"/etc/pam.d/sshd: gone", "/etc/pam.d/su: gone"}, lostAgain, "su: gone"},
		{nil, 0, "kind=setup result=done reason=in_place"},
		{nil, lostAgain, ""},
	} {
		a.pass(step.pass)
		before := len(a.log.String())
		if _, e := a.post(t, 0, control.VerbSetup, control.SetupRequest{Lost: step.lost}, nil); e != nil {
			t.Fatal(e)
		}
		line := a.log.String()[before:]
		if step.want == "" && line != "" || !strings.Contains(line, step.want) || strings.Count(line, "\n") > 1 {
			t.Errorf("step %d: %q, want %q", i, line, step.want)
		}
	}
}
