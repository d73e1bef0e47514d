package world

import (
	"errors"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Terminals is a tmux server.
type Terminals struct {
	socket  string
	started bool
	open    []*Terminal
}

// NewTerminals returns a tmux server whose socket is in dir. It starts with the first terminal.
func NewTerminals(dir string) *Terminals { return &Terminals{socket: dir + "/tmux"} }

// Terminal is a real terminal, in which one program runs.
type Terminal struct {
	server *Terminals
	name   string
}

// Size is that of a terminal window that a person might have.
const (
	columns = 100
	rows    = 50
)

// ErrNotShown says that a text did not appear on a terminal's screen in time.
var ErrNotShown = errors.New("did not appear on the screen")

func (s *Terminals) tmux(arg ...string) (string, error) {
	return run("tmux", append([]string{"-u", "-S", s.socket, "-f", "/dev/null"}, arg...)...)
}

// Open runs a program in a new terminal with a UTF-8 locale. Settings (NAME=VALUE) may come first, as
// with env(1). The name is for messages and must be new.
func (s *Terminals) Open(name string, argv ...string) (*Terminal, error) {
	if !s.started {
		// A server without a session ends; this one stays, and keeps the screens of ended programs.
		if _, err := s.tmux("new-session", "-d", "-s", "-", "sleep", "infinity", ";",
			"set-option", "-g", "remain-on-exit", "on", ";", "set-option", "-g", "status", "off"); err != nil {
			return nil, err
		}
		s.started = true
	}
	args := []string{"new-session", "-d", "-s", name, "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows),
		"env", "-u", "TMUX", "-u", "LC_ALL", "LANG=C.UTF-8"}
	if _, err := s.tmux(append(args, argv...)...); err != nil {
		return nil, err
	}
	t := &Terminal{server: s, name: name}
	s.open = append(s.open, t)
	return t, nil
}

// Screens returns what the last few terminals show, for a person who looks for the cause of a failure.
func (s *Terminals) Screens(last int) string {
	var b strings.Builder
	for _, t := range s.open[max(0, len(s.open)-last):] {
		screen := regexp.MustCompile(`\n{3,}`).ReplaceAllString(t.Screen(), "\n\n")
		fmt.Fprintf(&b, "--- screen of the terminal %q\n%s\n", t.name, screen)
	}
	return b.String()
}

// Attach is the command line that joins a terminal to the caller's own.
func (s *Terminals) Attach(name string) []string {
	return []string{"tmux", "-u", "-S", s.socket, "attach-session", "-t", "=" + name}
}

// Close ends all terminals and the server.
func (s *Terminals) Close() error {
	if !s.started {
		return nil
	}
	_, err := s.tmux("kill-server")
	return err
}

// Screen returns the text that the terminal shows, with what has been scrolled off its top since the
// last Clear.
func (t *Terminal) Screen() string {
	text, err := t.server.tmux("capture-pane", "-p", "-J", "-S", "-", "-t", t.pane())
	if err != nil {
		return err.Error()
	}
	return strings.TrimRight(text, "\n ")
}

// Type types text, then Enter.
func (t *Terminal) Type(text string) error {
	if text != "" {
		if _, err := t.server.tmux("send-keys", "-t", t.pane(), "-l", "--", text); err != nil {
			return err
		}
	}
	return t.Press("Enter")
}

// Press presses keys, by tmux's names: Enter, C-c.
func (t *Terminal) Press(keys ...string) error {
	_, err := t.server.tmux(append([]string{"send-keys", "-t", t.pane()}, keys...)...)
	return err
}

// Wait waits up to a limit until the screen matches a pattern, and returns the screen. An ended program
// ends the wait.
func (t *Terminal) Wait(pattern string, limit time.Duration) (string, error) {
	re, err := regexp.Compile("(?m)" + pattern)
	if err != nil {
		return "", err
	}
	for deadline := time.Now().Add(limit); ; time.Sleep(30 * time.Millisecond) {
		_, ended := t.ended() // before the look: what it showed last counts
		screen := t.Screen()
		if re.MatchString(screen) {
			return screen, nil
		}
		if ended || time.Now().After(deadline) {
			return screen, fmt.Errorf("%q %w", pattern, ErrNotShown)
		}
	}
}

// End waits up to a limit until the terminal's program has ended, and returns its exit status.
func (t *Terminal) End(limit time.Duration) (int, error) {
	for deadline := time.Now().Add(limit); ; time.Sleep(30 * time.Millisecond) {
		if status, ended := t.ended(); ended {
			return status, nil
		}
		if time.Now().After(deadline) {
			return 0, fmt.Errorf("the program in terminal %s still runs after %v", t.name, limit)
		}
	}
}

// Clear empties the screen, so that the next Wait sees new text only.
func (t *Terminal) Clear() error {
	_, err := t.server.tmux("send-keys", "-R", "-t", t.pane(), ";", "clear-history", "-t", t.pane())
	return err
}

// Resize makes the window another size. ReadQR looks at one of the usual size.
func (t *Terminal) Resize(columns, rows int) error {
	_, err := t.server.tmux("resize-window", "-t", t.pane(), "-x", strconv.Itoa(columns), "-y", strconv.Itoa(rows))
	return err
}

// Close ends the terminal and what runs in it, as closing its window does.
func (t *Terminal) Close() error {
	_, err := t.server.tmux("kill-session", "-t", "="+t.name)
	t.server.open = slices.DeleteFunc(t.server.open, func(o *Terminal) bool { return o == t })
	return err
}

// Echo says whether the terminal shows what is typed: a program that was interrupted while it read a
// password must leave it so.
func (t *Terminal) Echo() (bool, error) {
	tty, err := t.server.tmux("display-message", "-p", "-t", t.pane(), "#{pane_tty}")
	if err != nil {
		return false, err
	}
	out, err := exec.Command("stty", "-a", "-F", strings.TrimSpace(tty)).CombinedOutput()
	if err != nil {
		return false, fmt.Errorf("stty: %w: %s", err, out)
	}
	return regexp.MustCompile(`(^|[ ;])echo([ ;]|$)`).Match(out), nil
}

func (t *Terminal) pane() string { return "=" + t.name + ":" }

// ended says whether the terminal's program has ended, and how: -1 by a signal.
func (t *Terminal) ended() (int, bool) {
	out, err := t.server.tmux("display-message", "-p", "-t", t.pane(),
		"#{pid} #{pane_dead} #{?pane_dead_signal,-1,#{pane_dead_status}}")
	if err != nil {
		return -1, true
	}
	var server, dead, status int
	n, _ := fmt.Sscan(out, &server, &dead, &status)
	if n == 2 && dead == 1 {
		// tmux 3.3 sometimes misses that a child ended, until the next one does.
		_ = syscall.Kill(server, syscall.SIGCHLD)
	}
	return status, n == 3 && dead == 1
}
