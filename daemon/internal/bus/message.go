package bus

import (
	"strings"

	"github.com/godbus/dbus/v5"
)

// message returns a message with a body.
func message(kind dbus.Type, headers map[dbus.HeaderField]dbus.Variant, body []any) *dbus.Message {
	if len(body) > 0 {
		headers[dbus.FieldSignature] = dbus.MakeVariant(dbus.SignatureOf(body...))
	}
	return &dbus.Message{Type: kind, Headers: headers, Body: body}
}

func methodCall(to string, path dbus.ObjectPath, iface, method string, body ...any) *dbus.Message {
	return message(dbus.TypeMethodCall, map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(to),
		dbus.FieldPath:        dbus.MakeVariant(path),
		dbus.FieldInterface:   dbus.MakeVariant(iface),
		dbus.FieldMember:      dbus.MakeVariant(method),
	}, body)
}

// signal is for one receiver, and nobody else hears of it.
func signal(to, name string, body ...any) *dbus.Message {
	return message(dbus.TypeSignal, map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(to),
		dbus.FieldPath:        dbus.MakeVariant(Path),
		dbus.FieldInterface:   dbus.MakeVariant(Interface),
		dbus.FieldMember:      dbus.MakeVariant(name),
	}, body)
}

func reply(call *dbus.Message, body ...any) *dbus.Message {
	return message(dbus.TypeMethodReply, answering(call), body)
}

func failure(call *dbus.Message, name, text string) *dbus.Message {
	headers := answering(call)
	headers[dbus.FieldErrorName] = dbus.MakeVariant(name)
	return message(dbus.TypeError, headers, []any{text})
}

func answering(call *dbus.Message) map[dbus.HeaderField]dbus.Variant {
	return map[dbus.HeaderField]dbus.Variant{
		dbus.FieldDestination: dbus.MakeVariant(text(call, dbus.FieldSender)),
		dbus.FieldReplySerial: dbus.MakeVariant(call.Serial()),
	}
}

// text returns a header that is a string, or "".
func text(m *dbus.Message, field dbus.HeaderField) string {
	s, _ := m.Headers[field].Value().(string)
	return s
}

// first returns the only value of a body, when it is a T.
func first[T any](body []any) T {
	var none T
	if len(body) != 1 {
		return none
	}
	v, _ := body[0].(T)
	return v
}

// uniqueName says whether name could be what a bus calls a connection, such as :1.42.
func uniqueName(name string) bool {
	return len(name) > 1 && len(name) <= 255 && name[0] == ':' && !strings.ContainsFunc(name[1:], func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && r != '.' && r != '_' && r != '-'
	})
}
