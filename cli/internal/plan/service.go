package plan

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/program"
	"github.com/totpd/totpd/cli/internal/stack"
)

// pamDir is where files of ours go: the first place that libpam looks at.
const pamDir = "/etc/pam.d"

// The lines of ours.
const (
	remark     = `# totpd: a one-time code after the password ("totpctl setup --undo" takes it out)`
	codeLine   = "auth  required  pam_totpd.so"
	permitLine = "auth  required  pam_permit.so" // where nothing else says yes for those who need no code
	keyRemark  = "# totpd: a key that sshd has verified stands for the password"
	keyLine    = "auth  [success=done ignore=ignore default=die]  pam_totpd.so with_key"
)

var keyLines = []string{keyRemark, keyLine}

// The lines of ours where password and code are typed together.
const (
	combinedRemark = `# totpd: the password and a one-time code, typed together ("totpctl setup --undo" takes it out)`
	combinedLine   = "auth  required  pam_totpd.so " + stack.CombinedArgument
)

var combinedLines = []string{combinedRemark, combinedLine}

// way is how a service comes to ask.
type way struct {
	withKey   bool // a key of sshd's stands for the password
	onePrompt bool // password and code are typed together
}

// addService works out how one service comes to ask for a code. What the plan has already counts as done.
func (p *Plan) addService(h *Host, name string, how way) {
	if why, known := never[name]; known {
		p.refuse(&Refusal{name, why, "--service names what people log in through: " + strings.Join(Offered(h), ", ")})
		return
	}
	if strings.ContainsAny(name, "/ \t") || strings.HasPrefix(name, "totpd-") {
		p.refuse(&Refusal{name, "it is no service of PAM", "--service names files of " + pamDir})
		return
	}
	if faults := h.faults(name); faults != nil {
		for _, f := range faults {
			p.refuse(&Refusal{name, f.Why, f.Hint})
		}
		return
	}
	if user := program.Look(h.Root, name).User; user != "" {
		p.note("%s asks PAM as the user %s, as [[speaker]] lets it. The checks run as root, so try a login there too", name, user)
	}
	if program.OnePrompt(name) && !how.onePrompt {
		p.same(name, onePromptNote)
		how.onePrompt = true
	}
	s := &serviceEdit{host: h, plan: p, name: name, way: how}
	if r := s.work(); r != nil {
		p.refuse(r)
	}
}

// serviceEdit is the work on one service.
type serviceEdit struct {
	host *Host
	plan *Plan
	name string
	way

	path string // of its file
	now  []byte // nil: there is none in pamDir
	base []byte // without our lines
	text []byte // and without those of other programs that ask for a code
	tree *stack.Tree
	// with is what the tree has besides the service's own file.
	with map[string][]byte
	// instead takes lines out that bring a code in from elsewhere: see separate.
	instead []change.Edit
	// separated says that they do, beside lines of other programs: see replaceOthers.
	separated bool
	leftOut   bool // the service is to ask for no code
}

func (s *serviceEdit) work() *Refusal {
	if r := s.read(); r != nil {
		return r
	}
	entries, err := s.tree.Stack(s.name, stack.Auth)
	if err != nil {
		return &Refusal{s.name, err.Error(), "nothing was changed"}
	}
	if bad := stack.Problems(entries); len(bad) > 0 {
		return &Refusal{bad[0].Where(), bad[0].Problem + ": libpam lets nobody in there", "fix that line first: man pam.d"}
	}
	if len(entries) == 0 || entries[0].Service == stack.Other {
		return &Refusal{s.path, "it has no auth lines, so that " + pamDir + "/other speaks for it", "give it auth lines of its own first"}
	}
	if r := s.plan.checkModules(s.tree, s.name); r != nil {
		return r
	}
	if !asksPassword(entries) {
		return &Refusal{s.path, "none of its modules is known to ask for a password", s.byHand()}
	}
	hasCode := slices.ContainsFunc(entries, stack.Entry.AsksCode)
	hasKey := slices.ContainsFunc(entries, func(e stack.Entry) bool { return e.Role() == stack.WithKey })
	if hasCode && s.includesOther(entries) {
		if r := s.separate(); r != nil {
			return r
		}
		return s.place(entries, false)
	}
	if hasCode && (hasKey || !s.withKey) {
		return s.already(entries)
	}
	if bad := s.sound(s.base, nil); hasCode && bad != nil {
		return bad
	}
	return s.place(entries, hasCode)
}

// read finds the service's file and takes our own earlier lines out of it.
func (s *serviceEdit) read() *Refusal {
	found, _, err := s.host.Tree.Find(s.name)
	if errors.Is(err, fs.ErrNotExist) {
		return &Refusal{s.name, "there is no PAM service of this name", "ls " + pamDir + "; here people log in through: " + strings.Join(Offered(s.host), ", ")}
	}
	if err != nil {
		return &Refusal{s.name, err.Error(), "nothing was changed"}
	}
	s.path = pamDir + "/" + s.name
	var r *Refusal
	if s.base, s.now, r = s.host.base(s.path); r != nil {
		return r
	}
	if s.base == nil { // a file of ours may stand before the distribution's
		original, err := s.host.Tree.With(map[string][]byte{s.path: nil}).Read(s.name)
		if err != nil {
			return &Refusal{found, err.Error(), "nothing was changed"}
		}
		if s.base, err = s.host.Journal.Read(original.Path); err != nil {
			return &Refusal{original.Path, err.Error(), "nothing was changed"}
		}
	} else if r := checkFile(s.host, s.path, s.base); r != nil {
		return r
	}
	s.text = s.base
	s.with = s.plan.files()
	s.with[s.path] = s.base
	s.tree = s.host.Tree.With(s.with)
	return s.replaceOthers()
}

// already is for a stack with a line of ours that somebody else put there, or another file brings in.
func (s *serviceEdit) already(entries []stack.Entry) *Refusal {
	if r := s.sound(s.base, nil); r != nil {
		r.Why = "pam_totpd.so is in its stack already, but not so that it holds: " + r.Why
		return r
	}
	for _, e := range entries {
		if !e.AsksCode() {
			continue
		}
		new := slices.ContainsFunc(slices.Concat(s.plan.Files, s.plan.Shared), func(f change.File) bool {
			return f.Path == e.Place.File && f.Changes()
		})
		if new {
			s.plan.note("%s asks for the code too, by %s", s.name, e.Place.File)
		} else {
			s.plan.note("%s asks for the code already: %s", s.name, e.Where())
		}
		s.plan.Services = append(s.plan.Services, Service{Name: s.name, Already: !new, Key: s.withKey, OnePrompt: e.Role() == stack.Combined})
		if s.onePrompt != (e.Role() == stack.Combined) {
			return &Refusal{e.Where(), "its line there isn't setup's, and asks in another way than is meant", "take that line out, then run setup again"}
		}
		break
	}
	return s.keep(s.base, nil)
}

// ownLine is a line of the service's own file that matters for auth.
type ownLine struct {
	line  stack.Line
	knows bool // it, or what it takes in, asks for a password
}

// ownLines are those of the file, in order.
func (s *serviceEdit) ownLines(entries []stack.Entry) []ownLine {
	var all []ownLine
	for _, l := range stack.Parse(s.path, s.name, s.text).Lines {
		if l.Type != stack.Auth && l.Type != stack.AnyType {
			continue
		}
		own := ownLine{line: l}
		for _, e := range entries {
			at := e.Place
			if len(e.Via) > 0 {
				at = e.Via[0]
			}
			own.knows = own.knows || !e.Sub && at.Line == l.Place.Line && e.Role() == stack.Knows
		}
		all = append(all, own)
	}
	return all
}

// place tries where the line may stand: after the password's line, or after one of the next; then in place
// of it, together with what it includes. The first sound way is taken.
func (s *serviceEdit) place(entries []stack.Entry, hasCode bool) *Refusal {
	lines := s.ownLines(entries)
	first := slices.IndexFunc(lines, func(l ownLine) bool { return l.knows })
	last := len(lines) - 1
	for !lines[last].knows {
		last--
	}
	var key []change.Edit
	if s.withKey {
		key = []change.Edit{{Line: lines[first].line.Place.Line, Add: keyLines}}
	}
	if hasCode {
		return cmp.Or(s.sound(s.base, key), s.keep(s.base, key))
	}
	if s.onePrompt {
		return s.placeCombined(lines[:first+1])
	}
	var firstBad *Refusal
	for _, l := range lines[last:] {
		for _, ours := range [][]string{{remark, codeLine}, {remark, codeLine, permitLine}} {
			edits := append(slices.Clone(key), change.Edit{Line: l.line.Last + 1, Add: ours})
			r := s.sound(s.base, edits)
			if r == nil {
				return s.keep(s.base, edits)
			}
			firstBad = cmp.Or(firstBad, r)
		}
	}
	if first == last && lines[last].line.Includes() && !s.separated {
		if r := s.placeDerived(lines[last].line, entries, key); r == nil {
			return nil
		}
	}
	return firstBad
}

// placeCombined tries where the line of one prompt may stand: before the password's line, or before one of
// those above it, which may jump over it.
func (s *serviceEdit) placeCombined(lines []ownLine) *Refusal {
	add := combinedLines
	if s.withKey {
		add = slices.Concat(keyLines, combinedLines)
	}
	var firstBad *Refusal
	for _, l := range slices.Backward(lines) {
		edits := []change.Edit{{Line: l.line.Place.Line, Add: add}}
		r := s.sound(s.base, edits)
		if r == nil {
			return s.keep(s.base, edits)
		}
		firstBad = cmp.Or(firstBad, r)
	}
	return firstBad
}

// placeDerived puts a file of ours in the place of one that is included.
func (s *serviceEdit) placeDerived(l stack.Line, entries []stack.Entry, key []change.Edit) *Refusal {
	name := "totpd-" + path.Base(l.Module)
	text, r := derive(path.Base(l.Module), within(entries, l))
	if r != nil {
		return r
	}
	host := pamDir + "/" + name
	own := change.File{Path: host, After: text, Edits: whole(text)}
	var base []byte
	if base, own.Now, r = s.host.base(host); r != nil {
		return r
	}
	if base != nil {
		return &Refusal{host, "there is a file of this name that isn't ours", "move it away"}
	}
	was := strings.Split(string(s.base), "\n")[l.Place.Line-1 : l.Last]
	edits := append(slices.Clone(key), change.Edit{Line: l.Place.Line, Remove: slices.Clone(was), Add: []string{
		`# totpd: "` + strings.Join(strings.Fields(l.String()), " ") + `" with a one-time code in it ("totpctl setup --undo" puts it back)`,
		"auth  include  " + name,
	}})
	if len(key) > 0 { // both edits are at one line: the key's lines come first
		edits = []change.Edit{{Line: l.Place.Line, Remove: edits[1].Remove, Add: append(slices.Clone(keyLines), edits[1].Add...)}}
	}
	s.with[host] = text
	if r := s.sound(s.base, edits); r != nil {
		delete(s.with, host)
		return r
	}
	s.plan.note("%s must not go on to the code after a wrong password, and %s does: so its auth lines are copied into %s, with the code in the right place; when %s changes, run totpctl setup again (totpctl doctor tells)",
		s.name, path.Base(l.Module), host, path.Base(l.Module))
	s.plan.addFile(own)
	return s.keep(s.base, edits)
}

// keep makes the edits part of the plan.
func (s *serviceEdit) keep(base []byte, edits []change.Edit) *Refusal {
	edits = merged(edits, s.instead)
	after, err := change.Apply(base, edits)
	if err != nil {
		return &Refusal{s.path, err.Error(), "nothing was changed"}
	}
	if len(edits) == 0 {
		after = base
	}
	f := change.File{Path: s.path, Now: s.now, Base: base, After: after, Edits: edits}
	if s.now == nil { // it was the distribution's, below /usr
		f.Base, f.Edits = nil, whole(after)
		if len(edits) == 0 {
			f.After = nil
		}
	}
	if len(edits) > 0 && !s.leftOut && !slices.ContainsFunc(s.plan.Services, func(done Service) bool { return done.Name == s.name }) {
		s.plan.Services = append(s.plan.Services, Service{Name: s.name, Already: !f.Changes(), Key: s.withKey, OnePrompt: s.onePrompt})
	}
	s.plan.addFile(f)
	return nil
}

// addFile has one entry a file: the last.
func (p *Plan) addFile(f change.File) {
	p.Files = slices.DeleteFunc(p.Files, func(other change.File) bool { return other.Path == f.Path })
	p.Files = append(p.Files, f)
	sortFiles(p.Files)
}

// whole is the edit that makes a text out of nothing.
func whole(text []byte) []change.Edit {
	return []change.Edit{{Line: 1, Add: strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")}}
}

// sound refuses what the stack would be with these edits, unless it holds on every way.
func (s *serviceEdit) sound(base []byte, edits []change.Edit) *Refusal {
	after, err := change.Apply(base, merged(edits, s.instead))
	if err != nil {
		return &Refusal{s.path, err.Error(), "nothing was changed"}
	}
	files := map[string][]byte{s.path: after}
	for host, text := range s.with {
		if host != s.path {
			files[host] = text
		}
	}
	entries, err := s.host.Tree.With(files).Stack(s.name, stack.Auth)
	if err != nil {
		return &Refusal{s.path, err.Error(), "nothing was changed"}
	}
	var notes []string
	for _, f := range stack.Judge(entries) {
		note, bad := weigh(entries, f)
		if bad != "" {
			return &Refusal{whereOf(s.path, entries, f), bad, s.byHand()}
		}
		notes = append(notes, note)
	}
	for _, note := range notes {
		s.plan.same(s.name, note)
	}
	return nil
}

// byHand is what a person can do where the plan can't.
func (s *serviceEdit) byHand() string {
	if s.onePrompt {
		return fmt.Sprintf("by hand: %q before the first line that checks the password, and use_first_pass in those that would ask for it again; contrib/stacks shows whole files", strings.Join(strings.Fields(combinedLine), " "))
	}
	return fmt.Sprintf("by hand: %q after a password's line that ends the login when it is wrong (requisite, or a pam_deny.so); contrib/stacks shows whole files", strings.Join(strings.Fields(codeLine), " "))
}
