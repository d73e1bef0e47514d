package control

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"mime"
	"net"
	"net/http"
	"time"
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
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					conn, err := dial(ctx)
					if err != nil {
						return nil, err
					}
					return Patient(conn), nil
				},
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
