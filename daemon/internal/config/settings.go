package config

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

const (
	issuerMax = 64
	promptMax = 128
	socketMax = 107 // bytes in sun_path, without the NUL: unix(7)
	pathMax   = 1024

	remembersMost = 365 // days
)

// setting is one key of the file.
type setting struct {
	section, key string
	about        string            // what it is, with its unit
	at           func(*Config) any // *string, *int, or *time.Duration for whole seconds
	// check returns what a value must be, or "". It is given a string or an int.
	check func(any) string
}

func (s setting) name() string { return s.section + "." + s.key }

// settings lists every key there is, in the order in which they are explained.
var settings = []setting{
	{"listen", "login", "socket of the PAM module",
		func(c *Config) any { return &c.Listen.Login }, path(socketMax)},
	{"listen", "control", "socket of totpctl",
		func(c *Config) any { return &c.Listen.Control }, path(socketMax)},
	{"listen", "password", "socket of totpd-password",
		func(c *Config) any { return &c.Listen.Password }, path(socketMax)},
	{"store", "path", "SQLite database of the accounts",
		func(c *Config) any { return &c.Store.Path }, path(pathMax)},
	{"key", "file", "key that seals the secrets",
		func(c *Config) any { return &c.Key.File }, path(pathMax)},
	{"code", "issuer", "how authenticators label this host",
		func(c *Config) any { return &c.Code.Issuer }, text(1, issuerMax, ":")},
	{"code", "digits", "of a new device's codes",
		func(c *Config) any { return &c.Code.Digits }, oneOf(6, 8)},
	{"code", "period", "seconds for which a new device shows a code",
		func(c *Config) any { return &c.Code.Period }, oneOf(30, 60)},
	{"code", "algorithm", "of a new device",
		func(c *Config) any { return &c.Code.Algorithm }, oneOf("SHA1", "SHA256", "SHA512")},
	{"code", "skew", "periods before and after now whose codes are accepted",
		func(c *Config) any { return &c.Code.Skew }, between(0, 5)},
	{"login", "prompt", "what a person is asked",
		func(c *Config) any { return &c.Login.Prompt }, text(1, promptMax, "")},
	{"login", "tries", "answers in one login",
		func(c *Config) any { return &c.Login.Tries }, between(1, 10)},
	{"throttle", "free", "failures in a row without a wait",
		func(c *Config) any { return &c.Throttle.Free }, between(0, 20)},
	{"throttle", "first_wait", "seconds, then twice as many each time",
		func(c *Config) any { return &c.Throttle.FirstWait }, between(1, 3600)},
	{"throttle", "longest_wait", "seconds",
		func(c *Config) any { return &c.Throttle.LongestWait }, between(1, 86400)},
	// NIST SP 800-63B §5.2.2 allows no more than 100 failures in a row. Here they need not be in a row.
	{"throttle", "lock", "failures until only root can help; half of it where there was no login before",
		func(c *Config) any { return &c.Throttle.Lock }, between(1, 100)},
	{"remember", "longest", "days, that a rule may let a computer be remembered",
		func(c *Config) any { return &c.Remember.Longest }, between(0, remembersMost)},
	{"log", "keep", "days for which an event stays in the history",
		func(c *Config) any { return &c.Log.Keep }, between(1, 3650)},
	{"log", "max", "events in the history; the oldest go first",
		func(c *Config) any { return &c.Log.Max }, between(100, 10_000_000)},
}

// clash is two settings that don't go together.
type clash struct {
	name string // the one to change
	bad  func(Config) bool
	must string
}

var clashes = []clash{
	{"listen.control", func(c Config) bool { return c.Listen.Control == c.Listen.Login }, "must not be the same as listen.login"},
	{"listen.password", func(c Config) bool {
		return c.Listen.Password == c.Listen.Login || c.Listen.Password == c.Listen.Control
	}, "must not be the same as another socket"},
	{"key.file", func(c Config) bool { return c.Key.File == c.Store.Path }, "must not be the same as store.path"},
	{"throttle.longest_wait", func(c Config) bool { return c.Throttle.LongestWait < c.Throttle.FirstWait },
		"must not be shorter than throttle.first_wait"},
	{"throttle.lock", func(c Config) bool { return c.Throttle.Lock <= c.Throttle.Free },
		"must be more than throttle.free"},
}

func between(least, most int) func(any) string {
	return func(v any) string {
		if n, ok := v.(int); !ok || n < least || n > most {
			return fmt.Sprintf("must be from %d to %d", least, most)
		}
		return ""
	}
}

func oneOf[T comparable](allowed ...T) func(any) string {
	return func(v any) string {
		words := make([]string, len(allowed))
		for i, a := range allowed {
			if v == any(a) {
				return ""
			}
			words[i] = fmt.Sprint(a)
			if _, ok := any(a).(string); ok {
				words[i] = strconv.Quote(fmt.Sprint(a))
			}
		}
		return "must be " + strings.Join(words, " or ")
	}
}

func path(most int) func(any) string {
	return func(v any) string {
		p, _ := v.(string)
		switch {
		case text(1, most, "")(p) != "":
			return text(1, most, "")(p)
		case !filepath.IsAbs(p) || filepath.Clean(p) != p:
			return `must be a whole path that begins with "/", without "//", "." and ".."`
		}
		return ""
	}
}

// text allows printable UTF-8 of least to most bytes without the characters of not.
func text(least, most int, not string) func(any) string {
	return func(v any) string {
		s, _ := v.(string)
		switch {
		case len(s) < least || len(s) > most:
			return fmt.Sprintf("must have %d to %d bytes", least, most)
		case !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }):
			return "must have printable characters only"
		case not != "" && strings.ContainsAny(s, not):
			return fmt.Sprintf("must not hold any of %q", not)
		}
		return ""
	}
}

// assign stores a value of the file, and returns what it must be where it is something else.
func (s setting) assign(c *Config, value any) string {
	switch at := s.at(c).(type) {
	case *string:
		v, ok := value.(string)
		if !ok {
			return `must be a text in quotes, like "..."`
		}
		must := s.check(v)
		if must == "" {
			*at = v
		}
		return must
	case *int, *time.Duration:
		v, ok := value.(int64)
		if !ok {
			return "must be a whole number, without quotes"
		}
		if must := s.check(int(v)); must != "" || int64(int(v)) != v {
			return must
		}
		if n, ok := at.(*int); ok {
			*n = int(v)
		} else {
			*at.(*time.Duration) = time.Duration(v) * time.Second
		}
	}
	return ""
}
