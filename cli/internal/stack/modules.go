package stack

import (
	"context"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
)

// moduleDirs are where distributions have libpam look for modules.
var moduleDirs = []string{
	"/usr/lib/*-linux-gnu*/security", "/usr/lib64/security", "/usr/lib/security",
	"/lib/*-linux-gnu*/security", "/lib64/security", "/lib/security",
}

// Modules are the modules that libpam of a host can load.
type Modules struct {
	root string
	dir  string                                       // where libpam looks; empty: that isn't known
	load func(ctx context.Context, path string) error // tries to load one, in another process; nil: it isn't tried

	mu    sync.Mutex
	tried map[string]string // by path: why it can't be loaded
}

// FindModules returns the modules of the host whose root directory this is. load tries whether a file can be
// loaded as libpam does it, with all that it needs; it is used for this host alone.
func FindModules(root string, load func(ctx context.Context, path string) error) *Modules {
	m := &Modules{root: root, dir: moduleDir(root), load: load, tried: map[string]string{}}
	if filepath.Clean(root) != "/" {
		m.load = nil
	}
	return m
}

// moduleDir is where the modules of this machine's architecture are that come with libpam itself.
func moduleDir(root string) string {
	for _, pattern := range moduleDirs {
		found, _ := filepath.Glob(filepath.Join(root, pattern, "pam_permit.so"))
		for _, f := range found {
			if loadable(f) == nil {
				dir, err := filepath.Rel(root, filepath.Dir(f))
				if err == nil {
					return "/" + dir
				}
			}
		}
	}
	return ""
}

// Problem says why libpam can't load the module of a line. Empty: it can, or that can't be told. Of ours it says
// nothing: whoever asks tries that by itself.
func (m *Modules) Problem(l Line) string {
	if m == nil || m.dir == "" || l.Includes() || l.Module == "" || l.Ours() || l.Problem != "" {
		return ""
	}
	// libpam puts its own directory before a name without one, and $ISA is one of those.
	name := strings.ReplaceAll(l.Module, "$ISA", "..")
	if !path.IsAbs(name) {
		name = path.Join(m.dir, name)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	why, known := m.tried[name]
	if !known {
		why = m.try(name)
		m.tried[name] = why
	}
	return why
}

func (m *Modules) try(name string) string {
	here := filepath.Join(m.root, name)
	err := loadable(here)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Sprintf("there is no %s", name)
	case err != nil:
		return fmt.Sprintf("%s can't be loaded: %v", name, err)
	case m.load == nil:
		return ""
	}
	if err := m.load(context.Background(), here); err != nil {
		return fmt.Sprintf("%s can't be loaded: %v", name, err)
	}
	return ""
}

// loadable tells whether a file is a shared object for this machine.
func loadable(name string) error {
	st, err := os.Stat(name)
	if err != nil {
		return err
	}
	if !st.Mode().IsRegular() {
		return errors.New("it is no file")
	}
	f, err := elf.Open(name)
	if err != nil {
		return fmt.Errorf("it is no shared object: %w", err)
	}
	defer f.Close()
	native := map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64}[runtime.GOARCH]
	switch {
	case f.Type != elf.ET_DYN:
		return errors.New("it is no shared object")
	case native != elf.EM_NONE && (f.Machine != native || f.Class != elf.ELFCLASS64):
		return fmt.Errorf("it is for another machine: %v", f.Machine)
	}
	return nil
}

// Unloadable returns the lines of a stack of any type that refuse a login because libpam can't load their module:
// it takes that for the answer "module_unknown". closed says that no way leads past them, so nobody gets in.
// The entries are those of a Tree with Modules.
func Unloadable(entries []Entry) (refusing []Entry, closed bool) {
	for _, e := range entries {
		a := e.Control.Action("module_unknown")
		if e.Missing != "" && !e.Sub && (a == Bad || a == Die) {
			refusing = append(refusing, e)
		}
	}
	if len(refusing) == 0 {
		return nil, false
	}
	ends, _ := Walk(entries, 0, func(e Entry) []Answer {
		if e.Missing != "" {
			return []Answer{{Value: "module_unknown"}}
		}
		return []Answer{{Value: "success"}, {Value: "ignore"}, {Value: "auth_err"}}
	})
	return refusing, !slices.ContainsFunc(ends, func(end End) bool { return end.Accepted })
}
