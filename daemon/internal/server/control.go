package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/bus"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/password"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/share"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

// Limits of a request. A request ends before the client gives up on it.
const (
	requestMax  = 64 << 10 // bytes
	requestTime = 9 * time.Second
)

// Enrolment is what enrol.Service does. Its errors are *control.Error, and it writes its own journal
// lines.
type Enrolment interface {
	Labels() (issuer, host string)
	Start(ctx context.Context, user string, want enrol.Wanted, consent enrol.Consent) (control.Enrolment, error)
	Give(ctx context.Context, user string, want enrol.Wanted) (control.Enrolment, error)
	Confirm(ctx context.Context, user, code string) (control.Confirmation, error)
	Set(ctx context.Context, user, uri, name string, withCodes bool) (control.Confirmation, error)
	Disable(ctx context.Context, user string) error
	DisableWithCode(ctx context.Context, user, code string) error
	Import(ctx context.Context, from control.ImportUser, replace, dry bool) error
	Status(ctx context.Context, user string) (control.Account, error)
	Describe(account.Account) control.Account
	Remembered(ctx context.Context, user string) (control.Remembered, error)
	Forget(ctx context.Context, user string, which control.ForgetRequest) (control.Remembered, error)
	Rename(ctx context.Context, user, from, to string) (control.Account, error)
	Remove(ctx context.Context, user, name string, consent enrol.Consent) (control.Account, error)
	NewRecoveryCodes(ctx context.Context, user string, consent enrol.Consent) (control.RecoveryCodes, error)
	Bypass(ctx context.Context, user string, lasts time.Duration, uses int) (control.BypassCode, error)
	Revoke(ctx context.Context, user, id string) (control.Revoked, error)
	Export(ctx context.Context, user, code string) (control.Export, error)
	Show(ctx context.Context, user string) (control.Shown, error)
	Unlock(ctx context.Context, user string) (control.Unlocked, error)
	Reset(ctx context.Context, user string) (control.Account, error)
	Adopt(ctx context.Context, is account.Identity, from string) (control.Account, error)
}

// Accounts is what store.Store keeps.
type Accounts interface {
	Get(ctx context.Context, user string) (account.Account, bool, error)
	Update(ctx context.Context, user string, fn func(account.Account) (account.Account, error)) error
	List(ctx context.Context, after string, limit int) ([]account.Account, error)
	SetMeta(ctx context.Context, name, value string) error
	Events(ctx context.Context, q audit.Query) ([]audit.Entry, error)
}

// Parts is what the management API works with.
type Parts struct {
	Version  string
	Accounts Accounts
	Names    *Names
	// Owner returns a *account.Foreign where an account is not that of the user who asks; nil: nobody knows uids.
	Owner    func(context.Context, account.Identity, account.Account) error
	Password func(ctx context.Context, user string, password []byte) (password.Answer, error)
	// Authorize asks polkit. nil: root is the only admin.
	Authorize func(context.Context, bus.Question) (bus.Answer, error)
	Audit     interface{ Record(audit.Event) }
	Log       *log.Logger
	Clock     func() time.Time
	// Settings returns what a reload may change, as it is now.
	Settings func() (Enrolment, throttle.Limits)
	Rules    func() policy.Rules // likewise
}

// Control serves the management API of package control.
type Control struct {
	Parts
	log       *limitedLog
	places    *places
	questions *places         // those that somebody is being asked a password for
	stopping  context.Context // ends when Stop begins
	stop      context.CancelFunc
	http      http.Server
	offline   bool // no daemon: see ServeOffline

	setupState setupState
}

// NewControl returns a server of the API.
func NewControl(p Parts) *Control {
	c := &Control{
		Parts: p, log: newLimitedLog(p.Log),
	}
	c.places = newPlaces(controlBounds, (&crowdLog{log: c.log, what: "idle connections of totpctl were"}).lost)
	c.questions = newPlaces(questionBounds, (&crowdLog{log: c.log, what: "questions of polkit for a password were"}).lost)
	c.stopping, c.stop = context.WithCancel(context.Background())
	c.http = http.Server{
		Handler:           c,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      requestTime + 10*time.Second,
		IdleTimeout:       30 * time.Second,
		MaxHeaderBytes:    8 << 10,
		ErrorLog:          log.New(c.log, "", 0),
		ConnContext: func(ctx context.Context, nc net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, nc.(*conn))
		},
	}
	return c
}

// controlBounds is how many connections there may be, questionBounds how many questions that a person is asked
// a password for.
var (
	controlBounds  = bounds{all: 256, others: 128, each: [kinds]int{newcomers: 256, users: 16, namelesses: 16}}
	questionBounds = bounds{all: 32, others: 32, each: [kinds]int{users: 2}}
)

type connKey struct{}

// Serve accepts connections until Stop; it returns nil then.
func (c *Control) Serve(plain net.Listener) error {
	l := &listener{Listener: plain, places: c.places, names: c.Names, log: c.log, nameless: newLimitedLog(c.log.Logger), lastWords: lastWords}
	if err := c.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// lastWords is the answer to a request that nobody has read.
func lastWords(cause error, reference string) []byte {
	status, e := "503 Service Unavailable", &control.Error{Code: control.ErrUnavailable, Message: "too many connections; try again"}
	switch {
	case errors.Is(cause, errNameless):
		status, e = "403 Forbidden", &control.Error{Code: control.ErrNotAllowed, Message: "the caller's uid has no name on this host"}
	case !errors.Is(cause, errCrowded):
		e.Message = "can't be decided now"
	}
	e.Reference = reference
	body, _ := json.Marshal(e) // which has nothing that can't be marshalled
	return fmt.Appendf(nil, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, len(body), body)
}

// Stop accepts no more connections and lets the requests under way finish until ctx ends. Those that wait
// for a password end at once.
func (c *Control) Stop(ctx context.Context) error {
	c.stop()
	defer c.http.Close()
	return c.http.Shutdown(ctx)
}

// ServeHTTP implements http.Handler: what every verb needs, in the order in which it must stand.
func (c *Control) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	call := &call{control: c, peer: Peer{UID: nobody}, kind: audit.Control}
	if from, ok := r.Context().Value(connKey{}).(*conn); ok {
		call.peer, call.place = from.peer, from.place
	}
	defer func() {
		if p := recover(); p != nil {
			c.Log.Printf("control: panic: %v\n%s", p, debug.Stack())
			answer(w, call.unavailable("internal", errors.New("panic, see the line above")))
		}
	}()
	name, ok := strings.CutPrefix(r.URL.Path, "/v1/")
	verb, known := verbs[control.Verb(name)]
	switch {
	case !ok || !known:
		answer(w, call.malformed(fmt.Sprintf("no such request: %.64q", r.URL.Path)))
		return
	case r.Method != http.MethodPost:
		answer(w, call.malformed(fmt.Sprintf("%.16q instead of POST", r.Method)))
		return
	}
	call.verb, call.kind = control.Verb(name), verb.kind
	if c.offline && !call.verb.Offline() {
		answer(w, call.explain(call.refuse(control.ErrNotOffline, "needs the daemon")))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, requestMax))
	defer clear(body) // passwords and codes
	if err != nil {
		answer(w, call.malformed(fmt.Sprintf("a request has at most %d bytes and arrives whole", requestMax)))
		return
	}
	if err := call.introduce(w, r.Header); err != nil {
		answer(w, call.explain(err))
		return
	}
	if !call.place.is(working) {
		return // it was hung up on to make room
	}
	defer call.place.is(waiting)
	ctx := share.With(r.Context(), call.place.who.person)
	result, err := call.serve(audit.WithCaller(ctx, call.peer.UID), verb, body)
	if err != nil {
		answer(w, call.explain(err))
		return
	}
	answer(w, result)
}

// answer writes a result, or an error with the status that belongs to its code.
func answer(w http.ResponseWriter, result any) {
	status := http.StatusOK
	if e, ok := result.(*control.Error); ok {
		if status = statuses[e.Code]; status == 0 {
			status = http.StatusInternalServerError
		}
	}
	body, err := json.Marshal(result)
	if err != nil {
		status, body = http.StatusInternalServerError, nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
	http.NewResponseController(w).Flush() // as long as the place can't be taken away
}

var statuses = map[control.ErrorCode]int{
	control.ErrBadRequest:      http.StatusBadRequest,
	control.ErrBadURI:          http.StatusBadRequest,
	control.ErrBadImport:       http.StatusBadRequest,
	control.ErrNotAllowed:      http.StatusForbidden,
	control.ErrAuthenticate:    http.StatusForbidden,
	control.ErrWrongPassword:   http.StatusForbidden,
	control.ErrWrongCode:       http.StatusForbidden,
	control.ErrUnknownUser:     http.StatusNotFound,
	control.ErrAlreadyEnrolled: http.StatusConflict,
	control.ErrNotEnrolled:     http.StatusConflict,
	control.ErrNoPending:       http.StatusConflict,
	control.ErrWait:            http.StatusTooManyRequests,
	control.ErrLocked:          http.StatusTooManyRequests,
	control.ErrUnavailable:     http.StatusServiceUnavailable,
	control.ErrBroken:          http.StatusServiceUnavailable,
	control.ErrNotOffline:      http.StatusNotImplemented,
	control.ErrNoComputer:      http.StatusConflict,
	control.ErrForeign:         http.StatusConflict,
	control.ErrNameTaken:       http.StatusConflict,
	control.ErrNoDevice:        http.StatusNotFound,
	control.ErrLastDevice:      http.StatusConflict,
	control.ErrTooMany:         http.StatusConflict,
	control.ErrNoBypass:        http.StatusNotFound,
}
