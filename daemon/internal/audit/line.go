package audit

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/coreos/go-systemd/v22/journal"
)

// longest is how many bytes of a field are kept, long how many of a Detail.
const (
	longest = 128
	long    = 512
)

// messageIDs are the MESSAGE_ID of each kind of event, for `journalctl MESSAGE_ID=...`. What each means
// and what helps is in packaging/catalog/totpd.catalog, which journalctl -x shows.
var messageIDs = map[Kind]string{
	Login:     "6f1c2bd0a7e5467d9c3a5b0e8d41f7a2",
	Enrol:     "b2a94e7df1c84d1e8f60327c9ae5d813",
	Disable:   "3d70c5e8924b4f6aa1be68f20c97d45e",
	Authorize: "908674de60384d518883b7d465565796",
	Control:   "0a95302b5a23b102e91ed2607be82fcd",
	Devices:   "efa70960d7c74c5ca0aca3d04aef7da3",
	Recovery:  "3d745d22b7cb49cf873394d6fd9dbf8b",
	Bypass:    "656ff2e9c9ae4670b618a7f371bc6490",
	Export:    "bdeaac6751594a1c9d4fca208e166d40",
	Forget:    "5c1f0a9be3d24c6f8a7db2417e60c935",
	Unlock:    "e44c44f7a9c3ae918545257b5b09bdbd",
	Reset:     "1dec5ea1242133b8079b853211aa2f6d",
	Backup:    "92ccdea11f8a1c3bc66ca66df77b571c",
	Setup:     "a1f0c9d27b5e4d0b8f36e2c47d915b0e",
	Trial:     "4be0a5d9c1f74c2e9a63e85f07d2b691",
}

// field is one part of an event under its name on a line and in the journal.
type field struct{ key, journal, value string }

func (e *Event) all() []field {
	return []field{
		{"kind", "TOTPD_KIND", string(e.Kind)},
		{"user", "TOTPD_USER", e.User},
		{"result", "TOTPD_RESULT", string(e.Result)},
		{"reason", "TOTPD_REASON", e.Reason},
		{"reference", "TOTPD_REFERENCE", e.Reference},
		{"service", "TOTPD_SERVICE", e.Service},
		{"source", "TOTPD_SOURCE", e.Source},
		{"tty", "TOTPD_TTY", e.TTY},
		{"caller_uid", "TOTPD_CALLER_UID", e.Caller},
		{"action", "TOTPD_ACTION", e.Action},
		{"device", "TOTPD_DEVICE", e.Device},
		{"detail", "TOTPD_DETAIL", e.Detail},
	}
}

// Cut returns the event with long fields shortened. Cut again it stays the same.
func (e Event) Cut() Event {
	for _, s := range []*string{&e.User, &e.Service, &e.Source, &e.TTY, &e.Caller, &e.Reason, &e.Action, &e.Device, &e.Reference, &e.Asker} {
		*s = cut(*s, longest)
	}
	e.Detail = cut(e.Detail, long)
	return e
}

func cut(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}

// line is the event as key=value, one line whatever its values hold.
func (e *Event) line() string {
	var b strings.Builder
	for _, f := range e.all() {
		if f.value == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(f.key)
		b.WriteByte('=')
		b.WriteString(quoted(f.value))
	}
	return b.String()
}

// quoted returns s as it is when it is a plain word, else in quotes with everything escaped that is
// not printable.
func quoted(s string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:/@+-", r)
	}
	for _, r := range s {
		if !plain(r) {
			return strconv.Quote(s)
		}
	}
	return s
}

// fields are the journal's.
func (e *Event) fields() map[string]string {
	m := map[string]string{"MESSAGE_ID": messageIDs[e.Kind], "SYSLOG_IDENTIFIER": "totpd"}
	for _, f := range e.all() {
		if f.value != "" {
			m[f.journal] = f.value
		}
	}
	return m
}

func (e *Event) priority() journal.Priority {
	if e.Kind == Trial {
		return journal.PriInfo
	}
	switch e.Result {
	case Unavailable, Lost:
		return journal.PriErr
	case Refused, Retry:
		return journal.PriNotice
	}
	return journal.PriInfo
}
