package bus

import (
	"context"
	_ "embed"
	"errors"
	"sync"
	"time"

	"github.com/godbus/dbus/v5"
)

// Limits of the calls that anybody may send.
const (
	callsMax    = 2               // of one connection at once; how many those are is limited by the bus
	lookupsMax  = 64              // at once of the users of callers, shared (package share)
	lookupsEach = 2               // of one uid
	callTime    = 5 * time.Second // for one: the name service may be asked
)

// introspection describes the object. It is also the document of the interface.
//
//go:embed org.totpd.Events.xml
var introspection string

// The names of errors.
const (
	errNameFailed  = "org.freedesktop.DBus.Error.Failed"
	errNameUnknown = "org.freedesktop.DBus.Error.UnknownMethod"
	errNameLimits  = "org.freedesktop.DBus.Error.LimitsExceeded"
)

// nodes are the objects that can be introspected.
var nodes = map[dbus.ObjectPath]string{
	"/":    `<node><node name="org"/></node>`,
	"/org": `<node><node name="totpd"/></node>`,
	Path:   introspection,
}

// methods are all that can be called, without arguments, by interface and name.
var methods = map[[2]string]func(l *link, ctx context.Context, path dbus.ObjectPath, from string) ([]any, error){
	{Interface, "Subscribe"}: func(l *link, ctx context.Context, _ dbus.ObjectPath, from string) ([]any, error) {
		account, err := l.subscribe(ctx, from)
		return []any{account}, err
	},
	{Interface, "Unsubscribe"}: func(l *link, _ context.Context, _ dbus.ObjectPath, from string) ([]any, error) {
		l.subscribers.remove(from)
		return nil, nil
	},
	{"org.freedesktop.DBus.Introspectable", "Introspect"}: func(_ *link, _ context.Context, path dbus.ObjectPath, _ string) ([]any, error) {
		return []any{nodes[path]}, nil
	},
	{"org.freedesktop.DBus.Peer", "Ping"}: func(*link, context.Context, dbus.ObjectPath, string) ([]any, error) {
		return nil, nil
	},
}

// receive takes a call or a signal, in the goroutine that reads.
func (l *link) receive(m *dbus.Message) {
	from := text(m, dbus.FieldSender)
	switch {
	case m.Type == dbus.TypeSignal:
		if from == driver && text(m, dbus.FieldMember) == "NameOwnerChanged" && len(m.Body) == 3 && m.Body[2] == "" {
			name, _ := m.Body[0].(string)
			l.subscribers.remove(name)
		}
	case uniqueName(from):
		if l.calls.add(from, 1) > callsMax {
			l.calls.add(from, -1)
			l.reply(m, failure(m, errNameLimits, "too many calls at once; try again"))
			return
		}
		go func() {
			defer l.calls.add(from, -1)
			l.answer(m, from)
		}()
	}
}

// answer does what is called for.
func (l *link) answer(m *dbus.Message, from string) {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	path, _ := m.Headers[dbus.FieldPath].Value().(dbus.ObjectPath)
	iface, member := text(m, dbus.FieldInterface), text(m, dbus.FieldMember)
	method, known := methods[[2]string{iface, member}]
	if !known || nodes[path] == "" || path != Path && iface == Interface || len(m.Body) != 0 {
		l.reply(m, failure(m, errNameUnknown, "no such method; see the introspection of "+string(Path)))
		return
	}
	body, err := method(l, ctx, path, from)
	switch {
	case errors.Is(err, errTooMany):
		l.reply(m, failure(m, errNameLimits, err.Error()))
	case err != nil:
		l.reply(m, failure(m, errNameFailed, clean(err.Error())))
	default:
		l.reply(m, reply(m, body...))
	}
}

// count counts by name.
type count struct {
	mu sync.Mutex
	of map[string]int
}

// add returns how many there are then.
func (c *count) add(name string, more int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.of[name] + more
	if c.of == nil {
		c.of = map[string]int{}
	}
	if c.of[name] = n; n == 0 {
		delete(c.of, name)
	}
	return n
}

// reply sends an answer where one is wanted.
func (l *link) reply(call, answer *dbus.Message) {
	if call.Flags&dbus.FlagNoReplyExpected != 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	l.send(ctx, answer, nil)
}
