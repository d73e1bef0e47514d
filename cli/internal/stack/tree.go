// Package stack reads PAM configurations, pam.conf(5), and lays out the stack of modules that a service
// runs. It follows libpam, and Debian's "@include", in what is read from where and in what each word
// means; what libpam turns into a line that always fails is here a Line with a Problem.
//
// It changes nothing and judges nothing: whether a stack is sound is for its callers. Every line knows its
// file and number.
package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Dirs are where libpam looks for the file of a service, the first one counting. Some distributions build
// it with /usr/etc/pam.d or /usr/share/pam.d besides.
var Dirs = []string{"/etc/pam.d", "/usr/lib/pam.d"}

// ConfFile is read by libpam where none of Dirs exists.
const ConfFile = "/etc/pam.conf"

// Other is the service that stands in for one without lines.
const Other = "other"

// Tree is the configuration of a host, or a copy of one.
type Tree struct {
	root string
	dirs []string
	laid map[string][]byte // files laid over it, by the host's path; nil: taken away

	modules *Modules // nil: nobody has looked at them
}

// Among returns the configuration with its lines held against the modules that the host has: Entry.Missing.
func (t *Tree) Among(m *Modules) *Tree {
	with := *t
	with.modules = m
	return &with
}

// Open returns the configuration of the host whose root directory this is: "/" for this one.
func Open(root string) *Tree { return &Tree{root: root, dirs: Dirs} }

// OpenDir returns the configuration of one directory alone, for pam_start_confdir(3): no other directory is
// looked at, but for files that a line names by their path. (libpam 1.5 looks for what a line includes by
// name in /etc/pam.d even then.)
func OpenDir(dir string) *Tree { return &Tree{root: "/", dirs: []string{dir}} }

// With returns the configuration as it would be with these files, by the path that the host has for them,
// in place of its own. A nil text takes the file away.
func (t *Tree) With(files map[string][]byte) *Tree {
	laid := maps.Clone(t.laid)
	if laid == nil {
		laid = map[string][]byte{}
	}
	maps.Copy(laid, files)
	return &Tree{root: t.root, dirs: t.dirs, laid: laid, modules: t.modules}
}

// Missing says why libpam can't load the module of a line. Empty: it can, or nobody has looked.
func (t *Tree) Missing(l Line) string { return t.modules.Problem(l) }

// ErrNoService says that a service has no file and no stand-in.
var ErrNoService = errors.New("there is no PAM configuration for it")

// Find returns where the file of a service, or one that is included, is: the path that the host has for it,
// and the path to read here, after links, which is empty for a file of With. Links are followed within the
// root.
func (t *Tree) Find(name string) (host, real string, err error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return "", "", fmt.Errorf("%q: %w", name, fs.ErrNotExist)
	}
	candidates := []string{name}
	if !path.IsAbs(name) {
		candidates = nil
		for _, dir := range t.dirs {
			candidates = append(candidates, dir+"/"+name)
		}
	}
	for _, host := range candidates {
		if text, laid := t.laid[path.Clean(host)]; laid {
			if text == nil {
				continue
			}
			return host, "", nil
		}
		real, err := t.resolve(host)
		if err != nil {
			continue
		}
		if st, err := os.Stat(real); err == nil && st.Mode().IsRegular() {
			return host, real, nil
		}
	}
	return "", "", fmt.Errorf("%s: %w", candidates[0], fs.ErrNotExist)
}

// Read reads the file of a service, or one that is included.
func (t *Tree) Read(name string) (*File, error) {
	host, real, err := t.Find(name)
	if err != nil {
		return nil, err
	}
	text := t.laid[path.Clean(host)]
	if real != "" {
		if text, err = readLimited(real); err != nil {
			return nil, err
		}
	}
	return Parse(host, path.Base(host), text), nil
}

func readLimited(name string) ([]byte, error) {
	st, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if st.Size() > sizeMax {
		return nil, fmt.Errorf("%s: %d bytes are too many for a PAM configuration", name, st.Size())
	}
	return os.ReadFile(name)
}

// Services are the names of all services that have a file, sorted.
func (t *Tree) Services() ([]string, error) {
	var names []string
	for _, dir := range t.dirs {
		real, err := t.resolve(dir)
		if err != nil {
			continue
		}
		entries, err := os.ReadDir(real)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	for host := range t.laid {
		if slices.Contains(t.dirs, path.Dir(host)) {
			names = append(names, path.Base(host))
		}
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		_, _, err := t.Find(name)
		return err != nil
	})
	if !t.hasDir() {
		conf, err := t.readConf()
		if err != nil {
			return nil, err
		}
		for _, l := range conf.Lines {
			names = append(names, strings.ToLower(l.Service))
		}
	}
	slices.Sort(names)
	return slices.Compact(names), nil
}

func (t *Tree) hasDir() bool {
	for _, dir := range t.dirs {
		if real, err := t.resolve(dir); err == nil {
			if st, err := os.Stat(real); err == nil && st.IsDir() {
				return true
			}
		}
	}
	return false
}

func (t *Tree) readConf() (*File, error) {
	real, err := t.resolve(ConfFile)
	if err != nil {
		return nil, err
	}
	text, err := readLimited(real)
	if err != nil {
		return nil, err
	}
	return ParseConf(ConfFile, text), nil
}

// linksMax is how many symbolic links one path may lead through.
const linksMax = 40

// resolve returns where a path of the host's is here, symbolic links followed within the root.
func (t *Tree) resolve(host string) (string, error) {
	left := strings.Split(path.Clean("/"+host), "/")
	done := "/"
	for links := 0; len(left) > 0; {
		next := left[0]
		left = left[1:]
		if next == "" || next == "." {
			continue
		}
		if next == ".." {
			done = path.Dir(done)
			continue
		}
		at := path.Join(done, next)
		target, err := os.Readlink(filepath.Join(t.root, at))
		if err != nil {
			if _, err := os.Lstat(filepath.Join(t.root, at)); err != nil {
				return "", err
			}
			done = at
			continue
		}
		if links++; links > linksMax {
			return "", fmt.Errorf("%s: too many symbolic links", host)
		}
		if path.IsAbs(target) {
			done = "/"
		}
		left = append(strings.Split(target, "/"), left...)
	}
	return filepath.Join(t.root, done), nil
}
