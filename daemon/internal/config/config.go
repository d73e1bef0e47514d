// Package config reads totpd.toml.
package config

import (
	"errors"
	"io"
	"time"

	_ "github.com/BurntSushi/toml" // until the package is filled in
)

// DefaultFile is read when no file is named.
const DefaultFile = "/etc/totpd/totpd.toml"

// Config is the effective settings.
type Config struct {
	Listen   Listen
	Store    Store
	Key      Key
	Code     Code
	Login    Login
	Throttle Throttle
}

// Listen is the paths of the sockets.
type Listen struct {
	Login    string
	Control  string
	Password string
}

// Store says where the accounts are kept.
type Store struct{ Path string }

// Key says where the key that seals secrets is kept.
type Key struct{ File string }

// Code is what new devices are given, and how codes are judged.
type Code struct {
	Issuer    string
	Digits    int
	Period    int // seconds
	Algorithm string
	Skew      int // steps
}

// Login is the dialogue with the person.
type Login struct {
	Prompt string
	Tries  int
}

// Throttle limits guessing.
type Throttle struct {
	Free        int
	FirstWait   time.Duration
	LongestWait time.Duration
	Lock        int
}

// Default returns the settings without any file.
func Default() Config { return Config{} }

// Load reads the file; with an empty path DefaultFile, where a missing one gives the defaults.
func Load(path string) (Config, error) { return Config{}, errors.New("config: not built yet") }

// Explain writes the effective settings.
func (c Config) Explain(w io.Writer) error { return nil }
