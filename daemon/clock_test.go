package main

import (
	"os"
	"strings"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
	"github.com/totpd/totpd/packaging/testbus"
)

// TestClockNotSynchronised needs root, who gives nobody a second factor. That nothing keeps the host's
// clock right is told when the daemon starts, and by the line of a refusal that could come of it.
func TestClockNotSynchronised(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	w := newWorld(t)
	b := w.newBus(t)
	service, err := testbus.NewTimedate(b, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(service.Close)
	r := w.start(t, onBus(b))
	w.give(t, "nobody")
	r.logLine(t, "clock: the host's clock is not synchronised: ")
	if got := w.login(t, "nobody", "000000"); got == wire.Accepted {
		t.Fatalf("%v", got)
	}
	r.logLine(t, `reason=wrong_code`)
	for line := range strings.Lines(r.log.String()) {
		if strings.Contains(line, "reason=wrong_code") && !strings.Contains(line, `the host's clock is not synchronised"`) {
			t.Errorf("the line of the refusal: %s", line)
		}
	}
}
