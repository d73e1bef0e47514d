package doctor

import (
	"context"
	"fmt"

	systemd "github.com/coreos/go-systemd/v22/dbus"
	"github.com/godbus/dbus/v5"
)

// dial connects to the system bus of the host until ctx ends. A tree has none unless one is named.
func (x *exam) dial(ctx context.Context) (*dbus.Conn, error) {
	switch {
	case x.Bus != "":
		return dbus.Connect(x.Bus, dbus.WithContext(ctx))
	case x.Root != "":
		return nil, fmt.Errorf("no system bus is named")
	}
	return dbus.ConnectSystemBus(dbus.WithContext(ctx))
}

// systemd connects to the service manager until ctx ends: over the bus, else, as root, to its own socket.
func (x *exam) systemd(ctx context.Context) (*systemd.Conn, error) {
	conn, err := systemd.NewConnection(func() (*dbus.Conn, error) { return x.dial(ctx) })
	if err == nil || x.UID != 0 || x.Root != "" {
		return conn, err
	}
	if own, e := systemd.NewSystemdConnectionContext(ctx); e == nil {
		return own, nil
	}
	return nil, err
}

// properties returns all properties of one interface of an object. A service that isn't running is
// started by the bus.
func properties(ctx context.Context, conn *dbus.Conn, service string, path dbus.ObjectPath, iface string) (map[string]dbus.Variant, error) {
	var all map[string]dbus.Variant
	err := conn.Object(service, path).CallWithContext(ctx, "org.freedesktop.DBus.Properties.GetAll", 0, iface).Store(&all)
	return all, err
}
