package control

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// serve listens on a socket of its own until the test ends and returns the socket's path.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	l, path := listen(t)
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { s.Close() })
	return path
}

func listen(t *testing.T) (net.Listener, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l, path
}

// answer is a handler that answers everything alike.
func answer(status int, kind, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", kind)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// is fails the test unless err is an Error with this code.
func is(t *testing.T, err error, code ErrorCode) *Error {
	t.Helper()
	e := new(Error)
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want one with code %s", err, code)
	}
	if e.Code != code {
		t.Fatalf("code %s (%s), want %s", e.Code, e.Message, code)
	}
	return e
}

func TestClientSendsAndReceives(t *testing.T) {
	socket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if got, want := r.Method+" "+r.URL.Path+" "+string(body), `POST /v1/confirm {"user":"alice","code":"123456"}`; got != want {
			t.Errorf("the daemon got %s, want %s", got, want)
		}
		if got := r.Header.Get("Content-Type"); got != "application/json" {
			t.Errorf("content type %s", got)
		}
		answer(200, "application/json; charset=utf-8", `{"outcome":"clock","clock_off":-240,"of_a_later_totpd":1}`)(w, r)
	})
	got, err := NewClient(socket).Confirm(t.Context(), ConfirmRequest{User: "alice", Code: "123456"})
	if err != nil || got.Outcome != CodeClock || got.ClockOff != -240 {
		t.Fatalf("%+v, %v", got, err)
	}
}

func TestClientReturnsTheDaemonsRefusal(t *testing.T) {
	socket := serve(t, answer(429, "application/json", `{"code":"wait","message":"too many wrong codes","retry_after":9,"reference":"7F3K-Q2ND"}`))
	err := NewClient(socket).Disable(t.Context(), DisableRequest{})
	if e := is(t, err, ErrWait); *e != (Error{ErrWait, "too many wrong codes", 9, "7F3K-Q2ND", ""}) {
		t.Fatalf("%+v", *e)
	}
}

func TestClientKnowsWhoIsNotTotpd(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"a web server's page":  answer(200, "text/html", "<html>"),
		"a web server's 404":   answer(404, "text/plain", "404 page not found"),
		"a redirect":           func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusSeeOther) },
		"an error of others":   answer(500, "application/json", `{"error":"no"}`),
		"another shape":        answer(200, "application/json", `["JBSWY3DPEHPK3PXP"]`),
		"another type":         answer(200, "application/json", `{"user":{"secret":"JBSWY3DPEHPK3PXP"}}`),
		"not JSON":             answer(200, "application/json", `{"user":"JBSWY3DPEHPK3PXP`),
		"nothing":              answer(200, "application/json", ``),
		"an end in the middle": func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Content-Length", "99") },
		"too much": func(w http.ResponseWriter, r *http.Request) {
			answer(200, "application/json", `{"user":"`+strings.Repeat("a", MaxAnswer)+`"}`)(w, r)
		},
		"a long header": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("a", 1<<20))
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := NewClient(serve(t, h)).Enrol(t.Context(), EnrolRequest{Password: "hunter2"})
			e := is(t, err, ErrBadAnswer)
			if strings.Contains(e.Message, "JBSWY3DPEHPK3PXP") || strings.Contains(e.Message, "hunter2") {
				t.Errorf("the error has a secret: %s", e.Message)
			}
		})
	}
}

func TestClientOnASocketThatIsNotHTTP(t *testing.T) {
	for name, talk := range map[string]func(net.Conn){
		"hangs up":      func(c net.Conn) {},
		"sends garbage": func(c net.Conn) { c.Write([]byte("\x05\x00\x01\x02garbage\n")) },
	} {
		t.Run(name, func(t *testing.T) {
			l, socket := listen(t)
			go func() {
				for {
					c, err := l.Accept()
					if err != nil {
						return
					}
					talk(c)
					c.Close()
				}
			}()
			_, err := NewClient(socket).Version(t.Context())
			is(t, err, ErrBadAnswer)
		})
	}
}

func TestClientWithoutADaemon(t *testing.T) {
	dir := t.TempDir()
	_, err := NewClient(filepath.Join(dir, "none")).Version(t.Context())
	e := is(t, err, ErrUnreachable)
	if want := "connect to " + dir + "/none: connect: no such file or directory"; e.Message != want {
		t.Errorf("message %q, want %q", e.Message, want)
	}

	l, left := listen(t)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	l.Close()
	_, err = NewClient(left).Version(t.Context())
	is(t, err, ErrUnreachable)

	_, err = NewClient(dir + strings.Repeat("/long", 50)).Version(t.Context())
	is(t, err, ErrUnreachable)
}

func TestClientKeptOutByTheSocketsMode(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root is never kept out")
	}
	_, socket := listen(t)
	os.Chmod(socket, 0)
	_, err := NewClient(socket).Version(t.Context())
	is(t, err, ErrForbidden)
}

// A daemon that never answers, and one that never ends its answer.
func TestClientNeverHangs(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	for name, h := range map[string]http.HandlerFunc{
		"silent": func(w http.ResponseWriter, r *http.Request) { <-stop },
		"endless": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			io.WriteString(w, "{")
			w.(http.Flusher).Flush()
			<-stop
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := NewClient(serve(t, h))
			c.timeout = 50 * time.Millisecond
			_, err := c.Version(t.Context())
			is(t, err, ErrTimeout)

			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			c.timeout = time.Minute
			if _, err := c.Version(ctx); err != context.DeadlineExceeded {
				t.Errorf("error %v, want the context's own", err)
			}
		})
	}
}

func TestUsersArePaged(t *testing.T) {
	// Five users, two a page.
	socket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		pages := map[string]string{
			`{}`:            `{"users":[{"user":"a"},{"user":"b"}],"more":true}`,
			`{"after":"b"}`: `{"users":[{"user":"c"},{"user":"d"}],"more":true}`,
			`{"after":"d"}`: `{"users":[{"user":"e"}],"more":false}`,
		}
		answer(200, "application/json", pages[string(body)])(w, r)
	})
	var got []string
	for a, err := range NewClient(socket).Users(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, a.User)
	}
	if fmt.Sprint(got) != "[a b c d e]" {
		t.Errorf("users %v", got)
	}
	for range NewClient(socket).Users(t.Context()) {
		break // whoever stops early is asked no more
	}
}

func TestUsersOfADaemonThatGoesInCircles(t *testing.T) {
	for _, page := range []string{`{"users":[],"more":true}`, `{"users":[{"user":"a"}],"more":true}`, `{"users":[{"user":""}]}`} {
		var last error
		n := 0
		for _, err := range NewClient(serve(t, answer(200, "application/json", page))).Users(t.Context()) {
			if last = err; n > 3 {
				t.Fatal("no end")
			}
			n++
		}
		is(t, last, ErrBadAnswer)
	}
}

func TestClientOnConnectionsOfItsOwn(t *testing.T) {
	socket := serve(t, answer(200, "application/json", `{"version":"1"}`))
	dialled := 0
	c := NewClientOn("somebody", func(context.Context) (net.Conn, error) {
		dialled++
		return net.Dial("unix", socket)
	})
	for range 2 {
		if v, err := c.Version(t.Context()); v.Version != "1" || err != nil {
			t.Error(v, err)
		}
	}
	if dialled != 2 {
		t.Errorf("%d connections for 2 requests", dialled)
	}
	own := &Error{Code: ErrNotStarted, Message: "not there"}
	_, err := NewClientOn("somebody", func(context.Context) (net.Conn, error) { return nil, own }).Version(t.Context())
	if e := is(t, err, ErrNotStarted); e != own {
		t.Errorf("%+v", e)
	}
	ours, theirs := net.Pipe()
	theirs.Close()
	_, err = NewClientOn("somebody", func(context.Context) (net.Conn, error) { return deaf{ours, own}, nil }).Version(t.Context())
	if e := is(t, err, ErrNotStarted); e != own {
		t.Errorf("%+v", e)
	}
}

// deaf is a connection that fails in its own words.
type deaf struct {
	net.Conn
	err error
}

func (d deaf) Read([]byte) (int, error)  { return 0, d.err }
func (d deaf) Write([]byte) (int, error) { return 0, d.err }

func TestClientOnTheBus(t *testing.T) {
	var got http.Header
	socket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header
		answer(200, "application/json", `{}`)(w, r)
	})
	plain := NewClient(socket)
	for _, c := range []struct {
		client            *Client
		name, interactive string
		timeout           time.Duration
	}{
		{plain, "", "", Timeout},
		{plain.OnBus(":1.42", false), ":1.42", "", Timeout},
		{plain.OnBus(":1.42", true), ":1.42", "yes", InteractiveTime + 2*Timeout},
	} {
		if _, err := c.client.Status(t.Context(), StatusRequest{}); err != nil {
			t.Fatal(err)
		}
		if got.Get(HeaderBusName) != c.name || got.Get(HeaderInteractive) != c.interactive || c.client.timeout != c.timeout {
			t.Errorf("%q: headers %v, timeout %v", c.name, got, c.client.timeout)
		}
	}
}

// A daemon that turns a caller away answers before it reads anything, and hangs up: at once, or when the request
// is half way. The answer counts all the same.
func TestClientHearsWhoeverAnswersFirst(t *testing.T) {
	l, path := listen(t)
	const body = `{"code":"not_allowed","message":"the caller's uid has no name on this host"}`
	go func() {
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			fmt.Fprintf(c, "HTTP/1.1 403 Forbidden\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", len(body), body)
			if i%2 == 1 {
				c.Read(make([]byte, 10))
			}
			c.Close()
		}
	}()
	for i := range 100 {
		client := NewClientOn("totpd", func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			c, err := d.DialContext(ctx, "unix", path)
			if i%4 < 2 {
				time.Sleep(2 * time.Millisecond) // the answer is there, and the daemon has hung up
			}
			return c, err
		})
		_, err := client.Import(t.Context(), ImportRequest{Users: []ImportUser{{User: strings.Repeat("x", 1<<(i%20))}}})
		if e := is(t, err, ErrNotAllowed); !strings.Contains(e.Message, "no name") {
			t.Fatal(e)
		}
	}
}
