package password

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/share"
)

// Patience is how long an answer may take. totpd-password ends itself a little earlier.
const Patience = 18 * time.Second

// atOnce bounds how many questions are open at the same time, shared by who asks (share.With): each is a process
// that runs as root.
const atOnce = 4

// ErrNotAsked says that the question never reached totpd-password. After any other error it may have,
// and the password may have been judged.
var ErrNotAsked = errors.New("check a password")

// Checker asks totpd-password. It is safe for concurrent use.
type Checker struct {
	socket string
	named  bool
	slots  *share.Slots
}

// New makes a Checker that asks on the Unix socket at path. Unless the administrator named that path
// (named), a daemon that runs as root starts totpd-password itself where nobody listens there.
func New(path string, named bool) *Checker {
	return &Checker{socket: path, named: named, slots: share.New(atOnce, atOnce)}
}

// Check asks whether password is user's. It returns Right or, also for an account that may not be used,
// Wrong, or an error that says why there is no answer; it takes no longer than ctx allows, and Patience at the most.
func (c *Checker) Check(ctx context.Context, user string, password []byte) (Answer, error) {
	asker := AppendAsker(make([]byte, 0, 2+2*askerItem+1+QuestionMax), Asker{RUser: share.Requester(ctx)})
	question, err := AppendQuestion(asker, Question{User: user, Password: password})
	if err != nil {
		return Answer{}, err
	}
	defer clear(question[:cap(question)])
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	giveBack, err := c.slots.Take(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: too many are being checked", ErrNotAsked)
	}
	defer giveBack()
	conn, err := c.connect(ctx)
	if err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrNotAsked, err)
	}
	defer conn.Close()
	answer, err := ask(ctx, conn, question)
	switch {
	case err != nil:
		return Answer{}, fmt.Errorf("check a password: %w", err)
	case answer.Verdict == Broken:
		return Answer{}, fmt.Errorf("check a password: totpd-password: %s", answer.Reason)
	case answer.Verdict == Barred:
		answer.Verdict = Wrong
	}
	return answer, nil
}

func ask(ctx context.Context, conn net.Conn, question []byte) (Answer, error) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	if _, err := conn.Write(question); err != nil {
		return Answer{}, err
	}
	answer, err := ReadAnswer(conn)
	if err != nil {
		return Answer{}, fmt.Errorf("totpd-password gave no answer: %w", err)
	}
	return answer, nil
}

func (c *Checker) connect(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", c.socket)
	if err == nil {
		if err := trusted(conn.(*net.UnixConn)); err != nil {
			conn.Close()
			return nil, fmt.Errorf("%s: %w", c.socket, err)
		}
		return conn, nil
	}
	absent := errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ECONNREFUSED)
	if !absent || c.named {
		return nil, fmt.Errorf("%w; is totpd-password.socket started?", err)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w; is totpd-password.socket started? (only root can do without it)", err)
	}
	return start(ctx)
}

// trusted says whether whoever listens may be given a password: root, or the daemon's own user.
func trusted(conn *net.UnixConn) error {
	uid, err := peer(conn)
	if err != nil {
		return err
	}
	if uid != 0 && int(uid) != os.Geteuid() {
		return fmt.Errorf("uid %d listens there, and only root may", uid)
	}
	return nil
}

// start runs totpd-password with one end of a socket pair as its standard input and returns the other.
func start(ctx context.Context) (net.Conn, error) {
	path, err := find()
	if err != nil {
		return nil, err
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "ours"), os.NewFile(uintptr(pair[1]), "theirs")
	defer ours.Close()
	defer theirs.Close()
	conn, err := net.FileConn(ours)
	if err != nil {
		return nil, err
	}
	cmd := command(path, theirs)
	if err := cmd.Start(); err != nil {
		conn.Close()
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { cmd.Process.Kill() })
	go func() {
		cmd.Wait() // its answer counts, not its exit status
		stop()
	}()
	return conn, nil
}

// installed is where the packages put totpd-password.
const installed = "/usr/libexec/totpd/totpd-password"

// find looks for totpd-password beside the daemon's own executable, then where it is installed.
func find() (string, error) {
	places := []string{installed}
	if own, err := os.Executable(); err == nil {
		places = []string{filepath.Join(filepath.Dir(own), "totpd-password"), installed}
	}
	for _, path := range places {
		if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
			return path, nil
		}
	}
	return "", fmt.Errorf("no totpd-password at %q: install it, or start totpd-password.socket", places)
}
