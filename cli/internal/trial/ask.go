package trial

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/msteinert/pam/v2"
)

// Request is one login to try.
type Request struct {
	Dir      string // the PAM configuration
	Service  string
	User     string
	Password string   // the answer to every prompt
	Env      []string // of the PAM handle: NAME=value
}

// Answer is what came of it.
type Answer struct {
	Code  int      // libpam's; 0: let in
	Text  string   // what libpam calls it
	Asked []string // the prompts
	Said  []string // the messages
	// Unreached is why there was no daemon to ask; empty: there was one, or nobody asked for it.
	Unreached string `json:"-"`
}

// timeMax is for one login; with a dead daemon, a second passes.
const timeMax = 20 * time.Second

// Run tries the login that it reads, in this process, and writes the answer. What modules do to a process,
// they do to this one: so it is a process by itself.
func Run(in io.Reader, out io.Writer) error {
	var r Request
	if err := json.NewDecoder(in).Decode(&r); err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	var a Answer
	err := login(r, &a)
	if code := pam.Error(0); errors.As(err, &code) {
		a.Code, a.Text = int(code), err.Error()
	} else if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(a)
}

func login(r Request, a *Answer) (err error) {
	talk := pam.ConversationFunc(func(style pam.Style, text string) (string, error) {
		if style == pam.PromptEchoOff || style == pam.PromptEchoOn {
			a.Asked = append(a.Asked, text)
			return r.Password, nil
		}
		a.Said = append(a.Said, text)
		return "", nil
	})
	tx, err := pam.StartConfDir(r.Service, r.User, talk, r.Dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, tx.End()) }()
	for _, variable := range r.Env {
		if err := tx.PutEnv(variable); err != nil {
			return err
		}
	}
	return tx.Authenticate(0)
}

// ask tries a login in a process of its own.
func (t *Trial) ask(ctx context.Context, r Request) (Answer, error) {
	ctx, stop := context.WithTimeout(ctx, timeMax)
	defer stop()
	request, err := json.Marshal(r)
	if err != nil {
		return Answer{}, err
	}
	cmd := exec.CommandContext(ctx, t.Program[0], t.Program[1:]...)
	cmd.WaitDelay = time.Second
	cmd.Env = append([]string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}, t.env()...)
	cmd.Stdin = bytes.NewReader(request)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err = cmd.Run()
	exit := new(exec.ExitError)
	switch {
	case ctx.Err() != nil:
		return Answer{}, fmt.Errorf("the login hangs: no answer within %v", timeMax)
	case errors.As(err, &exit) && (!exit.Exited() || crashed(complaints.String())):
		return Answer{}, fmt.Errorf("a module would crash the login program: %w: %s", err, firstLine(complaints.String()))
	case err != nil:
		return Answer{}, fmt.Errorf("%w: %s", err, firstLine(complaints.String()))
	}
	var a Answer
	if err := json.Unmarshal(out.Bytes(), &a); err != nil {
		return Answer{}, fmt.Errorf("read the answer: %w", err)
	}
	return a, nil
}

// crashed tells a fault from an error, by what Go's runtime, which takes the fault, says first.
func crashed(complaints string) bool {
	line := firstLine(complaints)
	return strings.HasPrefix(line, "SIG") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "unexpected fault")
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// env are the variables that a test needs in the child.
func (t *Trial) env() []string {
	var kept []string
	for _, name := range []string{"GOCOVERDIR", "GORACE", "TMPDIR"} {
		if value := os.Getenv(name); value != "" {
			kept = append(kept, name+"="+value)
		}
	}
	return kept
}
