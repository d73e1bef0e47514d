package audit

import (
	"bytes"
	"context"
	"reflect"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/coreos/go-systemd/v22/journal"
)

var refused = Event{
	Kind: Login, User: "alice", Service: "sshd", Source: "192.0.2.7", TTY: "ssh", Caller: "0",
	Result: Refused, Reason: "wrong_code", Reference: "7F3K-Q2ND",
}

func lines(events ...Event) string {
	var b bytes.Buffer
	l := New(&b)
	for _, e := range events {
		l.Record(e)
	}
	return b.String()
}

func TestLine(t *testing.T) {
	want := "kind=login user=alice result=refused reason=wrong_code reference=7F3K-Q2ND " +
		"service=sshd source=192.0.2.7 tty=ssh caller_uid=0\n"
	if got := lines(refused); got != want {
		t.Errorf("got  %swant %s", got, want)
	}
}

func TestJournalFields(t *testing.T) {
	e := refused
	e.Detail = "no space left on device"
	want := map[string]string{
		"MESSAGE_ID": messageIDs[Login], "SYSLOG_IDENTIFIER": "totpd", "TOTPD_KIND": "login", "TOTPD_USER": "alice", "TOTPD_SERVICE": "sshd",
		"TOTPD_SOURCE": "192.0.2.7", "TOTPD_TTY": "ssh", "TOTPD_CALLER_UID": "0", "TOTPD_RESULT": "refused",
		"TOTPD_REASON": "wrong_code", "TOTPD_REFERENCE": "7F3K-Q2ND", "TOTPD_DETAIL": "no space left on device",
	}
	if got := e.fields(); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	for result, want := range map[Result]journal.Priority{
		Accepted: journal.PriInfo, NotDue: journal.PriInfo, Done: journal.PriInfo, Refused: journal.PriNotice, Unavailable: journal.PriErr,
	} {
		if got := (&Event{Result: result}).priority(); got != want {
			t.Errorf("%s: priority %d, want %d", result, got, want)
		}
	}
	id := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for _, kind := range []Kind{Login, Enrol, Disable, Authorize, Control} {
		if !id.MatchString(messageIDs[kind]) {
			t.Errorf("%s has no MESSAGE_ID", kind)
		}
	}
}

// No name makes a second line or a second key.
func TestNamesCannotForge(t *testing.T) {
	for _, name := range []string{
		"alice\nkind=login user=root result=accepted", "alice result=accepted", "alice\" result=accepted \"",
		"alice\r\x1b[2J", "\u202eecila", "alice\u2028root", "alice\x00root", "\xff\xfe", "=", "a=b", "\t",
	} {
		e := refused
		e.User, e.Source, e.TTY, e.Service, e.Detail = name, name, name, name, name
		got := lines(e)
		if strings.Count(got, "\n") != 1 || !strings.HasSuffix(got, "\n") {
			t.Errorf("%q makes several lines: %s", name, got)
		}
		if regexp.MustCompile(`[^\x20-\x7e\n…]`).MatchString(got) {
			t.Errorf("%q is printed as it is: %q", name, got)
		}
		bare := regexp.MustCompile(`"(\\.|[^"\\])*"`).ReplaceAllString(got, "")
		if strings.Count(bare, "result=") != 1 || strings.Count(bare, "user=") != 1 {
			t.Errorf("%q forges a key: %s", name, got)
		}
	}
}

func TestLongNamesAreCut(t *testing.T) {
	e := refused
	e.User, e.Source, e.Detail = strings.Repeat("ü", 5000), strings.Repeat("a", 10000), strings.Repeat("b", 10000)
	if got := lines(e); len(got) > 1200 || !strings.Contains(got, "üü…") {
		t.Errorf("%d bytes: %s", len(got), got)
	}
	e = e.Cut()
	if again := e.Cut(); again != e {
		t.Errorf("cut again it is %+v, was %+v", again, e)
	}
	for name, value := range e.fields() {
		if len(value) > long+len("…") {
			t.Errorf("%s has %d bytes", name, len(value))
		}
	}
	if got := cut("\x80\x80\x80", 2); got != "…" {
		t.Errorf("no character begins there: %q", got)
	}
}

func TestLinesStayWhole(t *testing.T) {
	var b bytes.Buffer
	l := New(&b)
	var wait sync.WaitGroup
	for range 50 {
		wait.Go(func() { l.Record(refused) })
	}
	wait.Wait()
	if b.String() != strings.Repeat(lines(refused), 50) {
		t.Errorf("lines are mixed up:\n%s", b.String())
	}
}

func TestReferences(t *testing.T) {
	good := regexp.MustCompile(`^[2-9A-HJKMNP-TV-Z]{4}-[2-9A-HJKMNP-TV-Z]{4}$`)
	seen := map[string]bool{}
	for range 10000 {
		ref := NewReference()
		if !good.MatchString(ref) || seen[ref] {
			t.Fatalf("%q", ref)
		}
		seen[ref] = true
	}
}

func TestCaller(t *testing.T) {
	if got := CallerOf(context.Background()); got != "" {
		t.Errorf("nobody is %q", got)
	}
	if got := CallerOf(WithCaller(context.Background(), 4294967295)); got != "4294967295" {
		t.Errorf("got %q", got)
	}
}

// A listener hears of each event once it is written, cut as the line is.
func TestTell(t *testing.T) {
	var b bytes.Buffer
	var heard []Event
	l := New(&b)
	l.Tell(func(e Event) {
		if !strings.Contains(b.String(), e.Reference) {
			t.Error("told before it was written")
		}
		heard = append(heard, e)
	})
	e := refused
	e.Source = strings.Repeat("x", 1000)
	l.Record(e)
	if len(heard) != 1 || heard[0].User != "alice" || len(heard[0].Source) > longest+len("…") {
		t.Errorf("%+v", heard)
	}
}

// A trial is a line of the journal, and nobody hears of it otherwise: no history, no signal.
func TestTrialIsToldToNobody(t *testing.T) {
	var b bytes.Buffer
	l := New(&b)
	l.Tell(func(e Event) { t.Errorf("told of %+v", e) })
	l.Record(Event{Kind: Trial, User: "nobody", Service: "sshd", Result: NotDue, Reason: "trial"})
	if want := "kind=trial user=nobody result=not_due reason=trial service=sshd\n"; b.String() != want {
		t.Errorf("got %q", b.String())
	}
}
