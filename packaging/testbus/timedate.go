package testbus

import (
	"errors"

	"github.com/godbus/dbus/v5"
	"github.com/godbus/dbus/v5/prop"
)

const timedate = "org.freedesktop.timedate1"

// Timedate stands in for systemd-timedated on a bus, which says whether the host's clock is synchronised.
type Timedate struct {
	conn  *dbus.Conn
	props *prop.Properties
}

// NewTimedate puts one on the bus.
func NewTimedate(b *Bus, synchronised bool) (*Timedate, error) {
	conn, err := dbus.Connect(b.Address())
	if err != nil {
		return nil, err
	}
	props, err := prop.Export(conn, "/org/freedesktop/timedate1", prop.Map{timedate: {
		"NTPSynchronized": {Value: synchronised},
		"Timezone":        {Value: "Etc/UTC"},
	}})
	if err == nil {
		var reply dbus.RequestNameReply
		reply, err = conn.RequestName(timedate, dbus.NameFlagDoNotQueue)
		if err == nil && reply != dbus.RequestNameReplyPrimaryOwner {
			err = errors.New("there is one already")
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &Timedate{conn, props}, nil
}

// Set changes what it says.
func (t *Timedate) Set(synchronised bool) { t.props.SetMust(timedate, "NTPSynchronized", synchronised) }

// Close takes it from the bus.
func (t *Timedate) Close() { t.conn.Close() }
