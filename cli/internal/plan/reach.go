package plan

import (
	"fmt"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/program"
	"github.com/totpd/totpd/cli/internal/stack"
)

// A file that a service has may be included by other services: Debian's i3lock has "auth include login", and nearly
// everything includes common-auth. So a change may reach programs that nobody has named.

const onePromptNote = "one prompt only, so password and code are typed together there"

// reach deals with all services that the plan's changes reach besides those it was made for. What can't ask for a code
// is left out, what has one prompt gets a line of its own, and the others are judged and named. all: also those that
// asked before.
func (p *Plan) reach(h *Host, all bool) {
	for _, name := range p.reached(h, all) {
		if name == "totpd" {
			p.refuse(&Refusal{pamDir + "/totpd", "it includes the common stack: " + never["totpd"], "give it lines of its own, as the package has them"})
			continue
		}
		_, edited := ownBase(h, name)
		switch faults := h.faults(name); {
		case faults != nil:
			s := &serviceEdit{host: h, plan: p, name: name, leftOut: true}
			if r := s.leaveOut(); r != nil {
				p.refuse(r)
				continue
			}
			p.LeftOut = append(p.LeftOut, name)
			p.note("%s is left out, and asks for no code: %s; %s", name, faults[0].Why, faults[0].Hint)
		case program.OnePrompt(name), edited, p.takesKeys(h, name):
			if program.OnePrompt(name) {
				p.same(name, onePromptNote)
			}
			p.addService(h, name, way{onePrompt: program.OnePrompt(name) || ownsCombined(h, name)})
		}
	}
	p.listReached(h, all)
}

// listReached judges the others, and names them.
func (p *Plan) listReached(h *Host, all bool) {
	var also []string
	if entries, err := p.Tree(h).Stack(stack.Other, stack.Auth); all && err == nil && slices.ContainsFunc(entries, stack.Entry.AsksCode) {
		also = append(also, "every service without a file of its own")
	}
	for _, name := range p.reached(h, all) {
		if name == "totpd" {
			continue // it is refused
		}
		entries, err := p.Tree(h).Stack(name, stack.Auth)
		if err != nil {
			continue
		}
		p.judgeShared(p.Tree(h), name, entries)
		also = append(also, name)
	}
	switch {
	case len(also) == 0:
	case all:
		p.note("these ask for a code too, by the common stack: %s", strings.Join(also, ", "))
	default:
		p.note("these ask for a code too, for they include a file that is changed: %s", strings.Join(also, ", "))
	}
}

// reached are the services that ask for a code by the plan, and are not in it yet.
func (p *Plan) reached(h *Host, all bool) []string {
	before, after := h.Tree.With(p.texts(func(f change.File) []byte {
		if strings.HasPrefix(f.Path, pamDir+"/totpd-") { // only services that setup changed include it
			return f.After
		}
		return f.Base
	})), p.Tree(h)
	names, err := after.Services()
	if err != nil {
		p.refuse(&Refusal{pamDir, err.Error(), "nothing was changed"})
		return nil
	}
	return slices.DeleteFunc(names, func(name string) bool {
		if never[name] != "" && name != "totpd" || strings.HasPrefix(name, "common-") || strings.HasPrefix(name, "totpd-") ||
			slices.ContainsFunc(p.Services, func(s Service) bool { return s.Name == name }) || slices.Contains(p.LeftOut, name) {
			return true
		}
		before, after := before, after
		if base, edited := ownBase(h, name); edited { // lines of its own from an earlier time are made anew
			file := map[string][]byte{pamDir + "/" + name: base}
			before, after = before.With(file), after.With(file)
		}
		entries, err := after.Stack(name, stack.Auth)
		if err != nil || len(entries) == 0 || entries[0].Service == stack.Other || !slices.ContainsFunc(entries, stack.Entry.AsksCode) {
			return true
		}
		was, err := before.Stack(name, stack.Auth)
		return !all && err == nil && slices.EqualFunc(was, entries, func(a, b stack.Entry) bool { return a.Line.String() == b.Line.String() })
	})
}

// ownBase is the text of the service's own file without the lines that setup put there earlier, if it did.
func ownBase(h *Host, name string) (base []byte, edited bool) {
	base, now, r := h.base(pamDir + "/" + name)
	return base, r == nil && string(base) != string(now)
}

// takesKeys tells whether the service includes the line that lets a key of sshd's stand for the password. Other
// programs than sshd may have that variable from anywhere.
func (p *Plan) takesKeys(h *Host, name string) bool {
	entries, err := p.Tree(h).Stack(name, stack.Auth)
	return err == nil && slices.ContainsFunc(entries, func(e stack.Entry) bool { return !e.Sub && e.Role() == stack.WithKey })
}

// ownsCombined tells whether the service's own file asks for password and code together.
func ownsCombined(h *Host, name string) bool {
	f, err := h.Tree.Read(name)
	return err == nil && slices.ContainsFunc(f.Lines, func(l stack.Line) bool { return l.Type == stack.Auth && l.Role() == stack.Combined })
}

// judgeShared refuses where a line of another file does harm in one service.
func (p *Plan) judgeShared(t *stack.Tree, name string, entries []stack.Entry) {
	switch r := p.checkModules(t, name); {
	case r == nil:
	case strings.HasPrefix(r.Where, pamDir+"/"+name+":"): // its own fault, with our line or without
		p.note("%s (%s)", r.Why, r.Where)
		return
	default:
		p.refuse(r)
		return
	}
	for _, e := range entries {
		if !e.Sub && e.AsksOtherCode() {
			p.refuse(&Refusal{e.Where(), name + ": " + e.Module + " asks for a code too, so people would be asked for two", "take that line out, and with it what counts it in a jump ([success=N])"})
			return
		}
	}
	for _, f := range stack.Judge(entries) {
		if note, bad := weigh(entries, f); bad != "" {
			p.refuse(&Refusal{whereOf(pamDir+"/"+name, entries, f), name + ": " + bad, "name services that it doesn't include: --service sshd,su,sudo"})
		} else {
			p.same(name, note)
		}
	}
	together := slices.ContainsFunc(entries, func(e stack.Entry) bool { return !e.Sub && e.Role() == stack.Combined })
	p.Services = append(p.Services, Service{Name: name, OnePrompt: together})
}

// includesOther tells whether the stack asks for a code by what it includes, and in another way than is meant.
func (s *serviceEdit) includesOther(entries []stack.Entry) bool {
	other := false
	for _, e := range entries {
		other = other || !e.Sub && e.Role() == stack.WithKey && len(e.Via) > 0 && !s.withKey
		if e.AsksCode() {
			if len(e.Via) == 0 {
				return false // a line that somebody wrote there
			}
			other = other || s.onePrompt != (e.Role() == stack.Combined)
		}
	}
	return other
}

// leaveOut has the service ask for no code.
func (s *serviceEdit) leaveOut() *Refusal {
	if r := s.read(); r != nil {
		return r
	}
	if r := s.separate(); r != nil {
		return r
	}
	after, err := change.Apply(s.base, s.instead)
	if err != nil {
		return &Refusal{s.path, err.Error(), "nothing was changed"}
	}
	s.with[s.path] = after
	entries, err := s.host.Tree.With(s.with).Stack(s.name, stack.Auth)
	if err != nil {
		return &Refusal{s.path, err.Error(), "nothing was changed"}
	}
	for _, f := range stack.Judge(entries) {
		switch f.Kind {
		case stack.NoCode, stack.Trust, stack.Bypass:
		default:
			return &Refusal{whereOf(s.path, entries, f), s.name + " can't ask for a code, and without one its stack doesn't hold", "name services that it doesn't include"}
		}
	}
	if slices.ContainsFunc(entries, func(e stack.Entry) bool { return e.Ours() && !e.Sub }) {
		return &Refusal{s.path, "it can't ask for a code, and a line of its own has it ask", "take that line out: " + s.path}
	}
	return s.keep(s.base, nil)
}

// PlainPrefix begins the name of a copy without a code.
const PlainPrefix = "totpd-plain-"

// plainHead stands at the beginning of one.
const plainHead = `# Made by "totpctl setup" from %[1]s: its auth lines without the one-time code, for services that ask in another
# way or can't. When %[1]s changes, run "totpctl setup" again; "totpctl doctor" tells. "totpctl setup --undo"
# removes this file.
`

// separate has the service include copies without a code in place of what brings one in.
func (s *serviceEdit) separate() *Refusal {
	for _, l := range stack.Parse(s.path, s.name, s.base).Lines {
		if l.Type != stack.Auth && l.Type != stack.AnyType || !l.Includes() || !asksWithin(s.tree, l.Module) {
			continue
		}
		name, files, r := plain(s.tree, l.Module, 0)
		if r != nil {
			return r
		}
		for host, text := range files {
			if r := s.addCopy(host, text); r != nil {
				return r
			}
		}
		edit := change.Edit{Line: l.Place.Line, Remove: strings.Split(string(s.base), "\n")[l.Place.Line-1 : l.Last]}
		edit.Add = []string{`# totpd: "` + strings.Join(strings.Fields(l.String()), " ") + `" without a one-time code ("totpctl setup --undo" puts it back)`}
		control := l.Control
		if l.Type == stack.AnyType {
			control = stack.Control{Kind: stack.Include}
		}
		edit.Add = append(edit.Add, fmt.Sprintf("auth  %s  %s", control, name))
		if l.Type == stack.AnyType {
			edit.Add = append(edit.Add, s.otherTypes(l.Module)...)
		}
		s.instead, s.separated = append(s.instead, edit), true
	}
	return nil
}

// otherTypes takes in what "@include" takes in besides auth.
func (s *serviceEdit) otherTypes(module string) []string {
	var add []string
	for _, typ := range []stack.Type{stack.Account, stack.Password, stack.Session} {
		if f, err := s.tree.Read(module); err == nil && slices.ContainsFunc(f.Lines, func(l stack.Line) bool { return l.Type == typ || l.Type == stack.AnyType }) {
			add = append(add, fmt.Sprintf("%s  include  %s", typ, module))
		}
	}
	return add
}

// addCopy has a file of ours written beside those of the host.
func (s *serviceEdit) addCopy(host string, text []byte) *Refusal {
	own := change.File{Path: host, After: text, Edits: whole(text)}
	base, now, r := s.host.base(host)
	if r != nil {
		return r
	}
	if base != nil {
		return &Refusal{host, "there is a file of this name that isn't ours", "move it away"}
	}
	own.Now = now
	s.with[host] = text
	s.plan.addFile(own)
	return nil
}

// Plain returns what the copy without a code of an included file should be now.
func Plain(t *stack.Tree, name string) ([]byte, error) {
	host, files, r := plain(t, name, 0)
	if r != nil {
		return nil, r
	}
	return files[pamDir+"/"+host], nil
}

// plain returns the name of the copy of a file without a code, and that copy with those that it includes in turn, by
// path.
func plain(t *stack.Tree, module string, depth int) (name string, files map[string][]byte, r *Refusal) {
	f, err := t.Read(module)
	if err != nil || depth > 16 {
		return "", nil, &Refusal{module, fmt.Sprintf("it can't be copied: %v", err), "nothing was changed"}
	}
	base := f.Path[strings.LastIndexByte(f.Path, '/')+1:]
	name = PlainPrefix + base
	files = map[string][]byte{}
	var b strings.Builder
	fmt.Fprintf(&b, plainHead, base)
	for i, l := range f.Lines {
		switch {
		case l.Type != stack.Auth && l.Type != stack.AnyType || l.Ours():
			continue
		case slices.ContainsFunc(f.Lines[i+1:min(len(f.Lines), i+1+l.Control.Jump())], stack.Line.Ours):
			return "", nil, &Refusal{l.Place.String(), "it jumps over the line of pam_totpd.so, so it can't be copied without that", "nothing was changed"}
		case l.Type == stack.AnyType && len(authWithin(t, l.Module)) == 0:
			continue
		case l.Includes():
			if l.Type = stack.Auth; asksWithin(t, l.Module) {
				inner, more, r := plain(t, l.Module, depth+1)
				if r != nil {
					return "", nil, r
				}
				for host, text := range more {
					files[host] = text
				}
				l.Module = inner
			}
		}
		fmt.Fprintln(&b, l)
	}
	files[pamDir+"/"+name] = []byte(b.String())
	return name, files, nil
}

// asksWithin tells whether a file, or one that it includes, has a line of ours.
func asksWithin(t *stack.Tree, module string) bool {
	return slices.ContainsFunc(authWithin(t, module), func(e stack.Entry) bool { return e.Ours() && !e.Sub })
}

// authWithin are the auth lines that a line takes in which includes a file.
func authWithin(t *stack.Tree, module string) []stack.Entry {
	entries, _ := t.With(map[string][]byte{pamDir + "/" + probe: []byte("auth include " + module + "\n")}).Stack(probe, stack.Auth)
	if len(entries) > 0 && entries[0].Service == stack.Other {
		return nil // it has none, and "other" stands in
	}
	return entries // a file that can't be read is an entry with a Problem
}

// probe is a service that no host has.
const probe = "totpd-probe"

// merged puts edits of one text together. Of two at one line, what is added by the first comes first.
func merged(first, then []change.Edit) []change.Edit {
	all := slices.Clone(first)
	for _, e := range then {
		i := slices.IndexFunc(all, func(o change.Edit) bool { return o.Line == e.Line })
		if i < 0 {
			all = append(all, e)
			continue
		}
		all[i] = change.Edit{Line: e.Line, Remove: e.Remove, Add: slices.Concat(all[i].Add, e.Add)}
	}
	slices.SortStableFunc(all, func(a, b change.Edit) int { return a.Line - b.Line })
	return all
}
