package bus

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/user"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/totpd/totpd/packaging/testbus"
)

// The others: two users who are not root.
const (
	nobody = 65534 // called nobody
	games  = 5     // called games
)

// joinAs has the test binary be another process on the bus of this address, until its standard input
// ends. It prints its name.
const joinAs = "TOTPD_TEST_JOIN"

func TestMain(m *testing.M) {
	if address := os.Getenv(joinAs); address != "" {
		c, err := dbus.Connect(address)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		fmt.Println(c.Names()[0])
		io.Copy(io.Discard, os.Stdin)
		return
	}
	os.Exit(m.Run())
}

// world is a bus and a daemon's place on it. Tests with one run beside each other: mostly they wait.
type world struct {
	*testbus.Bus
	daemon *Bus
	log    *lines
}

func newWorld(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	w := &world{log: &lines{}, Bus: newTestBus(t)}
	w.daemon = Open(w.Address(), nameOf, log.New(w.log, "", 0))
	t.Cleanup(w.daemon.Close)
	w.connected(t)
	return w
}

func newTestBus(t *testing.T) *testbus.Bus {
	t.Helper()
	dir, err := os.MkdirTemp("", "totpd") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	b, err := testbus.New(dir, "../../../packaging/dbus/org.totpd.conf")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Stop)
	return b
}

func nameOf(_ context.Context, uid uint32) (string, error) {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return "", err
	}
	return u.Username, nil
}

// connected waits until the daemon is on the bus by its name.
func (w *world) connected(t *testing.T) {
	t.Helper()
	if !testbus.Eventually(func() bool {
		c, err := dbus.Connect(w.Address())
		if err != nil {
			return false
		}
		defer c.Close()
		var has bool
		return c.BusObject().Call("org.freedesktop.DBus.NameHasOwner", 0, Name).Store(&has) == nil && has && w.daemon.connection() != nil
	}) {
		t.Fatalf("the daemon is not on the bus:\n%s", w.log)
	}
}

// join connects to the bus as the user uid.
func (w *world) join(t *testing.T, uid int) *dbus.Conn {
	t.Helper()
	if uid != os.Geteuid() && os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	c, err := w.Join(uid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// soon is a context for what takes no time.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// lines is what was logged.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
