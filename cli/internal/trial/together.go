package trial

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/msteinert/pam/v2"

	"github.com/totpd/totpd/cli/internal/system"
)

// feigned is the socket of a daemon that asks everybody for password and code together.
const feigned = "daemon"

// feignedDigits is how many digits it says that a code has.
const feignedDigits = 6

// feign listens as such a daemon until the end of a trial, and tells whether it was sent a code. The bytes
// are those of package wire, which this program doesn't speak otherwise: an Ask of style Combined.
func feign(dir string) (l net.Listener, judged *atomic.Bool, err error) {
	const prompt = "Password and one-time code: "
	question := append([]byte{3, 0, byte(3 + len(prompt)), 4, 1, feignedDigits}, prompt...)
	if l, err = net.Listen("unix", filepath.Join(dir, feigned)); err != nil {
		return nil, nil, err
	}
	judged = &atomic.Bool{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r := bufio.NewReader(conn)
				head := make([]byte, 3)
				if _, err := io.ReadFull(r, head); err != nil {
					return
				}
				if _, err := r.Discard(int(head[1])<<8 | int(head[2])); err != nil {
					return
				}
				conn.Write(question)
				if _, err := r.ReadByte(); err == nil {
					judged.Store(true)
				}
			}()
		}
	}()
	return l, judged, nil
}

// wrongTogether tries a wrong password with a code behind it. The modules that check passwords are real, and
// so is totpd-password.
func (t *Trial) wrongTogether(ctx context.Context, service string) Check {
	c := Check{Service: service, What: "a wrong password is refused, and the code behind it isn't judged"}
	dir, err := os.MkdirTemp(t.Scratch, "pam-")
	if err != nil {
		return c.failed(err.Error(), "")
	}
	daemon, judged, err := feign(dir)
	if err != nil {
		return c.failed(err.Error(), "")
	}
	defer daemon.Close()
	a, err := t.tryIn(ctx, dir, service, wrongTogether)
	switch {
	case err != nil:
		return c.failed(err.Error(), "")
	case a.Code == 0:
		return c.failed("it is let in", "look at the modules around pam_totpd.so: one of them takes any password")
	case judged.Load():
		return c.failed("the code is judged", "the service totpd takes a wrong password: cat /etc/pam.d/totpd")
	case a.Code == int(pam.ErrAuthinfoUnavail):
		return c.failed("totpd-password doesn't answer", system.StartPasswords())
	case len(a.Asked) != 1:
		return c.failed(fmt.Sprintf("%d questions are asked: %s", len(a.Asked), strings.Join(slices.Compact(a.Asked), ", ")),
			"a module after pam_totpd.so asks for the password again: use_first_pass")
	case broken(a.Code):
		return c.failed(a.Text, "the log says which module: "+system.Log())
	}
	return c.passed()
}
