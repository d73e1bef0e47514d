// Package config is totpd.toml: its keys, their defaults and limits. It reads the file, checks it in
// full and explains the result; what the settings do is up to the packages that are given them.
//
// It also reads the table of what rules are expected to say, which is checked as strictly.
//
// Always true: a key that is unknown, of the wrong type or out of its limits is an error, never
// ignored; all errors of a file are told at once, each with its place and what to do; what Explain
// writes is itself a configuration file with the same effect.
package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/internal/policy"
)

// DefaultFile is read when no file is named.
const DefaultFile = "/etc/totpd/totpd.toml"

// sizeMax is the largest file that is read, in bytes.
const sizeMax = 1 << 20

// Config is the effective settings. Default and Load make them; the zero value is not valid.
type Config struct {
	Listen   Listen
	Store    Store
	Key      Key
	Code     Code
	Login    Login
	Throttle Throttle
	Remember Remember
	Rules    policy.Rules
	Speakers []Speaker
	Log      Log

	file  string         // "" without one
	lines map[string]int // where in the file a setting was made
}

// Listen is the paths of the sockets. Those that systemd hands over take the place of the first two.
type Listen struct {
	Login    string // the PAM module's
	Control  string // totpctl's
	Password string // of totpd-password; the daemon connects to it
}

// Store says where the accounts are kept.
type Store struct{ Path string }

// Key says where the key that seals secrets is kept. A credential from systemd takes its place.
type Key struct{ File string }

// Code is what new devices are given (Issuer to Algorithm), and how codes are judged (Skew).
type Code struct {
	Issuer    string // how an authenticator labels this host
	Digits    int
	Period    int // seconds
	Algorithm string
	Skew      int // steps before and after the present one whose codes are accepted too
}

// Login is the dialogue with the person.
type Login struct {
	Prompt string
	Tries  int // answers in one login
}

// Throttle limits guessing, for each user: see package throttle. In the file, times are whole seconds.
type Throttle struct {
	Free        int           // failures in a row without a wait
	FirstWait   time.Duration // after the next one; it doubles with each that follows
	LongestWait time.Duration
	Lock        int // failures after which only root can help
}

// Remember limits for how long rules let computers be remembered.
type Remember struct {
	Longest int // days
}

// Log limits the history of events that the store keeps.
type Log struct {
	Keep int // days
	Max  int // events
}

// Default returns the settings of an empty file.
func Default() Config {
	return Config{
		Listen: Listen{
			Login:    "/run/totpd/login.sock",
			Control:  "/run/totpd/control.sock",
			Password: "/run/totpd/password.sock",
		},
		Store:    Store{Path: "/var/lib/totpd/totpd.db"},
		Key:      Key{File: "/var/lib/totpd/totpd.key"},
		Code:     Code{Issuer: hostName(), Digits: 6, Period: 30, Algorithm: "SHA1", Skew: 1},
		Login:    Login{Prompt: "One-time code: ", Tries: 3},
		Throttle: Throttle{Free: 3, FirstWait: 5 * time.Second, LongestWait: 15 * time.Minute, Lock: 100},
		Remember: Remember{Longest: 50},
		Log:      Log{Keep: 90, Max: 100_000},
	}
}

// unknown are the settings of a file of which nothing can be read.
func unknown() Config {
	c := Default()
	c.Rules = undecided()
	return c
}

func hostName() string {
	name, err := os.Hostname()
	if err != nil || text(1, issuerMax, ":")(name) != "" {
		return "localhost"
	}
	return name
}

// Load reads the file at path. With an empty path it reads DefaultFile, and returns the defaults
// where there is none; a file that was named must exist. An error returns nothing else.
func Load(path string) (Config, error) {
	named := path != ""
	if !named {
		path = DefaultFile
	}
	content, err := read(path)
	if errors.Is(err, fs.ErrNotExist) {
		if !named {
			return Default(), nil
		}
		err = fmt.Errorf("no such file: make it (it may be empty), or leave the name away for %s", DefaultFile)
	}
	if err != nil {
		return Config{}, fmt.Errorf("read configuration %s: %w", path, err)
	}
	return parse(path, content)
}

// Salvage reads as Load does, for root's help on a host whose configuration is broken: what is wrong in
// the file is told, and has its default in the settings; the rest counts. A file that can't be read, or
// is no TOML, is all defaults. None of this is for logins: beside an error, the rules are one that nobody
// gets past.
func Salvage(path string) (Config, error) {
	if path == "" {
		path = DefaultFile
	}
	content, err := read(path)
	if errors.Is(err, fs.ErrNotExist) && path == DefaultFile {
		return Default(), nil
	}
	if err != nil {
		return unknown(), fmt.Errorf("read configuration %s: %w", path, err)
	}
	return salvage(path, content)
}

func read(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		var p *fs.PathError
		if errors.As(err, &p) {
			err = p.Err
		}
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if info.Mode().IsRegular() && info.Mode().Perm()&0o002 != 0 {
		return "", fmt.Errorf("all users may write to it: mend it with chmod o-w %s", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, sizeMax+1))
	if err != nil {
		return "", err
	}
	if len(content) > sizeMax {
		return "", errors.New("larger than 1 MB: this is no configuration of totpd")
	}
	return string(content), nil
}

// Explain writes the effective settings as a configuration file, each with where it comes from.
func (c Config) Explain(w io.Writer) error {
	var b strings.Builder
	switch {
	case c.file == "":
		b.WriteString("# no configuration file: everything is the default\n")
	default:
		fmt.Fprintf(&b, "# from %q; what it doesn't set is the default\n", c.file)
	}
	section := ""
	for _, s := range settings {
		if s.section != section {
			section = s.section
			fmt.Fprintf(&b, "\n[%s]\n", section)
		}
		origin := "default"
		if line, ok := c.lines[s.name()]; ok {
			origin = "line " + strconv.Itoa(line)
		}
		fmt.Fprintf(&b, "%-42s # %s; %s\n", s.key+" = "+shown(s.at(&c)), origin, s.about)
	}
	c.explainRules(&b)
	c.explainSpeakers(&b)
	_, err := io.WriteString(w, b.String())
	return err
}

// shown is a value as TOML spells it. Strings hold no control characters: check saw to that.
func shown(at any) string {
	switch v := at.(type) {
	case *string:
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(*v) + `"`
	case *int:
		return strconv.Itoa(*v)
	case *time.Duration:
		return strconv.FormatInt(int64(*v/time.Second), 10)
	}
	return ""
}
