package bus

import (
	"fmt"
	"testing"
	"unicode/utf8"

	"github.com/totpd/totpd/daemon/internal/audit"
)

func TestSignalsOf(t *testing.T) {
	login := func(result audit.Result, reason string) audit.Event {
		return audit.Event{
			Kind: audit.Login, User: "alice", Service: "sshd", Source: "192.0.2.7", Result: result, Reason: reason,
			Detail: "not for others", Device: "phone", Reference: "7F3K-Q2ND", TTY: "ssh", Caller: "0",
		}
	}
	const refused = "Refused [alice sshd 192.0.2.7 %s 7F3K-Q2ND] "
	for _, tt := range []struct {
		event audit.Event
		want  string
	}{
		{login(audit.Accepted, "code"), ""},
		{login(audit.NotDue, "not_enrolled"), ""},
		{login(audit.Retry, "wrong_code"), ""},
		{login(audit.Refused, "wrong_code"), fmt.Sprintf(refused, "wrong_code")},
		{login(audit.Refused, "wrong_code_locks"), fmt.Sprintf(refused, "wrong_code_locks") + "Locked [alice 7F3K-Q2ND] "},
		{login(audit.Refused, "locked"), fmt.Sprintf(refused, "locked")},
		{login(audit.Refused, "not_own_login"), "root: " + fmt.Sprintf(refused, "not_own_login")},
		{login(audit.Unavailable, "store"), fmt.Sprintf(refused, "store")},
		{login(audit.Abandoned, "before_answer"), fmt.Sprintf(refused, "before_answer")},
		{login(audit.Abandoned, "before_open"), ""},
		{audit.Event{Kind: audit.Enrol, User: "alice", Result: audit.Started, Device: "phone"}, ""},
		{audit.Event{Kind: audit.Enrol, User: "alice", Result: audit.Done, Device: "phone"}, "Enrolled [alice phone] "},
		{audit.Event{Kind: audit.Enrol, User: "alice", Result: audit.Refused, Reason: "wrong_password"}, ""},
		{audit.Event{Kind: audit.Disable, User: "alice", Result: audit.Done, Device: "phone"}, "Disabled [alice] "},
		{audit.Event{Kind: audit.Reset, User: "alice", Result: audit.Done}, "Disabled [alice] "},
		{audit.Event{Kind: audit.Reset, User: "alice", Result: audit.Refused, Reason: "not_allowed"}, ""},
		{audit.Event{Kind: audit.Unlock, User: "alice", Result: audit.Done}, ""},
		{audit.Event{Kind: audit.Disable, User: "alice", Result: audit.Refused, Reason: "wrong_code"}, ""},
		{audit.Event{Kind: audit.Disable, User: "alice", Result: audit.Refused, Reason: "wrong_code_locks", Reference: "X"}, "Locked [alice X] "},
		{audit.Event{Kind: audit.Devices, User: "alice", Result: audit.Refused, Reason: "wrong_code_locks", Reference: "X"}, "Locked [alice X] "},
		{audit.Event{Kind: audit.Recovery, User: "alice", Result: audit.Done}, ""},
		{audit.Event{Kind: audit.Authorize, User: "alice", Result: audit.Accepted}, ""},
		{audit.Event{Kind: audit.Control, User: "alice", Result: audit.Refused, Reason: "not_allowed"}, ""},
		{audit.Event{}, ""},
	} {
		got := ""
		for _, s := range signalsOf(tt.event) {
			if !s.owner {
				got += "root: "
			}
			if s.user != s.body[0] {
				t.Errorf("%+v: about %s, for %s", tt.event, s.body[0], s.user)
			}
			got += fmt.Sprintf("%s %v ", s.name, s.body)
		}
		if got != tt.want {
			t.Errorf("%s %s %s:\n%q, want\n%q", tt.event.Kind, tt.event.Result, tt.event.Reason, got, tt.want)
		}
	}
}

// What a stranger chose is a string that a bus takes: it hangs up on others.
func TestClean(t *testing.T) {
	for _, s := range []string{"a\x00b", "\xff\xfe", "\x1b[2J", "a\nb", "\u202e", "\ufffd"} {
		got := clean(s)
		if !utf8.ValidString(got) || got == s {
			t.Errorf("%q becomes %q", s, got)
		}
		if err := signal(":1.1", "Refused", got).IsValid(); err != nil {
			t.Errorf("%q: %v", s, err)
		}
	}
	if got := clean("Zoë's fob"); got != "Zoë's fob" {
		t.Errorf("%q", got)
	}
}
