package trial

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/stack"
)

// what a copy is for.
type purpose int

const (
	wrongPassword purpose = iota // the modules that check passwords are real; in our place a sign
	rightPassword                // those modules have said yes; ours is real
	daemonGone                   // the same, and ours finds no daemon
	verifiedKey                  // those modules have said no; ours is real
	keyDaemonGone                // the same, and ours finds no daemon
	wrongTogether                // the modules that check passwords are real, and so is ours; the daemon is not
	wrongAsNow                   // the modules that check passwords are real, and so are ours and the daemon
)

// reached is the sign that a stack came to our line.
const reached = "totpd-was-reached"

// copier writes the auth lines of one service into a directory, modules changed to suit a purpose.
type copier struct {
	tree    *stack.Tree
	dir     string
	module  []string // where ours is, and arguments for it; empty: as the lines have it
	purpose purpose
	relays  relays // to the daemon
	files   int
}

// service writes the copy. What is included is named by its path: libpam 1.5 would look for it in its own
// directory.
func (c *copier) service(name string) error {
	// libpam asks for it, and logs where it isn't.
	if err := os.WriteFile(filepath.Join(c.dir, stack.Other), []byte("auth required pam_deny.so\n"), 0o600); err != nil {
		return err
	}
	_, err := c.file(name, name, 0)
	return err
}

func (c *copier) file(name, as string, depth int) (path string, err error) {
	if c.files++; depth > 16 || c.files > 500 {
		return "", fmt.Errorf("copy %s: too many files", name)
	}
	f, err := c.tree.Read(name)
	if err != nil {
		return "", err
	}
	path = filepath.Join(c.dir, as)
	var b strings.Builder
	for _, l := range f.Lines {
		if l.Type != stack.Auth && l.Type != stack.AnyType {
			continue
		}
		if l.Includes() {
			inner := fmt.Sprintf("included-%d", c.files)
			if l.Module, err = c.file(l.Module, inner, depth+1); err != nil {
				return "", err
			}
		} else {
			l = c.line(l)
		}
		fmt.Fprintln(&b, l)
	}
	return path, os.WriteFile(path, []byte(b.String()), 0o600)
}

// line is l with a module to suit the purpose. Nothing that keeps count, runs programs or talks to a device
// stays in a copy; what only says something of the circumstances has said yes. A line that lets in at once
// is for some users, as before, and the trial is about the others: a token isn't there, a condition is real.
func (c *copier) line(l stack.Line) stack.Line {
	if c.tree.Missing(l) != "" {
		return l // libpam will say so, as it does in a login
	}
	switch role := l.Role(); {
	case role == stack.Code && c.purpose == wrongPassword:
		return with(l, "pam_echo.so", reached)
	case role == stack.Code || role == stack.WithKey || role == stack.Combined:
		return c.ours(l)
	case role == stack.Knows && (c.purpose == wrongPassword || c.purpose == wrongTogether || c.purpose == wrongAsNow):
		if l.Name() == "pam_unix" {
			l.Args = append(slices.Clone(l.Args), "nodelay")
		}
		return l
	case role == stack.Has && letsIn(l):
		return with(l, "pam_deny.so")
	case letsIn(l) && slices.Contains(conditions, l.Name()):
		return l
	case (role == stack.Knows || role == stack.Has) && (c.purpose == rightPassword || c.purpose == daemonGone):
		return with(l, "pam_permit.so")
	case role == stack.Knows, role == stack.Has, role == stack.Trusts, role == stack.Denies,
		l.Name() == "pam_faillock" && slices.Contains(l.Args, "authfail"):
		return with(l, "pam_deny.so")
	}
	return with(l, "pam_permit.so")
}

// conditions are modules that only look at the user and the host, and change nothing.
var conditions = strings.Fields("pam_succeed_if pam_listfile pam_localuser pam_usertype pam_access pam_time pam_shells pam_wheel")

// letsIn tells whether a yes of this line is the end.
func letsIn(l stack.Line) bool { return l.Control.Action("success") == stack.Done }

// ours is a line of our module, with the sockets that suit the purpose.
func (c *copier) ours(l stack.Line) stack.Line {
	l.Args = slices.Clone(l.Args)
	if len(c.module) > 0 {
		l.Module = c.module[0]
		l.Args = append(l.Args, c.module[1:]...)
	}
	switch c.purpose {
	case rightPassword, verifiedKey, wrongPassword, wrongAsNow:
		login, passwords := sockets(l.Args)
		l.Args = append(without(l.Args, "socket=", "password_socket="), "socket="+c.relays.to(c.dir, login), "password_socket="+passwords)
	case daemonGone, keyDaemonGone:
		l.Args = append(without(l.Args, "socket=", "timeout="), "socket="+filepath.Join(c.dir, "nobody"), "timeout=1")
	case wrongTogether:
		_, passwords := sockets(l.Args)
		l.Args = append(without(l.Args, "socket=", "password_socket="), "socket="+filepath.Join(c.dir, feigned), "password_socket="+passwords)
	}
	return l
}

// without are the arguments without those that begin so.
func without(args []string, names ...string) []string {
	return slices.DeleteFunc(args, func(arg string) bool {
		return slices.ContainsFunc(names, func(name string) bool { return strings.HasPrefix(arg, name) })
	})
}

// sockets are where our module asks for a verdict, and about passwords: see pam_totpd(8).
func sockets(args []string) (login, passwords string) {
	login = "/run/totpd/login.sock"
	for _, arg := range args {
		if path, is := strings.CutPrefix(arg, "socket="); is {
			login = path
		}
		if path, is := strings.CutPrefix(arg, "password_socket="); is {
			passwords = path
		}
	}
	if passwords == "" {
		passwords = filepath.Join(filepath.Dir(login), "password.sock")
	}
	return login, passwords
}

func with(l stack.Line, module string, args ...string) stack.Line {
	l.Module, l.Args = module, args
	return l
}
