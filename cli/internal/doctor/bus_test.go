package doctor

import (
	"bufio"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// bus is a real message bus with stand-ins for systemd and timedated on it.
type bus struct {
	address string
	conn    *dbus.Conn
	units   map[string]*object // by name; changed by the tests
	clock   *object
}

// object is one of them, by its properties. It answers as org.freedesktop.DBus.Properties.
type object struct {
	mu  sync.Mutex
	all map[string]any
}

func (o *object) set(name string, value any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all[name] = value
}

// GetAll gives the same properties for every interface.
func (o *object) GetAll(string) (map[string]dbus.Variant, *dbus.Error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := map[string]dbus.Variant{}
	for name, value := range o.all {
		all[name] = dbus.MakeVariant(value)
	}
	return all, nil
}

const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN" "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><listen>unix:path=DIR/bus</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/></policy></busconfig>`

func newBus(t *testing.T) *bus {
	t.Helper()
	dir, err := os.MkdirTemp("", "bus") // a test's name may have what an address can't
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	config := filepath.Join(dir, "bus.conf")
	if err := os.WriteFile(config, []byte(strings.ReplaceAll(busConfig, "DIR", dir)), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("dbus-daemon", "--nofork", "--nopidfile", "--print-address", "--config-file="+config)
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("a message bus: %v", err)
	}
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("a message bus: %v", err)
	}
	b := &bus{address: strings.TrimSpace(address)}
	if b.conn, err = dbus.Connect(b.address); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { b.conn.Close() })
	for _, name := range []string{"org.freedesktop.systemd1", "org.freedesktop.timedate1"} {
		if _, err := b.conn.RequestName(name, 0); err != nil {
			t.Fatal(err)
		}
	}
	b.fill()
	return b
}

// fill puts on the bus what a healthy host has.
func (b *bus) fill() {
	b.clock = b.export("/org/freedesktop/timedate1", map[string]any{"NTPSynchronized": true, "CanNTP": true, "NTP": true})
	b.units = map[string]*object{}
	type pair struct{ Kind, Path string }
	for name, own := range map[string]map[string]any{
		"totpd.socket":          {"Listen": []pair{{"Stream", "/run/totpd/login.sock"}, {"Stream", "/run/totpd/control.sock"}}},
		"totpd-password.socket": {"Listen": []pair{{"Stream", "/run/totpd/password.sock"}}},
		"totpd.service":         {"MainPID": uint32(4711), "LoadCredentialEncrypted": []pair{{"totpd.key", "totpd.key"}}},
		"ssh.service":           {"MainPID": uint32(22)},
		"sshd.service":          {"LoadState": "not-found", "ActiveState": "inactive"},
	} {
		all := map[string]any{
			"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": false,
			"Result": "success", "StateChangeTimestamp": uint64(time.Now().Add(time.Hour).UnixMicro()),
		}
		maps.Copy(all, own)
		b.units[name] = b.export(dbus.ObjectPath("/org/freedesktop/systemd1/unit/"+systemd.PathBusEscape(name)), all)
	}
}

func (b *bus) export(path dbus.ObjectPath, all map[string]any) *object {
	o := &object{all: all}
	b.conn.Export(o, path, "org.freedesktop.DBus.Properties")
	return o
}
