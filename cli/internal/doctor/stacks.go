package doctor

import (
	"cmp"
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/stack"
)

// Service is a PAM service that the module is in.
type Service struct {
	Name  string `json:"name"`
	Place string `json:"place"` // of the module's line
	Line  string `json:"line"`
}

// logins are services by which people get in, or get more rights. Where ssh asks for a code, these are
// worth a thought.
var logins = []string{
	"login", "remote", "su", "su-l", "sudo", "sudo-i", "polkit-1", "gdm-password", "gdm3", "lightdm", "sddm", "kde",
	"xrdp-sesman", "cockpit", "vsftpd",
}

// siblings are services of one program: the second is used by another option of it.
var siblings = [][2]string{{"su", "su-l"}, {"sudo", "sudo-i"}}

// stacks looks at all services and collects what several of them have at one line.
type stacks struct {
	*exam
	tree  *stack.Tree
	has   map[string]bool // services with our module
	spots []spot
	lost  map[string][]string // module files that are not there: the lines that name them
}

// spot is one thing that is the matter at one line, in some services.
type spot struct {
	id, place, remedy, text string
	services                []string
}

// lookStacks looks at every service of PAM that the module is in.
func (x *exam) lookStacks() {
	s := &stacks{exam: x, tree: stack.Open(cmp.Or(x.Root, "/")).Among(x.modules()), has: map[string]bool{}, lost: map[string][]string{}}
	names, err := s.tree.Services()
	if err != nil {
		x.unseen("stack", "the services of PAM can't be listed: %v", cause(err))
		return
	}
	for _, name := range s.services(names) {
		entries, err := s.tree.Stack(name, stack.Auth)
		if hidden(err) {
			x.unseen("stack", "%v", err)
		}
		// What has no auth lines of its own gets those of "other", and doesn't use them.
		if err == nil && len(entries) > 0 && (entries[0].Service != stack.Other || name == stack.Other) {
			s.look(name, entries)
		}
		s.lookOtherTypes(name)
		if s.has[name] || slices.Contains(logins, name) {
			s.lookUnloadable(name)
		}
	}
	s.tell()
	s.lookPasswordService()
	s.lookMissing(names)
	s.lookCopies(names)
	if len(s.has) > 0 {
		x.fine("stack", "a code is asked for after the password in %s", few(x.required))
	}
}

// services leaves out what is no service but a part of others, such as common-auth, and the one that
// lookPasswordService looks at.
func (s *stacks) services(names []string) []string {
	parts := map[string]bool{pamService: true}
	for _, name := range names {
		f, err := s.tree.Read(name)
		if err != nil {
			continue
		}
		for _, l := range f.Lines {
			if l.Includes() && !slices.Contains(logins, path.Base(l.Module)) { // su-l includes su
				parts[path.Base(l.Module)] = true
			}
		}
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return parts[name] })
}

// spot remembers a finding until all services are known that it is in.
func (s *stacks) spot(service, id, place, remedy, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	for i := range s.spots {
		if at := &s.spots[i]; at.id == id && at.place == place && at.text == text {
			at.services = append(at.services, service)
			return
		}
	}
	s.spots = append(s.spots, spot{id, place, remedy, text, []string{service}})
}

// tell adds the findings that were remembered.
func (s *stacks) tell() {
	for _, at := range s.spots {
		s.found(at.id, at.place, at.remedy, "in %s: %s", few(at.services), at.text)
	}
	for file, lines := range s.lost {
		s.found("module-missing", file, s.reinstall()+"  # or take the second factor away: totpctl setup --undo",
			"%s is not there, and needed by %s: nobody gets in that way", file, few(lines))
	}
}

// look judges the auth stack of one service.
func (s *stacks) look(service string, entries []stack.Entry) {
	first := slices.IndexFunc(entries, func(e stack.Entry) bool { return e.Ours() && !e.Sub })
	if first < 0 {
		return
	}
	s.has[service] = true
	s.report.Facts.Services = append(s.report.Facts.Services, Service{
		Name: service, Place: entries[first].Place.String(), Line: entries[first].Line.String(),
	})
	sound := true
	for _, e := range entries {
		if e.Ours() && !e.Sub {
			sound = s.judgeLine(service, e) && sound
		}
	}
	if !sound { // the module refuses everybody, whatever the stack would make of its answers
		s.required = append(s.required, service)
		return
	}
	s.lookProgram(service, entries[first])
	s.judgeStack(service, entries)
}

// lookUnloadable tells of modules that libpam can't load. Package doctor looks at ours by itself.
func (s *stacks) lookUnloadable(service string) {
	for _, typ := range stack.Types {
		entries, err := s.tree.Stack(service, typ)
		if err != nil || len(entries) > 0 && entries[0].Service == stack.Other {
			continue
		}
		refusing, closed := stack.Unloadable(entries)
		for _, e := range refusing {
			at := slices.IndexFunc(entries, func(o stack.Entry) bool { return o.Place == e.Place })
			remedy := drop(entries, at) + "  # or install the package of " + e.Name() + ".so"
			switch {
			case closed && typ != stack.Password:
				s.spot(service, "stack-unloadable", e.Place.String(), remedy, "nobody gets in, with or without a code: %s", e.Missing)
			default:
				s.spot(service, "stack-unloadable-way", e.Place.String(), remedy, "what comes to this line is refused: %s", e.Missing)
			}
		}
	}
}

// modules are those of the host, each tried once.
func (x *exam) modules() *stack.Modules {
	return stack.FindModules(cmp.Or(x.Root, "/"), x.Load)
}

// lookOtherTypes: only in an auth stack does the module ask.
func (s *stacks) lookOtherTypes(service string) {
	for _, typ := range []stack.Type{stack.Account, stack.Password, stack.Session} {
		entries, err := s.tree.Stack(service, typ)
		if err != nil {
			continue
		}
		for i, e := range entries {
			if e.Ours() && e.Service == service {
				s.spot(service, "stack-type", e.Place.String(), drop(entries, i),
					"the module stands there as %s, where it has no opinion; as auth alone it asks for a code", typ)
			}
		}
	}
}

// lookMissing tells which ways in have no second factor.
func (s *stacks) lookMissing(names []string) {
	if len(s.has) == 0 {
		s.found("stack-none", "", "totpctl setup", "no login asks for a code")
		if s.module == "" && s.moduleDir() != "" {
			s.found("module-absent", path.Join(s.moduleDir(), moduleName), s.reinstall(), "the PAM module is not installed")
		}
		return
	}
	var without []string
	for _, name := range logins {
		if slices.Contains(names, name) && !s.has[name] && s.faults(name) == nil {
			without = append(without, name)
		}
	}
	for _, pair := range siblings {
		if s.has[pair[0]] && slices.Contains(without, pair[1]) {
			without = slices.DeleteFunc(without, func(n string) bool { return n == pair[1] })
			s.found("stack-sibling", "/etc/pam.d/"+pair[1], "totpctl setup --service "+pair[1],
				"%s asks for a code and %s doesn't: whoever wants no question takes the other", pair[0], pair[1])
		}
	}
	if len(without) > 0 {
		s.found("stack-without", "", "totpctl setup --service "+strings.Join(without, ",")+"  # when it is wanted there too",
			"no code is asked for by %s", strings.Join(without, ", "))
	}
}

// drop is the command that takes a line away, and has the jumps that counted it count one less.
func drop(entries []stack.Entry, at int) string {
	e := entries[at]
	edits := map[string][]string{e.File: {fmt.Sprintf("%d,%dd", e.Line.Line, e.Last)}}
	if e.Last <= e.Line.Line {
		edits[e.File][0] = fmt.Sprintf("%dd", e.Line.Line)
	}
	files := []string{e.File}
	for i := range at {
		for over, less := range stack.Corrections(entries, i, map[int]bool{at: true}) {
			file := entries[i].File
			if !slices.Contains(files, file) {
				files = append(files, file)
			}
			edits[file] = append(edits[file], shorter(entries[i], over, less))
		}
	}
	var commands []string
	for _, file := range files {
		words := "'" + edits[file][0] + "'"
		if len(edits[file]) > 1 {
			words = "-e '" + strings.Join(edits[file], "' -e '") + "'"
		}
		commands = append(commands, "sed -i "+words+" "+shell(file))
	}
	return strings.Join(commands, " && ")
}

// shorter is the edit of sed's by which a line's jump counts less.
func shorter(e stack.Entry, over, less stack.Action) string {
	return fmt.Sprintf(`%ds/=%d\([] \t]\)/=%s\1/g`, e.Line.Line, int(over), less)
}
