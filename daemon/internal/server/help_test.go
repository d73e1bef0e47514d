package server

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// TestLog needs root, to be another user. The owner sees what happened; root sees what was the matter, too.
func TestLog(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be two people")
	}
	a := serveControl(t)
	for _, e := range []audit.Event{
		{Kind: audit.Login, User: "nobody", Service: "sshd", Source: "192.0.2.7", Caller: "0", Result: audit.Accepted, Device: "phone", Detail: "secret of root's"},
		{Kind: audit.Login, User: "games", Result: audit.Refused, Reference: "7F3K-Q2ND"},
		{Kind: audit.Login, User: "nobody", Service: "words of a stranger", Caller: "5", Result: audit.Refused, Reason: "not_own_login"},
		{Kind: audit.Authorize, User: "nobody", Caller: "5", Action: "org.totpd.manage.status", Result: audit.Accepted},
		{Kind: audit.Unlock, User: "nobody", Caller: "0", Result: audit.Done, Action: "org.totpd.manage.unlock"},
	} {
		e.At = time.Now()
		a.store.Record(e)
	}
	ask := func(uid int, verb control.Verb, r control.LogRequest) (ids string, entries []control.LogEntry) {
		t.Helper()
		var log control.Log
		if _, e := a.post(t, uid, verb, r, &log); e != nil {
			t.Fatal(e)
		}
		for _, e := range log.Entries {
			ids += fmt.Sprint(e.ID, " ")
		}
		return ids, log.Entries
	}
	eventually(t, func() bool {
		ids, _ := ask(0, control.VerbLogAll, control.LogRequest{})
		return ids == "1 2 3 4 5 "
	})
	for _, tt := range []struct {
		uid  int
		verb control.Verb
		r    control.LogRequest
		want string
	}{
		{stranger, control.VerbLog, control.LogRequest{}, "1 5 "},
		{stranger, control.VerbLog, control.LogRequest{User: "nobody", Limit: 1}, "5 "},
		{stranger, control.VerbLog, control.LogRequest{After: 1}, "5 "},
		{stranger, control.VerbLog, control.LogRequest{Before: 5}, "1 "},
		{stranger, control.VerbLog, control.LogRequest{Reference: "7F3K-Q2ND"}, ""},
		{0, control.VerbLog, control.LogRequest{User: "nobody"}, "1 3 4 5 "},
		{0, control.VerbLogAll, control.LogRequest{Reference: "7F3K-Q2ND"}, "2 "},
		{0, control.VerbLogAll, control.LogRequest{Since: time.Now().Add(time.Hour)}, ""},
	} {
		if got, _ := ask(tt.uid, tt.verb, tt.r); got != tt.want {
			t.Errorf("uid %d, %s %+v: %q, want %q", tt.uid, tt.verb, tt.r, got, tt.want)
		}
	}
	_, own := ask(stranger, control.VerbLog, control.LogRequest{})
	for _, e := range own {
		if e.Detail != "" || e.Action != "" {
			t.Errorf("the owner sees %+v", e)
		}
	}
	_, all := ask(0, control.VerbLog, control.LogRequest{User: "nobody"})
	if all[0].Detail == "" || all[3].Action == "" || all[0].Source != "192.0.2.7" || all[0].Caller != "0" {
		t.Errorf("root sees %+v", all)
	}

	var shown control.Shown
	if _, e := a.post(t, 0, control.VerbShow, control.ShowRequest{User: "nobody"}, &shown); e != nil {
		t.Fatal(e)
	}
	if len(shown.Logins) != 2 || shown.User != "nobody" {
		t.Errorf("%+v", shown)
	}
}

// An answer is never longer than the client takes, whatever strangers have put into it.
func TestLongestLog(t *testing.T) {
	a := serveControl(t)
	junk := ""
	for range 600 {
		junk += "\xff"
	}
	for range control.LogMax + 1 {
		a.store.Record(audit.Event{
			At: time.Now(), Kind: audit.Login, User: junk, Service: junk, Source: junk, TTY: junk, Caller: junk, Result: audit.Refused,
			Reason: junk, Detail: junk, Action: junk, Device: junk, Reference: junk,
		})
	}
	client := control.NewClient(a.path)
	eventually(t, func() bool {
		log, err := client.LogAll(t.Context(), control.LogRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return len(log.Entries) == control.LogMax && log.Entries[0].ID == 2
	})
}

// Whoever hangs up while the history is read, as totpctl log -f does in the end, leaves no line that says the
// accounts can't be read.
func TestLogHungUp(t *testing.T) {
	a := serveControl(t)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&call{control: a.Control, verb: control.VerbLogAll}).logAll(gone, control.LogRequest{}); err == nil {
		t.Error("there is an answer")
	}
	if said := a.log.String(); strings.Contains(said, "kind=") {
		t.Error(said)
	}
}
