package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"mime"
	"net"
	"net/http"
	"time"
)

// The codes that the client gives to what goes wrong before an answer of the daemon. The daemon never
// sends them.
const (
	ErrUnreachable ErrorCode = "unreachable" // nobody listens at the socket
	ErrForbidden   ErrorCode = "forbidden"   // the socket's mode keeps the caller out
	ErrTimeout     ErrorCode = "timeout"     // no whole answer in time; what was asked may have happened
	ErrBadAnswer   ErrorCode = "bad_answer"  // whoever answers isn't totpd, or another totpd than ours
	ErrNotStarted  ErrorCode = "not_started" // what answers without a daemon did not start, or ended too early
)

// Timeout is how long a request may last when the context sets no earlier end.
const Timeout = 10 * time.Second

// MaxAnswer is the longest answer that is read, in bytes. A longer one is an error.
const MaxAnswer = 4 << 20

// Client asks the daemon behind one socket. Every error it returns is an *Error, save that of a
// context that ended: that is the context's. Its methods may be called at the same time.
type Client struct {
	name    string // of whom it asks
	timeout time.Duration
	http    http.Client
	headers http.Header // of every request
}

// NewClient returns a client of the daemon at a Unix socket. It connects with the first request.
func NewClient(socket string) *Client {
	var d net.Dialer
	return NewClientOn(socket, func(ctx context.Context) (net.Conn, error) { return d.DialContext(ctx, "unix", socket) })
}

// NewClientOn returns a client that gets its connections from dial, one for each request, and calls who
// answers there by name. An *Error of dial or of a connection is returned as it is.
func NewClientOn(name string, dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{
		name:    name,
		timeout: Timeout,
		http: http.Client{
			Transport: &http.Transport{
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
				// A connection each: the daemon may be another one by the time a person has typed.
				DisableKeepAlives:      true,
				DisableCompression:     true,
				MaxResponseHeaderBytes: 16 << 10,
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// OnBus returns a client of the same daemon that says who the caller is on the system bus, so that
// polkit may allow what else is root's. With interactive, its requests last for as long as somebody
// needs who is asked for a password.
func (c *Client) OnBus(name string, interactive bool) *Client {
	on := *c
	on.headers = http.Header{HeaderBusName: {name}}
	if interactive {
		on.headers.Set(HeaderInteractive, "yes")
		on.timeout += InteractiveTime + Timeout // the daemon's part is done before the question, and after
	}
	return &on
}

// Version asks for the daemon's version.
func (c *Client) Version(ctx context.Context) (Version, error) {
	return ask[Version](ctx, c, VerbVersion, Nothing{})
}

// Status asks for one account.
func (c *Client) Status(ctx context.Context, r StatusRequest) (Account, error) {
	return ask[Account](ctx, c, VerbStatus, r)
}

// Users asks for all accounts in order of user name, a page at a time as they are ranged over. An
// error is the last that it yields.
func (c *Client) Users(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for r := (UsersRequest{}); ; {
			page, err := ask[Users](ctx, c, VerbUsers, r)
			if err != nil {
				yield(Account{}, err)
				return
			}
			for _, a := range page.Users {
				if a.User <= r.After {
					yield(Account{}, c.badAnswer("a list of users out of order"))
					return
				}
				r.After = a.User
				if !yield(a, nil) {
					return
				}
			}
			if !page.More {
				return
			}
			if len(page.Users) == 0 {
				yield(Account{}, c.badAnswer("a list of users without an end"))
				return
			}
		}
	}
}

// Enrol starts an enrolment.
func (c *Client) Enrol(ctx context.Context, r EnrolRequest) (Enrolment, error) {
	return ask[Enrolment](ctx, c, VerbEnrol, r)
}

// Confirm ends an enrolment with a first code.
func (c *Client) Confirm(ctx context.Context, r ConfirmRequest) (Confirmation, error) {
	return ask[Confirmation](ctx, c, VerbConfirm, r)
}

// Set gives a user a known key.
func (c *Client) Set(ctx context.Context, r SetRequest) (Confirmation, error) {
	return ask[Confirmation](ctx, c, VerbSet, r)
}

// Disable takes a second factor away.
func (c *Client) Disable(ctx context.Context, r DisableRequest) error {
	_, err := ask[Nothing](ctx, c, VerbDisable, r)
	return err
}

// Rename gives a device another name.
func (c *Client) Rename(ctx context.Context, r RenameRequest) (Account, error) {
	return ask[Account](ctx, c, VerbRename, r)
}

// Remove takes one of several devices away.
func (c *Client) Remove(ctx context.Context, r RemoveRequest) (Account, error) {
	return ask[Account](ctx, c, VerbRemove, r)
}

// NewRecoveryCodes replaces the recovery codes.
func (c *Client) NewRecoveryCodes(ctx context.Context, r RecoveryCodesRequest) (RecoveryCodes, error) {
	return ask[RecoveryCodes](ctx, c, VerbRecoveryCodes, r)
}

// Bypass makes a bypass code.
func (c *Client) Bypass(ctx context.Context, r BypassRequest) (BypassCode, error) {
	return ask[BypassCode](ctx, c, VerbBypass, r)
}

// Revoke ends bypass codes.
func (c *Client) Revoke(ctx context.Context, r RevokeRequest) (Revoked, error) {
	return ask[Revoked](ctx, c, VerbRevoke, r)
}

// Export asks for the keys of a user.
func (c *Client) Export(ctx context.Context, r ExportRequest) (Export, error) {
	return ask[Export](ctx, c, VerbExport, r)
}

// Policy asks what the rules say about one login.
func (c *Client) Policy(ctx context.Context, r PolicyRequest) (Policy, error) {
	return ask[Policy](ctx, c, VerbPolicy, r)
}

// Import takes users over.
func (c *Client) Import(ctx context.Context, r ImportRequest) (Imported, error) {
	done, err := ask[Imported](ctx, c, VerbImport, r)
	if err == nil && len(done.Users) != len(r.Users) {
		return Imported{}, c.badAnswer("not an outcome for each user")
	}
	return done, err
}

// ask posts one request and returns its answer.
func ask[Answer any](ctx context.Context, c *Client, verb Verb, request any) (Answer, error) {
	var none, answer Answer
	body, err := json.Marshal(request)
	if err != nil {
		return none, &Error{Code: ErrBadRequest, Message: "the request cannot be sent"} // err may quote a secret
	}
	within, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(within, http.MethodPost, "http://totpd/v1/"+string(verb), bytes.NewReader(body))
	if err != nil {
		return none, &Error{Code: ErrBadRequest, Message: err.Error()}
	}
	maps.Copy(req.Header, c.headers)
	req.Header.Set("Content-Type", "application/json")
	resp, err := c.http.Do(req)
	if err != nil {
		return none, c.failure(ctx, within, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer+1))
	switch {
	case err != nil:
		return none, c.failure(ctx, within, err)
	case len(text) > MaxAnswer:
		return none, c.badAnswer(fmt.Sprintf("more than %d bytes", MaxAnswer))
	}
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/json" {
		return none, c.badAnswer("HTTP " + resp.Status + ", not JSON")
	}
	if resp.StatusCode != http.StatusOK {
		refused := new(Error)
		if json.Unmarshal(text, refused) != nil || refused.Code == "" {
			return none, c.badAnswer("HTTP " + resp.Status + " without a reason")
		}
		return none, refused
	}
	if json.Unmarshal(text, &answer) != nil { // its error may quote a secret
		return none, c.badAnswer("not what is known as an answer to " + string(verb))
	}
	return answer, nil
}

// failure says why there was no whole answer. The caller's context is outer, the request's within.
func (c *Client) failure(outer, within context.Context, err error) error {
	if outer.Err() != nil {
		return outer.Err()
	}
	if within.Err() != nil {
		return &Error{Code: ErrTimeout, Message: fmt.Sprintf("no answer from %s within %v", c.name, c.timeout)}
	}
	if own := new(Error); errors.As(err, &own) {
		return own
	}
	if dial := new(net.OpError); errors.As(err, &dial) && dial.Op == "dial" {
		code := ErrUnreachable
		if errors.Is(err, fs.ErrPermission) {
			code = ErrForbidden
		}
		return &Error{Code: code, Message: fmt.Sprintf("connect to %s: %v", c.name, errors.Unwrap(dial))}
	}
	return c.badAnswer("not HTTP, or cut short")
}

func (c *Client) badAnswer(what string) *Error {
	return &Error{Code: ErrBadAnswer, Message: fmt.Sprintf("%s does not answer as totpd does: %s", c.name, what)}
}
