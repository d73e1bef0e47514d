// Command totpd-password answers one question, "is this alice's password?", through the PAM service
// totpd, and ends. It is started as root with a connected Unix socket as its standard input: by one that
// systemd has started with -serve from totpd-password.socket, or by a totpd that runs as root.
//
// With -serve it starts a totpd-password for each question, in turns that are shared out among the askers
// (password.Door), and reads none itself. It ends when nobody has asked for a minute.
//
// It owns nothing and keeps nothing: no log line, no core dump and no child sees the password, and it
// lives for 15 seconds at the most.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"runtime"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"golang.org/x/sys/unix"

	"github.com/totpd/totpd/daemon/internal/password"
)

// lifetime is when the process ends whatever it is doing; readTime is how long the question may take
// to arrive.
const (
	lifetime = 15 * time.Second
	readTime = 5 * time.Second
)

// idle is how long a server waits for the next question.
const idle = time.Minute

func main() {
	pamDir := flag.String("pam-dir", "", "directory of the PAM services, instead of /etc/pam.d (for tests)")
	serving := flag.Bool("serve", false, "start a totpd-password for each connection at the socket that systemd hands over")
	flag.Usage = func() {
		fmt.Fprintln(flag.CommandLine.Output(), "totpd-password is started by systemd or by totpd, with a socket as its standard input.")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	err := errors.New("-serve goes without -pam-dir")
	switch {
	case !*serving:
		err = run(*pamDir)
	case *pamDir == "":
		err = serve()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "totpd-password:", err)
		os.Exit(1)
	}
}

// serve serves until nobody asks any more, or a signal.
func serve() error {
	files := activation.Files(true)
	if len(files) != 1 {
		return errors.New("no socket from systemd: start totpd-password.socket instead of running this by hand")
	}
	l, err := net.FileListener(files[0])
	if err != nil {
		return err
	}
	at, ok := l.(*net.UnixListener)
	if !ok {
		return errors.New("the socket from systemd is not a Unix socket")
	}
	files[0].Close()
	at.SetUnlinkOnClose(false) // it is systemd's
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	go func() {
		<-end
		at.Close()
	}()
	door := password.Door{Complaints: log.New(os.Stderr, "totpd-password: ", 0), Idle: idle}
	door.Serve(at)
	return nil
}

func run(pamDir string) error {
	// A PAM module may hang in C, where no deadline of Go's reaches.
	time.AfterFunc(lifetime, func() { os.Exit(3) })
	if err := private(); err != nil {
		return err
	}
	conn, err := takeStdin()
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(readTime))
	buf := make([]byte, password.QuestionMax)
	defer clear(buf)
	q, err := password.ReadQuestion(conn, buf)
	if errors.Is(err, io.EOF) {
		return nil // the caller gave up
	}
	if err != nil {
		return fmt.Errorf("read the question: %w", err)
	}
	runtime.LockOSThread() // PAM modules expect to stay on one thread
	answer := check(pamDir, q)
	clear(buf)
	conn.SetWriteDeadline(time.Now().Add(readTime))
	_, err = conn.Write(password.AppendAnswer(nil, answer))
	if errors.Is(err, unix.EPIPE) || errors.Is(err, unix.ECONNRESET) {
		return nil // likewise
	}
	if err != nil {
		return err
	}
	// The end of the answer, also when a process that a PAM module left behind holds the socket.
	return conn.CloseWrite()
}

// private keeps the memory of this process out of core dumps and away from debuggers.
func private() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid core dumps: %w", err)
	}
	return nil
}

// takeStdin returns the socket that is the standard input, and leaves /dev/null in its place, so that
// nothing a PAM module starts inherits the socket.
func takeStdin() (*net.UnixConn, error) {
	conn, err := net.FileConn(os.Stdin)
	if err != nil {
		return nil, errors.New("standard input is not a socket: start totpd-password.socket instead of running this by hand")
	}
	u, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.New("standard input is not a Unix socket")
	}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer null.Close()
	return u, unix.Dup3(int(null.Fd()), 0, 0)
}
