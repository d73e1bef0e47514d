package stack

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
)

// depthMax is how deep libpam follows includes: PAM_SUBSTACK_MAX_LEVEL.
const depthMax = 16

// entriesMax is how long a stack may become. Includes that double a file sixteen times over would fill
// the memory otherwise.
const entriesMax = 4096

// Entry is a line where a service runs it.
type Entry struct {
	Line
	Via   []Place // the lines that took it in, the service's own first; empty: it stands there itself
	Level int     // how many substacks it is in
	// Missing says why libpam can't load the module: the line answers "module_unknown" then. Tree.Among.
	Missing string
	// Sub marks the place where a substack begins: no module, but what a jump counts as one.
	Sub bool
}

// Where says where the line stands, and how it came into the stack.
func (e Entry) Where() string {
	text := e.Place.String()
	for _, at := range slices.Backward(e.Via) {
		text += ", included at " + at.String()
	}
	return text
}

// Stack returns the lines of one type that a service runs, in order, with all that is included. Where the
// service has none of that type, they are those of "other", as for libpam; Line.Service tells. A line that
// can't be followed is an entry with a Problem. The error is ErrNoService, or that a file can't be read.
func (t *Tree) Stack(service string, typ Type) ([]Entry, error) {
	entries, err := t.own(service, typ)
	switch {
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return nil, fmt.Errorf("read the PAM configuration of %s: %w", service, err)
	case len(entries) > 0:
		return entries, nil
	}
	entries, otherErr := t.own(Other, typ)
	switch {
	case otherErr != nil && !errors.Is(otherErr, fs.ErrNotExist):
		return nil, fmt.Errorf("read the PAM configuration of %s: %w", Other, otherErr)
	case err != nil && otherErr != nil:
		return nil, fmt.Errorf("%s: %w", service, ErrNoService)
	}
	return entries, nil
}

// own is Stack without the stand-in.
func (t *Tree) own(service string, typ Type) ([]Entry, error) {
	var f *File
	var err error
	if t.hasDir() {
		f, err = t.Read(strings.ToLower(service))
	} else if f, err = t.readConf(); err == nil {
		f.Lines = slices.DeleteFunc(f.Lines, func(l Line) bool { return !strings.EqualFold(l.Service, service) })
	}
	if err != nil {
		return nil, err
	}
	x := flattener{tree: t, service: service}
	x.add(f, typ, nil, 0)
	return x.entries, nil
}

type flattener struct {
	tree    *Tree
	service string
	open    []string // the files being read, outermost first
	entries []Entry
	full    bool
}

// add lays out the lines of a file that are of this type.
func (x *flattener) add(f *File, typ Type, via []Place, level int) {
	x.open = append(x.open, f.Path)
	defer func() { x.open = x.open[:len(x.open)-1] }()
	for _, l := range f.Lines {
		if x.full {
			return
		}
		if l.Type != typ && l.Type != AnyType {
			continue
		}
		l.Service = x.service
		e := Entry{Line: l, Via: via, Level: level}
		if len(x.entries) >= entriesMax {
			x.full = true
			e.Problem = fmt.Sprintf("the stack has more than %d lines", entriesMax)
		}
		if !l.Includes() || l.Problem != "" || x.full {
			e.Missing = x.tree.modules.Problem(l)
			x.entries = append(x.entries, e)
			continue
		}
		x.include(e, typ)
	}
}

// include lays out the file that the line e names, or e itself with the reason why that fails.
func (x *flattener) include(e Entry, typ Type) {
	deeper := e.Level
	if e.Control.Kind == Substack {
		deeper++
		mark := e
		mark.Sub = true
		x.entries = append(x.entries, mark)
	}
	f, err := x.tree.Read(e.Module)
	switch {
	case err != nil:
		e.Problem = fmt.Sprintf("the file to include can't be read: %v", err)
	case slices.Contains(x.open, f.Path):
		e.Problem = fmt.Sprintf("%s includes itself", f.Path)
	case len(x.open) >= depthMax:
		e.Problem = fmt.Sprintf("more than %d files include each other", depthMax)
	default:
		x.add(f, typ, append(slices.Clip(slices.Clone(e.Via)), e.Place), deeper)
		return
	}
	x.entries = append(x.entries, e)
}

// Problems are the entries that always fail.
func Problems(entries []Entry) []Entry {
	var bad []Entry
	for _, e := range entries {
		if e.Problem != "" {
			bad = append(bad, e)
		}
	}
	return bad
}
