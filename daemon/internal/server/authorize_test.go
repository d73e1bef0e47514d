package server

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/bus"
	"github.com/totpd/totpd/packaging/testbus"
)

// withPolkit is a management API whose polkit answers as the test says, over a real bus.
type withPolkit struct {
	*api
	bus    *testbus.Bus
	polkit *testbus.Polkit

	mu     sync.Mutex
	answer func(testbus.Check) testbus.Result
	checks []testbus.Check
}

func servePolkit(t *testing.T) *withPolkit {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be somebody else")
	}
	dir, err := os.MkdirTemp("", "totpd")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p := &withPolkit{answer: func(testbus.Check) testbus.Result { return testbus.Result{Authorized: true} }}
	if p.bus, err = testbus.New(dir, "../../../packaging/dbus/org.totpd.conf"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.bus.Stop)
	p.polkit, err = testbus.NewPolkit(p.bus, func(c testbus.Check) testbus.Result {
		p.mu.Lock()
		p.checks = append(p.checks, c)
		answer := p.answer
		p.mu.Unlock()
		return answer(c)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.polkit.Close)
	b := bus.Open(p.bus.Address(), NewNames().OfUID, (&lines{}).logger())
	t.Cleanup(b.Close)
	p.api = serveControl(t, func(parts *Parts) { parts.Authorize = b.Authorize })
	name := p.join(t, stranger)
	eventually(t, func() bool {
		_, e := p.post(t, stranger, control.VerbUsers, control.UsersRequest{}, nil, control.HeaderBusName, name)
		return e == nil
	})
	p.said()
	return p
}

// join returns the name of this process on the bus, as the user uid.
func (p *withPolkit) join(t *testing.T, uid int) string {
	t.Helper()
	c, err := p.bus.Join(uid)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.Names()[0]
}

// says sets polkit's answer.
func (p *withPolkit) says(answer func(testbus.Check) testbus.Result) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answer = answer
}

// said returns what polkit was asked since the last time.
func (p *withPolkit) said() []testbus.Check {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer func() { p.checks = nil }()
	return p.checks
}

const tokenURI = "otpauth://totp/x?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"

// TestAdminsByPolkit needs root, to be another user.
func TestAdminsByPolkit(t *testing.T) {
	p := servePolkit(t)
	name := p.join(t, stranger)
	for _, tt := range []struct {
		verb    control.Verb
		request any
		action  string
		user    string
		want    control.ErrorCode
	}{
		{control.VerbUsers, control.UsersRequest{}, "users", "", ""},
		{control.VerbStatus, control.StatusRequest{User: "games"}, "status", "games", ""},
		{control.VerbStatus, control.StatusRequest{User: "no-such-user"}, "status", "no-such-user", control.ErrUnknownUser},
		{control.VerbSet, control.SetRequest{User: "games", URI: tokenURI}, "enrol", "games", ""},
		{control.VerbSet, control.SetRequest{User: "games", URI: tokenURI, Name: "token"}, "enrol", "games", control.ErrNameTaken},
		{control.VerbEnrol, control.EnrolRequest{User: "games"}, "enrol", "games", ""},
		{control.VerbConfirm, control.ConfirmRequest{User: "games", Code: "12345"}, "enrol", "games", ""},
		{control.VerbEnrol, control.EnrolRequest{User: "games", Unconfirmed: true}, "enrol", "games", ""},
		{control.VerbRename, control.RenameRequest{User: "games", From: "phone", To: "old phone"}, "devices", "games", ""},
		{control.VerbRemove, control.RemoveRequest{User: "games", Name: "old phone"}, "devices", "games", ""},
		{control.VerbBypass, control.BypassRequest{User: "games", For: 3600, Uses: 1}, "bypass", "games", ""},
		{control.VerbRevoke, control.RevokeRequest{User: "games"}, "bypass", "games", ""},
		{control.VerbDisable, control.DisableRequest{User: "games"}, "disable", "games", ""},
		{control.VerbSet, control.SetRequest{User: "nobody", URI: tokenURI}, "enrol", "nobody", ""},
		{control.VerbShow, control.ShowRequest{User: "games"}, "status", "games", ""},
		{control.VerbUnlock, control.UnlockRequest{User: "games"}, "unlock", "games", ""},
		{control.VerbUnlock, control.UnlockRequest{User: "nobody"}, "unlock", "nobody", ""}, // one's own lock too
		{control.VerbReset, control.ResetRequest{User: "games"}, "reset", "games", ""},
		{control.VerbLog, control.LogRequest{User: "games"}, "log", "games", ""},
		{control.VerbLogAll, control.LogRequest{}, "log", "", ""},
		{control.VerbLog, control.LogRequest{}, "", "", ""},
		// For their own, polkit isn't asked: the second factor has to be shown.
		{control.VerbStatus, control.StatusRequest{}, "", "", ""},
		{control.VerbStatus, control.StatusRequest{User: "nobody"}, "", "", ""},
		{control.VerbDisable, control.DisableRequest{}, "", "", control.ErrBadRequest},
		{control.VerbDisable, control.DisableRequest{User: "nobody"}, "", "", control.ErrBadRequest},
		// And for what no admin may.
		{control.VerbImport, control.ImportRequest{Users: []control.ImportUser{{User: "games"}}, Replace: true}, "", "", control.ErrNotAllowed},
		{control.VerbRecoveryCodes, control.RecoveryCodesRequest{User: "games"}, "", "", control.ErrNotAllowed},
		{control.VerbExport, control.ExportRequest{User: "games", Code: "123456"}, "", "", control.ErrNotAllowed},
		{control.VerbVersion, control.Nothing{}, "", "", ""},
	} {
		_, e := p.post(t, stranger, tt.verb, tt.request, nil, control.HeaderBusName, name)
		what := fmt.Sprintf("%s %+v", tt.verb, tt.request)
		switch {
		case tt.want != "":
			p.expect(t, what, tt.want, e)
		case e != nil:
			t.Errorf("%s: %s: %s", what, e.Code, e.Message)
		}
		checks := p.said()
		switch {
		case tt.action == "" && len(checks) > 0:
			t.Errorf("%s: polkit was asked %+v", what, checks)
		case tt.action == "":
		case len(checks) != 1:
			t.Errorf("%s: polkit was asked %+v", what, checks)
		default:
			c := checks[0]
			if c.Action != "org.totpd.manage."+tt.action || c.Details["user"] != tt.user || c.Details["verb"] != tt.action || c.Interactive || c.BusName != name {
				t.Errorf("%s: polkit was asked %+v", what, c)
			}
			line := "kind=authorize "
			if tt.user != "" {
				line += "user=" + tt.user + " "
			}
			if !strings.Contains(p.log.String(), line+"result=accepted reason=polkit ") || !strings.Contains(p.log.String(), "caller_uid=65534 action="+c.Action) {
				t.Errorf("%s: no line in the journal:\n%s", what, p.log)
			}
		}
	}
}

// TestRefusedByPolkit needs root, to be another user. Whatever polkit says but yes, nothing happens, and
// nothing is told about the account.
func TestRefusedByPolkit(t *testing.T) {
	p := servePolkit(t)
	if _, e := p.post(t, 0, control.VerbSet, control.SetRequest{User: "games", URI: tokenURI}, nil); e != nil {
		t.Fatal(e)
	}
	name := p.join(t, stranger)
	for what, tt := range map[string]struct {
		result  testbus.Result
		headers []string
		want    control.ErrorCode
	}{
		"no":                         {testbus.Result{}, []string{control.HeaderBusName, name}, control.ErrNotAllowed},
		"a password first":           {testbus.Result{Challenge: true}, []string{control.HeaderBusName, name}, control.ErrAuthenticate},
		"a password, nobody to give": {testbus.Result{Challenge: true}, []string{control.HeaderBusName, name, control.HeaderInteractive, "yes"}, control.ErrAuthenticate},
		"dismissed":                  {testbus.Result{Details: map[string]string{"polkit.dismissed": "1"}}, []string{control.HeaderBusName, name, control.HeaderInteractive, "yes"}, control.ErrNotAllowed},
		"no name":                    {testbus.Result{Authorized: true}, nil, control.ErrNotAllowed},
		"waits without a name":       {testbus.Result{Authorized: true}, []string{control.HeaderInteractive, "yes"}, control.ErrNotAllowed},
		"root's name":                {testbus.Result{Authorized: true}, []string{control.HeaderBusName, p.join(t, 0)}, control.ErrNotAllowed},
		"a third's name":             {testbus.Result{Authorized: true}, []string{control.HeaderBusName, p.join(t, 5)}, control.ErrNotAllowed},
		"an empty name":              {testbus.Result{Authorized: true}, []string{control.HeaderBusName, ""}, control.ErrBadRequest},
		"two names":                  {testbus.Result{Authorized: true}, []string{control.HeaderBusName, name, control.HeaderBusName, name}, control.ErrBadRequest},
		"waits perhaps":              {testbus.Result{Authorized: true}, []string{control.HeaderBusName, name, control.HeaderInteractive, "1"}, control.ErrBadRequest},
	} {
		p.says(func(testbus.Check) testbus.Result { return tt.result })
		for verb, request := range map[control.Verb]any{
			control.VerbUsers:   control.UsersRequest{},
			control.VerbStatus:  control.StatusRequest{User: "games"},
			control.VerbSet:     control.SetRequest{User: "man", URI: tokenURI},
			control.VerbDisable: control.DisableRequest{User: "games", Password: "right"},
			control.VerbShow:    control.ShowRequest{User: "games"},
			control.VerbUnlock:  control.UnlockRequest{User: "games"},
			control.VerbReset:   control.ResetRequest{User: "games"},
			control.VerbLog:     control.LogRequest{User: "games"},
			control.VerbLogAll:  control.LogRequest{},
			control.VerbEnrol:   control.EnrolRequest{User: "man", Password: "right", Unconfirmed: true},
			control.VerbRename:  control.RenameRequest{User: "games", From: "token", To: "x"},
			control.VerbRemove:  control.RemoveRequest{User: "games", Name: "token", Password: "right"},
			control.VerbBypass:  control.BypassRequest{User: "man", For: 3600, Uses: 1},
			control.VerbRevoke:  control.RevokeRequest{User: "man"},
		} {
			_, e := p.post(t, stranger, verb, request, nil, tt.headers...)
			p.expect(t, what+": "+string(verb), tt.want, e)
			if e != nil && tt.want != control.ErrBadRequest && e.Action != verbs[verb].action {
				t.Errorf("%s: %s: action %q", what, verb, e.Action)
			}
		}
		_, gone := p.post(t, stranger, control.VerbStatus, control.StatusRequest{User: "no-such-user"}, nil, tt.headers...)
		_, there := p.post(t, stranger, control.VerbStatus, control.StatusRequest{User: "games"}, nil, tt.headers...)
		if gone == nil || there == nil || gone.Message != there.Message || gone.Code != there.Code {
			t.Errorf("%s: %+v for a user that there isn't, %+v for one that there is", what, gone, there)
		}
	}
	if acc, _, err := p.store.Get(t.Context(), "games"); err != nil || !acc.Enrolled() {
		t.Errorf("%+v, %v", acc, err)
	}
	if acc, stored, err := p.store.Get(t.Context(), "man"); err != nil || stored {
		t.Errorf("%+v, %v", acc, err)
	}
	if strings.Contains(p.log.String(), "kind=authorize user=games result=accepted") {
		t.Errorf("journal:\n%s", p.log)
	}
}

// TestUnpresentableNames needs root, to be another user: what can't be shown in a dialogue isn't asked.
func TestUnpresentableNames(t *testing.T) {
	p := servePolkit(t)
	name := p.join(t, stranger)
	for _, user := range []string{"a\u202eb", "\xff", "a\x1b[2J", "a\x00b", "a/b", strings.Repeat("x", 1000)} {
		_, e := p.post(t, stranger, control.VerbDisable, control.DisableRequest{User: user}, nil, control.HeaderBusName, name)
		p.expect(t, fmt.Sprintf("%q", user), control.ErrNotAllowed, e)
	}
	for _, c := range p.said() {
		if c.Details["user"] != "\ufffd" { // JSON's for \xff
			t.Errorf("%+v", c)
		}
	}
}

// TestWaitForAPassword needs root, to be another user. Somebody who types a password has longer than a
// request; a few may, and a stop doesn't wait for them, nor a caller that hangs up.
func TestWaitForAPassword(t *testing.T) {
	t.Parallel()
	p := servePolkit(t)
	typed, asked, withdrawn := make(chan bool), make(chan bool, 10), make(chan bool, 10)
	p.says(func(c testbus.Check) testbus.Result {
		if !c.Interactive {
			return testbus.Result{Challenge: true}
		}
		asked <- true // from here on a question can be withdrawn
		select {
		case <-c.Withdrawn:
			withdrawn <- true
			return testbus.Result{}
		case <-typed:
			return testbus.Result{Authorized: true}
		}
	})
	name := p.join(t, stranger)
	ask := func(ctx context.Context) chan string {
		answer := make(chan string, 1)
		conn := dialAs(t, stranger, p.path)
		body, _ := json.Marshal(control.StatusRequest{User: "games"})
		req, _ := http.NewRequest("POST", "http://totpd/v1/status", bytes.NewReader(body))
		req.Header.Set(control.HeaderBusName, name)
		req.Header.Set(control.HeaderInteractive, "yes")
		req.Close = true
		req.Write(conn)
		context.AfterFunc(ctx, func() { conn.Close() })
		go func() {
			text, _ := io.ReadAll(conn)
			answer <- string(text)
		}()
		return answer
	}
	oldest := ask(t.Context())
	<-asked
	first, hangUp := context.WithCancel(t.Context())
	ask(first)
	<-asked
	second := ask(t.Context())
	<-asked
	if text := <-oldest; !strings.Contains(text, `"unavailable"`) {
		t.Errorf("the oldest of three: %s", text)
	}
	<-withdrawn
	hangUp()
	<-withdrawn
	eventually(t, func() bool { return p.waiting() == 1 })
	// Longer than a request may take, and than the server reads and writes otherwise.
	time.Sleep(requestTime + 12*time.Second)
	typed <- true
	if text := <-second; !strings.Contains(text, "200 OK") || !strings.Contains(text, `"games"`) {
		t.Errorf("after a long wait: %s", text)
	}
	third := ask(t.Context())
	<-asked
	begun := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if err := p.Stop(ctx); err != nil || time.Since(begun) > 2*time.Second {
		t.Errorf("stopped after %v: %v", time.Since(begun), err)
	}
	if text := <-third; !strings.Contains(text, `"unavailable"`) {
		t.Errorf("at the stop: %s", text)
	}
	<-withdrawn
}

// waiting is for how many passwords the daemon waits.
func (p *withPolkit) waiting() int {
	p.questions.mu.Lock()
	defer p.questions.mu.Unlock()
	return p.questions.inside
}

// TestBusIsGone needs root, to be another user.
func TestBusIsGone(t *testing.T) {
	p := servePolkit(t)
	name := p.join(t, stranger)
	p.bus.Stop()
	_, e := p.post(t, stranger, control.VerbUsers, control.UsersRequest{}, nil, control.HeaderBusName, name)
	p.expect(t, "without a bus", control.ErrNotAllowed, e)
	if _, e := p.post(t, 0, control.VerbUsers, control.UsersRequest{}, nil); e != nil {
		t.Errorf("root: %v", e)
	}
}

// The policy file has each action that is asked for, none that isn't, and the owner without whom polkit
// refuses the question.
func TestPolicyFile(t *testing.T) {
	text, err := os.ReadFile("../../../packaging/polkit/org.totpd.policy")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Actions []struct {
			ID          string `xml:"id,attr"`
			Description string `xml:"description"`
			Message     string `xml:"message"`
			Defaults    struct {
				Any      string `xml:"allow_any"`
				Inactive string `xml:"allow_inactive"`
				Active   string `xml:"allow_active"`
			} `xml:"defaults"`
			Annotations []struct {
				Key   string `xml:"key,attr"`
				Value string `xml:",chardata"`
			} `xml:"annotate"`
		} `xml:"action"`
	}
	if err := xml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	asked := map[string]bool{}
	for _, v := range verbs {
		if v.action != "" {
			asked[v.action] = true
		}
		if admins := v.who == adminOnly || v.who == ownOrAdmin; admins != (v.action != "") {
			t.Errorf("%+v", v)
		}
	}
	for _, a := range file.Actions {
		if !asked[a.ID] {
			t.Errorf("%s is never asked for, or twice there", a.ID)
		}
		delete(asked, a.ID)
		if a.Description == "" || a.Message == "" || len(a.Annotations) != 1 || a.Annotations[0].Key != "org.freedesktop.policykit.owner" || a.Annotations[0].Value != "unix-user:totpd" {
			t.Errorf("%+v", a)
		}
		for _, d := range []string{a.Defaults.Any, a.Defaults.Inactive, a.Defaults.Active} {
			if d != "auth_admin" && d != "auth_admin_keep" {
				t.Errorf("%s: %q by default", a.ID, d)
			}
		}
	}
	if len(asked) > 0 {
		t.Errorf("not in the file: %v", asked)
	}
}
