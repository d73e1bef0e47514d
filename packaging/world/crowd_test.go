package world

import (
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/wire"
)

// TestFull fills the daemon with logins that wait for a person, each from another address. Others get in all the
// same, and so do those whom it had to hang up on, who are asked once.
func TestFull(t *testing.T) {
	early, late := newPerson(t, "early"), newPerson(t, "late")
	newPerson(t, "crowd")
	waits := ssh(t, sshd, "early")
	waits.answer(passwordPrompt, early.Password)
	waits.see(codePrompt)

	before := strings.Count(Log("totpd"), "hung up on")
	for i := range 4200 {
		c, err := net.Dial("unix", LoginSock)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		open, err := wire.AppendOpen(nil, &wire.Open{User: "crowd", Service: "sshd", RHost: fmt.Sprintf("10.0.%d.%d", i/256, i%256)})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Write(open); err != nil {
			t.Fatal(err)
		}
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		if n, err := c.Read(make([]byte, 1024)); n == 0 || err != nil {
			t.Fatalf("login %d is not asked: %v", i, err)
		}
	}
	s := ssh(t, sshd, "late")
	s.answer(passwordPrompt, late.Password)
	s.answer(codePrompt, late.code(t))
	s.see(`^welcome, late$`)
	s.ends(0)
	if strings.Count(Log("totpd"), "hung up on") == before {
		t.Errorf("the log has no word of it:\n%s", Logs(5))
	}
	if kB := memory(t); kB > 160<<10 {
		t.Errorf("the full daemon took %d kB", kB)
	}

	waits.answer(codePrompt, early.code(t))
	waits.see(`^welcome, early$`)
	waits.never(codePrompt)
	waits.ends(0)
}

// memory is what the daemon has had at the most, in kB.
func memory(t *testing.T) (kB int) {
	t.Helper()
	status := must(os.ReadFile(fmt.Sprintf("/proc/%d/status", daemon.process.Pid)))(t)
	_, peak, _ := strings.Cut(string(status), "VmHWM:")
	if _, err := fmt.Sscan(peak, &kB); err != nil {
		t.Fatal(err)
	}
	return kB
}
