package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/creack/pty"
	"github.com/pquerna/otp"
	"github.com/pquerna/otp/totp"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sys/unix"
)

// patience is how long a person waits for what they expect to see.
const patience = 30 * time.Second

// session is a program and whoever types into it. What they do is one line each:
//
//	expect REGEXP    wait until it shows, after what was expected before
//	type TEXT        and Enter
//	keys TEXT        without
//	code [SECONDS]   the code that the phone shows, whose clock is so much ahead; it has scanned what
//	                 this session showed, else one before
//	recovery N [sloppily]  the Nth recovery code of those shown last, in this session or one before
//	press ctrl-c     or ctrl-d, ctrl-z, ctrl-u, tab
//	end              the program gets a SIGTERM
//	wait DURATION
//	close            standard input, of a robot
//	exit STATUS      wait for the end
type session struct {
	in    io.WriteCloser
	read  int // of what was seen
	ended chan error

	program *os.Process
	phone   string // the file that stands for what a phone has scanned

	mu   sync.Mutex
	seen bytes.Buffer
}

// Write takes what the program shows.
func (s *session) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen.Write(p)
}

func (s *session) shown() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.ReplaceAll(s.seen.String(), "\r\n", "\n")
}

// cmdPerson is: person [-size COLUMNSxROWS] FILE PROGRAM ARGS... The person sits at a terminal. What it
// showed is in the file screen afterwards; it must echo again.
func cmdPerson(ts *testscript.TestScript, neg bool, args []string) {
	size := pty.Winsize{Cols: 100, Rows: 50}
	if len(args) > 1 && args[0] == "-size" {
		if _, err := fmt.Sscanf(args[1], "%dx%d", &size.Cols, &size.Rows); err != nil {
			ts.Fatalf("size %s: %v", args[1], err)
		}
		args = args[2:]
	}
	if neg || len(args) < 2 {
		ts.Fatalf("usage: person [-size COLUMNSxROWS] FILE PROGRAM ARGS...")
	}
	control, terminal, err := pty.Open()
	ts.Check(err)
	defer control.Close()
	defer terminal.Close()
	ts.Check(pty.Setsize(terminal, &size))
	cmd := command0(ts, args[1:])
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	s := &session{in: control}
	go io.Copy(s, control)
	s.play(ts, args[0], cmd)
	ts.Check(os.WriteFile(ts.MkAbs("screen"), []byte(s.drained(ts, terminal)), 0o600))
	now, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	ts.Check(err)
	if now.Lflag&unix.ECHO == 0 {
		ts.Fatalf("the terminal doesn't echo any more")
	}
}

// drained is all that was shown, with what the kernel still held when the program ended.
func (s *session) drained(ts *testscript.TestScript, terminal io.Writer) string {
	const last = "\x1e" // no program of ours writes it
	_, err := io.WriteString(terminal, last)
	ts.Check(err)
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		if shown, all := strings.CutSuffix(s.shown(), last); all {
			return shown
		}
	}
	ts.Fatalf("the terminal doesn't show what is written to it")
	return ""
}

// cmdRobot is: robot FILE PROGRAM ARGS... A script writes and reads through pipes. What came is in
// the files out and err afterwards.
func cmdRobot(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: robot FILE PROGRAM ARGS...")
	}
	cmd := command0(ts, args[1:])
	in, err := cmd.StdinPipe()
	ts.Check(err)
	s := &session{in: in}
	var talk strings.Builder
	cmd.Stdout, cmd.Stderr = s, &talk
	s.play(ts, args[0], cmd)
	ts.Check(os.WriteFile(ts.MkAbs("out"), []byte(s.shown()), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs("err"), []byte(talk.String()), 0o600))
}

// command0 is a program in the story's environment.
func command0(ts *testscript.TestScript, args []string) *exec.Cmd {
	path := args[0]
	if path == "totpctl" || path == "me" || path == "setup" {
		path = filepath.Join(bin, path)
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "TOTPD_SOCKET", "LC_ALL", "TERM", "NO_COLOR", "TZ", "TEST_CLOCK",
		"TEST_ROOT", "TEST_TOTPD", "DBUS_SYSTEM_BUS_ADDRESS", "ROOT", "MODULE", "GORACE"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	return cmd
}

func (s *session) play(ts *testscript.TestScript, file string, cmd *exec.Cmd) {
	ts.Check(cmd.Start())
	s.ended, s.program, s.phone = make(chan error, 1), cmd.Process, ts.MkAbs("phone")
	go func() { s.ended <- cmd.Wait() }()
	defer cmd.Process.Kill()
	over := false
	for line := range strings.Lines(ts.ReadFile(file)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if over {
			ts.Fatalf("%s: %q after the end", file, line)
		}
		do, what, _ := strings.Cut(line, " ")
		if do == "exit" {
			s.exit(ts, file, cmd, what)
			over = true
		} else if err := s.act(do, os.Expand(what, ts.Getenv)); err != nil {
			ts.Fatalf("%s: %s: %v; what was shown:\n%s", file, line, err, s.shown())
		}
	}
	if !over {
		ts.Fatalf("%s: no exit", file)
	}
	ts.Check(s.writeDown())
}

func (s *session) act(do, what string) error {
	switch do {
	case "expect":
		return s.expect(what)
	case "type":
		_, err := io.WriteString(s.in, what+"\n")
		return err
	case "keys":
		_, err := io.WriteString(s.in, what)
		return err
	case "code":
		ahead, _ := strconv.Atoi(what)
		code, err := s.code(time.Duration(ahead) * time.Second)
		if err == nil {
			_, err = io.WriteString(s.in, code+"\n")
		}
		return err
	case "recovery":
		code, err := s.recovery(what)
		if err == nil {
			_, err = io.WriteString(s.in, code+"\n")
		}
		return err
	case "press":
		key := map[string]string{"ctrl-c": "\x03", "ctrl-d": "\x04", "ctrl-z": "\x1a", "ctrl-u": "\x15", "tab": "\t"}[what]
		if key == "" {
			return fmt.Errorf("no such key")
		}
		_, err := io.WriteString(s.in, key)
		return err
	case "end":
		return s.program.Signal(syscall.SIGTERM)
	case "wait":
		d, err := time.ParseDuration(what)
		time.Sleep(d)
		return err
	case "close":
		return s.in.Close()
	}
	return fmt.Errorf("nobody knows how to")
}

func (s *session) expect(what string) error {
	pattern, err := regexp.Compile(what)
	if err != nil {
		return err
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		shown := s.shown()
		if at := pattern.FindStringIndex(shown[s.read:]); at != nil {
			s.read += at[1]
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("not shown in %v", patience)
		}
	}
}

func (s *session) exit(ts *testscript.TestScript, file string, cmd *exec.Cmd, status string) {
	select {
	case <-s.ended:
	case <-time.After(patience):
		ts.Fatalf("%s: no end; what was shown:\n%s", file, s.shown())
	}
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != status {
		ts.Fatalf("%s: exit status %s, want %s; what was shown:\n%s", file, got, status, s.shown())
	}
}

var linkShown = regexp.MustCompile(`otpauth://totp/[^\s"]+`)

// code is what an authenticator shows that has scanned the last link shown, now or in a session before.
func (s *session) code(ahead time.Duration) (string, error) {
	if found := linkShown.FindAllString(s.shown(), -1); len(found) > 0 {
		// In JSON an ampersand may be spelled otherwise.
		link := strings.ReplaceAll(found[len(found)-1], `\u0026`, "&")
		if err := os.WriteFile(s.phone, []byte(link), 0o600); err != nil {
			return "", err
		}
	}
	link, err := os.ReadFile(s.phone)
	if err != nil {
		return "", err
	}
	key, err := otp.NewKeyFromURL(string(link))
	if err != nil {
		return "", err
	}
	return totp.GenerateCodeCustom(key.Secret(), time.Now().Add(ahead), totp.ValidateOpts{
		Period: uint(key.Period()), Digits: key.Digits(), Algorithm: key.Algorithm(),
	})
}

var recoveryShown = regexp.MustCompile(`[0-9A-HJKMNP-TV-Z]{4}(-[0-9A-HJKMNP-TV-Z]{4}){2}`)

// writeDown keeps the ten recovery codes that were shown, for this session and those after it.
func (s *session) writeDown() error {
	found := recoveryShown.FindAllString(s.shown(), -1)
	if len(found) < 10 {
		return nil
	}
	return os.WriteFile(s.phone+"-recovery", []byte(strings.Join(found[len(found)-10:], "\n")), 0o600)
}

// recovery is a code that the person has written down, as it was shown or as one types it in a hurry.
func (s *session) recovery(which string) (string, error) {
	if err := s.writeDown(); err != nil {
		return "", err
	}
	text, err := os.ReadFile(s.phone + "-recovery")
	if err != nil {
		return "", err
	}
	number, how, _ := strings.Cut(which, " ")
	n, _ := strconv.Atoi(number)
	codes := strings.Split(string(text), "\n")
	if n < 1 || n > len(codes) {
		return "", fmt.Errorf("there are %d recovery codes", len(codes))
	}
	if how == "sloppily" {
		return strings.NewReplacer("-", " ", "0", "o", "1", "l").Replace(strings.ToLower(codes[n-1])), nil
	}
	return codes[n-1], nil
}

// cmdScan is: scan dark | light. A phone reads the QR code from what a terminal of that theme showed
// and finds the link that was shown as text. With !, there is no code.
func cmdScan(ts *testscript.TestScript, neg bool, args []string) {
	screen := ts.ReadFile("screen")
	var code strings.Builder
	as := qrASCII
	for line := range strings.Lines(screen) {
		if plain := sgr.ReplaceAllString(line, ""); strings.ContainsAny(plain, "█▀") {
			as = qrUTF8
		} else if !strings.HasPrefix(plain, "##") {
			continue
		}
		code.WriteString(line)
	}
	if neg {
		if code.Len() > 0 {
			ts.Fatalf("there is a code:\n%s", screen)
		}
		return
	}
	on := map[string]theme{"dark": dark, "light": light}[args[0]]
	picture := filepath.Join(ts.MkAbs("."), "screen.pgm")
	ts.Check(os.WriteFile(picture, rendered(code.String(), as, on), 0o600))
	out, err := exec.Command("zbarimg", "--quiet", "--raw", "-Sdisable", "-Sqrcode.enable", picture).Output()
	if err != nil {
		ts.Fatalf("zbarimg: %v; what was shown:\n%s", err, screen)
	}
	link := regexp.MustCompile(`otpauth://\S+`).FindString(screen)
	if got := strings.TrimSuffix(string(out), "\n"); got != link || link == "" {
		ts.Fatalf("the phone reads %q, the screen says %q", got, link)
	}
}

// cmdStatus is: status CODE COMMAND ARGS... Like exec, but the exit status is told.
func cmdStatus(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status CODE COMMAND ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if exit, ok := err.(*exec.ExitError); ok {
		got = strconv.Itoa(exit.ExitCode())
	} else if err != nil {
		ts.Fatalf("%v", err)
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}

// cmdExample is: example VERB [FROM=TO]. It runs what the verb's help ends with, as written there, but
// for a name that this host doesn't have.
func cmdExample(ts *testscript.TestScript, neg bool, args []string) {
	example := exampleOf(ts, args[0])
	for _, other := range args[1:] {
		from, to, _ := strings.Cut(other, "=")
		example = strings.ReplaceAll(example, from, to)
	}
	err := ts.Exec("bash", "-c", "set -euo pipefail; "+example)
	if (err != nil) != neg {
		ts.Fatalf("%s: %v", example, err)
	}
}

// exampleOf returns the last lines of a verb's help.
func exampleOf(ts *testscript.TestScript, verb string) string {
	out, err := exec.Command(filepath.Join(bin, "totpctl"), strings.Fields("help "+verb)...).Output()
	ts.Check(err)
	_, example, found := strings.Cut(string(out), "\nExample:\n  ")
	if !found || strings.TrimSpace(example) == "" {
		ts.Fatalf("the help of %s doesn't end with an example", verb)
	}
	return strings.TrimSpace(example)
}
