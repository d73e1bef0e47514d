package audit

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/coreos/go-systemd/v22/journal"
)

// sending returns a log whose journal is send, with the writer that it falls back to.
func sending(send func(string, journal.Priority, map[string]string) error) (*Log, *bytes.Buffer) {
	var w bytes.Buffer
	l := New(&w)
	l.send = send
	return l, &w
}

func TestJournal(t *testing.T) {
	var got []string
	l, w := sending(func(line string, p journal.Priority, fields map[string]string) error {
		got = append(got, line+" "+fields["TOTPD_REFERENCE"])
		return nil
	})
	l.Record(Event{Kind: Login, User: "alice", Result: Refused, Reference: "7F3K-Q2ND"})
	if len(got) != 1 || !strings.Contains(got[0], "user=alice") || !strings.HasSuffix(got[0], " 7F3K-Q2ND") {
		t.Errorf("the journal has %q", got)
	}
	if w.Len() != 0 {
		t.Errorf("written twice: %s", w)
	}
}

func TestJournalRefuses(t *testing.T) {
	l, w := sending(func(string, journal.Priority, map[string]string) error { return errors.New("gone") })
	l.Record(Event{Kind: Login, User: "alice", Result: Refused})
	if !strings.Contains(w.String(), "user=alice") {
		t.Errorf("the line is lost: %q", w)
	}
}

// A journald that hangs delays a login a little, and many logins not at all.
func TestJournalHangs(t *testing.T) {
	hang := make(chan struct{})
	defer close(hang)
	l, _ := sending(func(string, journal.Priority, map[string]string) error { <-hang; return nil })
	for range slowMax - 1 {
		l.slow <- struct{}{}
	}
	begin := time.Now()
	l.Record(Event{Kind: Login})
	if waited := time.Since(begin); waited < patience || waited > 20*patience {
		t.Errorf("waited %v", waited)
	}
	begin = time.Now()
	for range 1000 {
		l.Record(Event{Kind: Login})
	}
	if waited := time.Since(begin); waited > 20*patience {
		t.Errorf("then waited %v", waited)
	}
}
