// Package world makes a throwaway world for the demo and the end-to-end tests: the machine as it is,
// seen from private mount and process namespaces, with sshd and sudo laid over it, users and PAM files
// of its own, and totpd installed. In it run the real libpam, sshd, login, su, sudo, tmux, ssh client,
// QR reader and oathtool.
//
// It owns everything that it starts: when the program that entered ends, in whatever way, the kernel
// ends every process of the world and drops every mount. It knows nothing about what totpd should do;
// the stories do.
//
// Always true: nothing of the machine changes. /etc, /var and /usr are overlays whose upper layer is in
// memory; /home, /root, /run, /tmp, /dev and /proc are new. No secret of a story outlives it.
package world

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrForbidden is the reason why there can be no world here: not root, or namespaces or mounts refused.
var ErrForbidden = errors.New("no throwaway world")

// ErrNotBuilt says that something must be built first.
var ErrNotBuilt = errors.New("not built")

// Where things are, inside.
const (
	LogDir     = "/var/log/world" // what the servers said, one file each
	runDir     = "/run/world"     // sockets and settings of the world itself
	Totpctl    = "/usr/bin/totpctl"
	Totpd      = "/usr/libexec/totpd/totpd"
	Locker     = "/usr/libexec/totpd/locker" // see locker/locker.c; no part of totpd
	stacksDir  = "/usr/libexec/totpd/stacks" // contrib/stacks
	debianFile = "/usr/libexec/totpd/debian.txtar"
	ConfigFile = "/etc/totpd/totpd.toml"
	LoginSock  = "/run/totpd/login.sock"
)

// Options say what the world is made from.
type Options struct {
	Top     string // the source tree; build/stage and build/debs are below it
	Name    string // the host name inside
	Network bool   // the machine's network; false: a loopback interface of its own, and nothing else
	// Afterwards, in the first run, sees the exit status once the world is gone and returns the one to
	// exit with. Nil: the same.
	Afterwards func(status int) int
}

// World is what a program has entered.
type World struct {
	Options
	OuterPID int // of the program that entered, as the machine sees it
	Syslog   *Syslog
	*Terminals
}

// FindTop returns the source tree that dir is in: the folder with go.mod.
func FindTop(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for d := dir; ; d = filepath.Dir(d) {
		if _, err := os.Stat(filepath.Join(d, "go.mod")); err == nil {
			return d, nil
		}
		if d == "/" {
			return "", fmt.Errorf("%s is in no source tree", dir)
		}
	}
}

// Logs returns what the servers of the world said, for a person who looks for the cause of a failure.
// Of each log, the last lines only, and none of sshd's debugging.
func Logs(lines int) string {
	var b strings.Builder
	files, _ := filepath.Glob(LogDir + "/*")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil || len(text) == 0 {
			continue
		}
		all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
		all = slices.DeleteFunc(all, func(line string) bool { return strings.HasPrefix(line, "debug1: ") })
		if len(all) > lines {
			all = all[len(all)-lines:]
		}
		fmt.Fprintf(&b, "--- %s\n%s\n", filepath.Base(f), strings.Join(all, "\n"))
	}
	return b.String()
}

// Log returns what one of the servers said so far.
func Log(name string) string {
	text, err := os.ReadFile(filepath.Join(LogDir, name))
	if err != nil {
		return ""
	}
	return string(text)
}
