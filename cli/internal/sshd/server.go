// Package sshd tells what an OpenSSH server does with logins: the effective settings, which only sshd
// itself knows ("sshd -T"), and which line of which file sets what.
//
// It runs sshd in its test modes alone and changes nothing.
package sshd

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Where things usually are.
const (
	ConfigFile = "/etc/ssh/sshd_config"
	DropIns    = "/etc/ssh/sshd_config.d"
)

var programs = []string{"/usr/sbin/sshd", "/usr/bin/sshd", "/usr/local/sbin/sshd"}

// Server is an installed sshd, not necessarily a running one.
type Server struct {
	Program string   // to run
	Config  string   // the settings' first file, to give to sshd; empty: its own default
	Args    []string // further arguments, as the host's service gives them
	Env     []string // of the program; nil: a short one of our own
}

// ErrNone says that there is no sshd on the host.
var ErrNone = errors.New("there is no sshd")

// Find returns the sshd of the host whose root directory this is, with the arguments that its service
// passes on from /etc/default/ssh or /etc/sysconfig/sshd.
func Find(root string) (*Server, error) {
	for _, program := range programs {
		here := filepath.Join(root, program)
		if st, err := os.Stat(here); err == nil && st.Mode().IsRegular() {
			s := &Server{Program: here, Args: serviceArgs(root)}
			for i, arg := range s.Args[:max(len(s.Args)-1, 0)] {
				if arg == "-f" {
					s.Config = s.Args[i+1]
				}
			}
			return s, nil
		}
	}
	return nil, ErrNone
}

// serviceArgs are of Debian's SSHD_OPTS and Fedora's OPTIONS.
func serviceArgs(root string) []string {
	for _, from := range []struct{ file, name string }{
		{"/etc/default/ssh", "SSHD_OPTS"}, {"/etc/sysconfig/sshd", "OPTIONS"},
	} {
		text, err := os.ReadFile(filepath.Join(root, from.file))
		if err != nil {
			continue
		}
		value := ""
		for line := range strings.Lines(string(text)) {
			name, v, found := strings.Cut(strings.TrimSpace(line), "=")
			if found && name == from.name {
				value = strings.Trim(v, `"'`)
			}
		}
		return strings.Fields(value)
	}
	return nil
}

// timeMax is how long sshd may take for an answer; it takes some milliseconds.
const timeMax = 10 * time.Second

// Connection is one login for which settings are asked. Match blocks look at it.
type Connection struct {
	User, Host, Addr, LocalAddr string
	LocalPort                   string
}

// From is a connection of a user from this host itself. sshd wants to be told of all that Match blocks may look at.
func From(user string) *Connection {
	return &Connection{User: user, Host: "localhost", Addr: "127.0.0.1", LocalAddr: "127.0.0.1", LocalPort: "22"}
}

// spec is for sshd's option -C.
func (c *Connection) spec() (string, error) {
	var parts []string
	for _, part := range []struct{ name, value string }{
		{"user", c.User}, {"host", c.Host}, {"addr", c.Addr}, {"laddr", c.LocalAddr}, {"lport", c.LocalPort},
	} {
		if strings.ContainsAny(part.value, ",\x00") {
			return "", fmt.Errorf("ask sshd about %s %q: there is a comma in it", part.name, part.value)
		}
		if part.value != "" {
			parts = append(parts, part.name+"="+part.value)
		}
	}
	return strings.Join(parts, ","), nil
}

// Effective returns the settings in effect: for one connection, or, with nil, those for everybody.
func (s *Server) Effective(ctx context.Context, c *Connection) (*Settings, error) {
	args := []string{"-T"}
	if c != nil {
		spec, err := c.spec()
		if err != nil {
			return nil, err
		}
		args = append(args, "-C", spec)
	}
	out, err := s.run(ctx, args...)
	if failure := new(Failure); c == nil && errors.As(err, &failure) && strings.Contains(failure.Said, "not in connection test specification") {
		return s.Effective(ctx, &nowhere)
	}
	if err != nil {
		return nil, err
	}
	return ParseSettings(out)
}

// nowhere is a connection that no Match block means. Without any, sshd answers nothing where a block looks at a
// port.
var nowhere = Connection{User: "nobody", Host: "nowhere.invalid", Addr: "0.0.0.0", LocalAddr: "0.0.0.0", LocalPort: "1"}

// Check has sshd check its settings. The error says what sshd says.
func (s *Server) Check(ctx context.Context) error {
	_, err := s.run(ctx, "-t")
	return err
}

var versionPattern = regexp.MustCompile(`OpenSSH_([0-9]+)\.([0-9]+)`)

// Version returns OpenSSH's, such as 9 and 2.
func (s *Server) Version(ctx context.Context) (major, minor int, err error) {
	// Before OpenSSH 9.2 sshd knew no -V and told its version in the complaint.
	cmd := s.command(ctx, "-V")
	out, _ := cmd.CombinedOutput()
	if found := versionPattern.FindSubmatch(out); found != nil {
		_, err := fmt.Sscan(string(found[1])+" "+string(found[2]), &major, &minor)
		return major, minor, err
	}
	return 0, 0, fmt.Errorf("ask %s for its version: it names none: %s", s.Program, firstLine(out))
}

func (s *Server) command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, s.Program, args...)
	cmd.WaitDelay = time.Second
	cmd.Env = s.Env
	if cmd.Env == nil {
		cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	}
	return cmd
}

// A Failure is what sshd said to settings it doesn't take.
type Failure struct {
	Args string // of sshd
	Said string
}

func (f *Failure) Error() string { return fmt.Sprintf("sshd %s: %s", f.Args, f.Said) }

func (s *Server) run(ctx context.Context, args ...string) ([]byte, error) {
	ctx, stop := context.WithTimeout(ctx, timeMax)
	defer stop()
	all := append([]string{}, s.Args...)
	if s.Config != "" {
		all = append(all, "-f", s.Config)
	}
	all = append(all, args...)
	cmd := s.command(ctx, all...)
	var out, complaints bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &complaints
	err := cmd.Run()
	exit := new(exec.ExitError)
	switch {
	case err == nil:
		return out.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("sshd %s: no answer within %v", strings.Join(args, " "), timeMax)
	case errors.As(err, &exit):
		return nil, &Failure{Args: strings.Join(args, " "), Said: said(complaints.Bytes(), err)}
	case errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("%s: %w", s.Program, ErrNone)
	}
	return nil, err
}

// said is what sshd complained about, in one line.
func said(complaints []byte, err error) string {
	text := strings.TrimSpace(string(complaints))
	if text == "" {
		return err.Error()
	}
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line))
	}
	return strings.Join(lines, "; ")
}

func firstLine(text []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
	return line
}
