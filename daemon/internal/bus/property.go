package bus

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// Property asks a service on the bus for one of its properties, within ctx and patience. With start, the
// bus may start the service for that; without, one that doesn't run is an error.
func (b *Bus) Property(ctx context.Context, service, path, name string, start bool) (any, error) {
	c := b.connection()
	if c == nil {
		return nil, ErrNoBus
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	m := methodCall(service, dbus.ObjectPath(path), "org.freedesktop.DBus.Properties", "Get", service, name)
	if !start {
		m.Flags = dbus.FlagNoAutoStart
	}
	body, err := c.call(ctx, m)
	value := first[dbus.Variant](body).Value()
	if err == nil && value == nil {
		err = errLies
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s for %s: %w", service, name, err)
	}
	return value, nil
}
