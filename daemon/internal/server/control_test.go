package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"math"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/password"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/seal"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// api is a management API over a real store, with a clock and a password check of the test's.
type api struct {
	*Control
	path  string
	file  string // the store's
	store *store.Store
	log   *lines

	mu    sync.Mutex
	now   time.Time
	check func(user, password string) (password.Answer, error)
	asked int
}

func serveControl(t *testing.T, change ...func(*Parts)) *api {
	t.Helper()
	dir := t.TempDir()
	a := &api{log: &lines{}, now: time.Now(), file: filepath.Join(dir, "totpd.db")}
	if err := store.Create(a.file); err != nil {
		t.Fatal(err)
	}
	var err error
	if a.store, err = store.Open(a.file); err != nil {
		t.Fatal(err)
	}
	key, err := seal.LoadOrCreate(filepath.Join(dir, "totpd.key"), true)
	if err != nil {
		t.Fatal(err)
	}
	a.check = func(_, p string) (password.Answer, error) {
		if p == "right" {
			return password.Answer{Verdict: password.Right}, nil
		}
		return password.Answer{Verdict: password.Wrong, Reason: "authentication"}, nil
	}
	limits := throttle.Limits{Free: 3, FirstWait: 5 * time.Second, LongestWait: 900 * time.Second, Lock: 100}
	events := audit.New(a.log)
	enrolment := enrol.New(a.store, key, enrol.Config{
		Host: "host", Digits: 6, Period: 30, Algorithm: account.SHA1, Skew: 1, Limits: limits,
	}, a.clock, events)
	parts := Parts{
		Version: "test", Accounts: a.store, Names: NewNames(), Password: a.ask, Audit: events,
		Log: a.log.logger(), Clock: a.clock,
		Settings: func() (Enrolment, throttle.Limits) { return enrolment, limits },
		Rules:    func() policy.Rules { return nil },
	}
	for _, c := range change {
		c(&parts)
	}
	a.Control = NewControl(parts)
	l, path := listenAt(t, "control.sock")
	a.path = path
	served := make(chan error, 1)
	go func() { served <- a.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := errors.Join(a.Stop(ctx), <-served, a.store.Close()); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	return a
}

func (a *api) clock() time.Time {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.now
}

func (a *api) pass(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.now = a.now.Add(d)
}

func (a *api) ask(_ context.Context, user string, secret []byte) (password.Answer, error) {
	a.mu.Lock()
	a.asked++
	check := a.check
	a.mu.Unlock()
	return check(user, string(secret))
}

// post asks as the user uid. It returns the HTTP status, and the error if it is none of 200.
func (a *api) post(t *testing.T, uid int, verb control.Verb, request, result any, headers ...string) (int, *control.Error) {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	return a.raw(t, uid, "POST", "/v1/"+string(verb), body, result, headers...)
}

func (a *api) raw(t *testing.T, uid int, method, path string, body []byte, result any, headers ...string) (int, *control.Error) {
	t.Helper()
	conn := dialAs(t, uid, a.path)
	client := http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return control.Patient(conn), nil },
	}}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://totpd"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.Header.Get("Content-Type") != "application/json" {
		t.Fatalf("%s %s: %q, %v", method, path, text, err)
	}
	if resp.StatusCode != http.StatusOK {
		e := &control.Error{}
		if err := json.Unmarshal(text, e); err != nil || e.Code == "" || e.Message == "" {
			t.Fatalf("%s %s: HTTP %d with %q", method, path, resp.StatusCode, text)
		}
		return resp.StatusCode, e
	}
	if result != nil {
		if err := json.Unmarshal(text, result); err != nil {
			t.Fatalf("%s %s: %q: %v", method, path, text, err)
		}
	}
	return resp.StatusCode, nil
}

// expect wants an error with this code, and a journal line with its reference.
func (a *api) expect(t *testing.T, what string, want control.ErrorCode, e *control.Error) {
	t.Helper()
	switch {
	case e == nil:
		t.Errorf("%s: allowed, want %s", what, want)
	case e.Code != want:
		t.Errorf("%s: %s (%s), want %s", what, e.Code, e.Message, want)
	case want != control.ErrBadRequest && (e.Reference == "" || !strings.Contains(a.log.String(), e.Reference)):
		t.Errorf("%s: no journal line for %q", what, e.Reference)
	}
}

// TestWhoMayAsk needs root, to ask as somebody else: uid 65534, who is called nobody. Every verb is
// here with everybody that it denies.
func TestWhoMayAsk(t *testing.T) {
	a := serveControl(t)
	const uri = "otpauth://totp/x?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
	const another = "otpauth://totp/x?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	asked := map[control.Verb]bool{}
	for _, tt := range []struct {
		verb    control.Verb
		request any
		uid     int
		want    control.ErrorCode
	}{
		{control.VerbVersion, control.Nothing{}, stranger, ""},
		{control.VerbStatus, control.StatusRequest{}, stranger, ""},
		{control.VerbStatus, control.StatusRequest{User: "nobody"}, stranger, ""},
		{control.VerbStatus, control.StatusRequest{User: "root"}, stranger, control.ErrNotAllowed},
		{control.VerbStatus, control.StatusRequest{User: "no such user"}, stranger, control.ErrNotAllowed},
		{control.VerbStatus, control.StatusRequest{User: "nobody\x00"}, stranger, control.ErrNotAllowed},
		{control.VerbStatus, control.StatusRequest{}, 4000000, control.ErrNotAllowed},
		{control.VerbStatus, control.StatusRequest{User: "nobody"}, 4000000, control.ErrNotAllowed},
		{control.VerbStatus, control.StatusRequest{User: "nobody"}, 0, ""},
		{control.VerbStatus, control.StatusRequest{User: "no such user"}, 0, control.ErrUnknownUser},
		{control.VerbUsers, control.UsersRequest{}, stranger, control.ErrNotAllowed},
		{control.VerbUsers, control.UsersRequest{}, 0, ""},
		{control.VerbEnrol, control.EnrolRequest{User: "root", Password: "right"}, stranger, control.ErrNotAllowed},
		{control.VerbEnrol, control.EnrolRequest{Unconfirmed: true}, stranger, control.ErrNotAllowed},
		{control.VerbEnrol, control.EnrolRequest{Unconfirmed: true}, 0, control.ErrNotAllowed}, // who doesn't name itself is asked
		{control.VerbEnrol, control.EnrolRequest{User: "no such user"}, 0, control.ErrUnknownUser},
		{control.VerbEnrol, control.EnrolRequest{User: "nobody"}, 0, ""},
		{control.VerbConfirm, control.ConfirmRequest{User: "root", Code: "123456"}, stranger, control.ErrNotAllowed},
		{control.VerbConfirm, control.ConfirmRequest{User: "nobody", Code: "12345"}, 0, ""},
		{control.VerbSet, control.SetRequest{User: "nobody", URI: uri}, stranger, control.ErrNotAllowed},
		{control.VerbSet, control.SetRequest{User: "no such user", URI: uri}, 0, control.ErrUnknownUser},
		{control.VerbSet, control.SetRequest{URI: uri}, 0, control.ErrBadRequest},
		{control.VerbSet, control.SetRequest{User: "nobody", URI: "https://x"}, 0, control.ErrBadURI},
		{control.VerbSet, control.SetRequest{User: "nobody", URI: uri}, 0, ""},
		{control.VerbEnrol, control.EnrolRequest{Password: "right"}, stranger, control.ErrAlreadyEnrolled},
		{control.VerbEnrol, control.EnrolRequest{Password: "right", Code: "1"}, stranger, control.ErrWrongCode},
		{control.VerbSet, control.SetRequest{User: "nobody", URI: uri, Name: "fob"}, 0, control.ErrNameTaken}, // its key is
		{control.VerbSet, control.SetRequest{User: "nobody", URI: another, Name: "fob"}, 0, ""},
		{control.VerbSet, control.SetRequest{User: "nobody", URI: another, Name: "fob"}, 0, control.ErrNameTaken},
		{control.VerbRename, control.RenameRequest{User: "root", From: "a", To: "b"}, stranger, control.ErrNotAllowed},
		{control.VerbRename, control.RenameRequest{From: "telephone", To: "b"}, stranger, control.ErrNoDevice},
		{control.VerbRename, control.RenameRequest{From: "fob", To: "keyring"}, stranger, ""},
		{control.VerbRename, control.RenameRequest{User: "nobody", From: "keyring", To: "fob"}, 0, ""},
		{control.VerbRemove, control.RemoveRequest{User: "root", Name: "fob", Password: "right", Code: "1"}, stranger, control.ErrNotAllowed},
		{control.VerbRemove, control.RemoveRequest{Name: "fob"}, stranger, control.ErrBadRequest}, // no password
		{control.VerbRemove, control.RemoveRequest{Name: "fob", Password: "right"}, stranger, control.ErrWrongCode},
		{control.VerbRemove, control.RemoveRequest{User: "nobody", Name: "fob"}, 0, ""},
		{control.VerbRemove, control.RemoveRequest{User: "nobody", Name: "token"}, 0, control.ErrLastDevice},
		{control.VerbRecoveryCodes, control.RecoveryCodesRequest{User: "root", Password: "right", Code: "1"}, stranger, control.ErrNotAllowed},
		{control.VerbRecoveryCodes, control.RecoveryCodesRequest{}, stranger, control.ErrBadRequest}, // no password
		{control.VerbRecoveryCodes, control.RecoveryCodesRequest{Password: "right", Code: "1"}, stranger, control.ErrWrongCode},
		{control.VerbRecoveryCodes, control.RecoveryCodesRequest{User: "nobody"}, 0, ""},
		{control.VerbBypass, control.BypassRequest{User: "nobody", For: 60, Uses: 1}, stranger, control.ErrNotAllowed},
		{control.VerbBypass, control.BypassRequest{User: "no such user", For: 60, Uses: 1}, 0, control.ErrUnknownUser},
		{control.VerbBypass, control.BypassRequest{User: "nobody", For: 59, Uses: 1}, 0, control.ErrBadRequest},
		{control.VerbBypass, control.BypassRequest{User: "nobody", For: math.MaxInt, Uses: 1}, 0, control.ErrBadRequest},
		{control.VerbBypass, control.BypassRequest{User: "nobody", For: 60, Uses: 1}, 0, ""},
		{control.VerbRevoke, control.RevokeRequest{User: "nobody"}, stranger, control.ErrNotAllowed},
		{control.VerbRevoke, control.RevokeRequest{}, 0, control.ErrBadRequest},
		{control.VerbRevoke, control.RevokeRequest{User: "nobody", ID: "x"}, 0, control.ErrNoBypass},
		{control.VerbRevoke, control.RevokeRequest{User: "nobody"}, 0, ""},
		{control.VerbExport, control.ExportRequest{User: "nobody", Code: "1"}, stranger, control.ErrNotAllowed},
		{control.VerbExport, control.ExportRequest{Code: "1"}, 0, control.ErrBadRequest},
		{control.VerbExport, control.ExportRequest{User: "nobody"}, 0, control.ErrWrongCode}, // without consent
		{control.VerbRemembered, control.RememberedRequest{}, stranger, ""},
		{control.VerbRemembered, control.RememberedRequest{User: "root"}, stranger, control.ErrNotAllowed},
		{control.VerbRemembered, control.RememberedRequest{User: "nobody"}, 0, ""},
		{control.VerbForget, control.ForgetRequest{All: true}, stranger, ""},
		{control.VerbForget, control.ForgetRequest{}, stranger, control.ErrBadRequest},
		{control.VerbForget, control.ForgetRequest{ID: "00000000"}, stranger, control.ErrNoComputer},
		{control.VerbForget, control.ForgetRequest{User: "root", All: true}, stranger, control.ErrNotAllowed},
		{control.VerbForget, control.ForgetRequest{User: "nobody", All: true}, 0, ""},
		{control.VerbShow, control.ShowRequest{User: "nobody"}, stranger, control.ErrNotAllowed}, // status is for the owner
		{control.VerbShow, control.ShowRequest{}, 0, control.ErrBadRequest},
		{control.VerbShow, control.ShowRequest{User: "no such user"}, 0, control.ErrUnknownUser},
		{control.VerbShow, control.ShowRequest{User: "nobody"}, 0, ""},
		{control.VerbUnlock, control.UnlockRequest{User: "nobody"}, stranger, control.ErrNotAllowed}, // or a guesser would
		{control.VerbUnlock, control.UnlockRequest{User: "no such user"}, 0, control.ErrUnknownUser},
		{control.VerbUnlock, control.UnlockRequest{}, 0, control.ErrBadRequest},
		{control.VerbUnlock, control.UnlockRequest{User: "nobody"}, 0, ""},
		{control.VerbReset, control.ResetRequest{User: "nobody"}, stranger, control.ErrNotAllowed},
		{control.VerbReset, control.ResetRequest{User: "no such user"}, 0, control.ErrUnknownUser},
		{control.VerbReset, control.ResetRequest{}, 0, control.ErrBadRequest},
		{control.VerbReset, control.ResetRequest{User: "games"}, 0, ""},
		{control.VerbAdopt, control.AdoptRequest{User: "games"}, stranger, control.ErrNotAllowed},
		{control.VerbAdopt, control.AdoptRequest{User: "games", From: "former"}, stranger, control.ErrNotAllowed},
		{control.VerbAdopt, control.AdoptRequest{User: "no such user"}, 0, control.ErrUnknownUser},
		{control.VerbAdopt, control.AdoptRequest{User: "games", From: "a:b"}, 0, control.ErrBadRequest},
		{control.VerbAdopt, control.AdoptRequest{User: "games", From: "former"}, 0, control.ErrNotEnrolled},
		{control.VerbAdopt, control.AdoptRequest{}, 0, control.ErrBadRequest},
		{control.VerbLog, control.LogRequest{User: "root"}, stranger, control.ErrNotAllowed},
		{control.VerbLog, control.LogRequest{}, stranger, ""},
		{control.VerbLog, control.LogRequest{User: "nobody", Limit: -1}, stranger, ""},
		{control.VerbLog, control.LogRequest{User: "no such user"}, 0, ""}, // whose logins were refused for that
		{control.VerbLogAll, control.LogRequest{}, stranger, control.ErrNotAllowed},
		{control.VerbLogAll, control.LogRequest{User: "nobody"}, 0, control.ErrBadRequest},
		{control.VerbLogAll, control.LogRequest{Limit: 1 << 40}, 0, ""},
		{control.VerbDisable, control.DisableRequest{User: "root", Password: "right", Code: "1"}, stranger, control.ErrNotAllowed},
		{control.VerbDisable, control.DisableRequest{}, stranger, control.ErrBadRequest}, // no password
		{control.VerbDisable, control.DisableRequest{Password: "right"}, stranger, control.ErrWrongCode},
		{control.VerbDisable, control.DisableRequest{User: "nobody"}, 0, ""},
		{control.VerbDisable, control.DisableRequest{User: "nobody"}, 0, control.ErrNotEnrolled},
		{control.VerbPolicy, control.PolicyRequest{}, stranger, ""},
		{control.VerbPolicy, control.PolicyRequest{User: "nobody"}, stranger, ""},
		{control.VerbPolicy, control.PolicyRequest{User: "root"}, stranger, control.ErrNotAllowed},
		{control.VerbPolicy, control.PolicyRequest{User: "no such user"}, stranger, control.ErrNotAllowed},
		{control.VerbPolicy, control.PolicyRequest{User: "nobody"}, 0, ""},
		{control.VerbPolicy, control.PolicyRequest{User: "no such user"}, 0, control.ErrUnknownUser},
		{control.VerbPolicy, control.PolicyRequest{From: "10.0.0.0/8"}, stranger, control.ErrBadRequest},
		{control.VerbSetup, control.SetupRequest{Lost: []string{"x"}}, stranger, control.ErrNotAllowed},
		{control.VerbSetup, control.SetupRequest{}, 0, ""},
		{control.VerbHealth, control.Nothing{}, stranger, control.ErrNotAllowed},
		{control.VerbHealth, control.Nothing{}, 0, ""},
		{control.VerbImport, control.ImportRequest{Users: []control.ImportUser{{User: "nobody"}}}, stranger, control.ErrNotAllowed},
		{control.VerbImport, control.ImportRequest{}, 0, control.ErrBadRequest},
		{control.VerbImport, control.ImportRequest{Users: []control.ImportUser{{User: "nobody"}}}, 0, ""}, // an outcome of its own
		{"anything", control.Nothing{}, 0, control.ErrBadRequest},
		{"", control.Nothing{}, 0, control.ErrBadRequest},
	} {
		asked[tt.verb] = true
		_, e := a.post(t, tt.uid, tt.verb, tt.request, nil)
		what := string(tt.verb) + " by uid " + audit.UID(uint32(tt.uid))
		if tt.want == "" {
			if e != nil {
				t.Errorf("%s: %s: %s", what, e.Code, e.Message)
			}
			continue
		}
		a.expect(t, what, tt.want, e)
	}
	for name := range verbs {
		if !asked[name] {
			t.Errorf("nobody asks for %s", name)
		}
	}
}

// Who is turned away hears one answer, whether the request was there already or not.
func TestTurnedAwayHearsOneAnswer(t *testing.T) {
	a := serveControl(t)
	for i := range 20 {
		conn := dialAs(t, 4000000, a.path)
		if i%2 == 0 {
			io.WriteString(conn, "POST /v1/version HTTP/1.1\r\nHost: totpd\r\nContent-Length: 2\r\n\r\n{}")
		}
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		text, _ := io.ReadAll(conn) // what was not read makes it end with a reset
		if heard := string(text); strings.Count(heard, "HTTP/1.1 ") != 1 || !strings.Contains(heard, "no name on this host") {
			t.Fatalf("heard %q", heard)
		}
	}
}

func TestVerbsAllHaveAnOwner(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../../control/verb.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	named := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, "Verb") {
			return true
		}
		named++
		name, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		if legal := verbs[control.Verb(name)]; legal.who == 0 || legal.kind == "" {
			t.Errorf("%s is in no table", name)
		}
		return false
	})
	if named != len(verbs) {
		t.Errorf("%d verbs have a name, and %d are in the table", named, len(verbs))
	}
}

func TestStrictRequests(t *testing.T) {
	a := serveControl(t)
	for _, tt := range []struct{ method, path, body, want string }{
		{"POST", "/v1/status", ``, "byte 0: ends too early"},
		{"POST", "/v1/status", `{"user":"root"`, "ends too early"},
		{"POST", "/v1/status", `{"usr":"root"}`, `unknown field "usr"`},
		{"POST", "/v1/status", `{"user":"root"} {}`, "byte 17: something follows"},
		{"POST", "/v1/status", `{"user":["hunter2"]}`, `"user" has the wrong type`},
		{"POST", "/v1/status", `["hunter2"]`, "byte"},
		{"POST", "/v1/status", `hunter2`, "byte 1: not JSON"},
		{"POST", "/v1/enrol", `{"password":12345678}`, `"password" has the wrong type`},
		{"POST", "/v1/enrol", `{"password":"hunter2\u0000"}`, "NUL"},
		{"POST", "/v1/enrol", `{"password":""}`, "password has 1 to"},
		{"POST", "/v1/enrol", `{"password":"` + strings.Repeat("x", 2000) + `"}`, "password has 1 to"},
		{"POST", "/v1/status", `{"user":"` + strings.Repeat("x", 70_000) + `"}`, "at most 65536 bytes"},
		{"GET", "/v1/status", `{}`, "instead of POST"},
		{"POST", "/v1/status/", `{}`, "no such request"},
		{"POST", "/v2/status", `{}`, "no such request"},
		{"POST", "/", `{}`, "no such request"},
		{"POST", "//v1/status", `{}`, "no such request"},
		{"POST", "/v1/../v1/status", `{}`, "no such request"},
	} {
		status, e := a.raw(t, 0, tt.method, tt.path, []byte(tt.body), nil)
		if e == nil || e.Code != control.ErrBadRequest || status != http.StatusBadRequest || !strings.Contains(e.Message, tt.want) {
			t.Errorf("%s %s %.40s: %d, %v", tt.method, tt.path, tt.body, status, e)
		}
	}
	if strings.Contains(a.log.String(), "hunter2") || strings.Contains(a.log.String(), "12345678") {
		t.Errorf("a request is quoted:\n%s", a.log)
	}
}

// Root can take the second factor from a user who is gone from the host.
func TestGoneUser(t *testing.T) {
	a := serveControl(t)
	err := a.store.Update(t.Context(), "gone", func(acc account.Account) (account.Account, error) {
		acc.Codes.Failures, acc.Codes.Last = 100, time.Now()
		return acc, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var status control.Account
	if _, e := a.post(t, 0, control.VerbStatus, control.StatusRequest{User: "gone"}, &status); e != nil || !status.Locked {
		t.Errorf("%+v, %v", status, e)
	}
	if _, e := a.post(t, 0, control.VerbDisable, control.DisableRequest{User: "gone"}, nil); e != nil {
		t.Error(e)
	}
}

func TestSilentControlClient(t *testing.T) {
	t.Parallel()
	a := serveControl(t)
	c := dialAs(t, 0, a.path)
	io.WriteString(c, "POST /v1/status HTTP/1.1\r\nHost: ")
	c.SetReadDeadline(time.Now().Add(8 * time.Second))
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("held for longer than 8 s: %v", err)
	}
}

func TestLimitedLog(t *testing.T) {
	out := &lines{}
	l := newLimitedLog(out.logger())
	now := time.Now()
	l.now = func() time.Time { return now }
	for range 1000 {
		l.Printf("mallory", "line")
	}
	if n := strings.Count(out.String(), "\n"); n != burst {
		t.Errorf("%d lines", n)
	}
	l.Printf("alice", "of alice")
	now = now.Add(2 * time.Second)
	l.Printf("mallory", "later")
	if !strings.HasSuffix(out.String(), "line\nof alice\nlater\n") {
		t.Errorf("%q", out)
	}
}
