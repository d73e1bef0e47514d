package doctor

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"github.com/totpd/totpd/cli/internal/stack"
)

// judgeLine is about the words of a line of ours. It returns whether the module takes them.
func (s *stacks) judgeLine(service string, e stack.Entry) (sound bool) {
	place := e.Place.String()
	sound = true
	for _, arg := range e.Args {
		if why := badArgument(arg); why != "" {
			s.spot(service, "stack-argument", place, "man pam_totpd, then fix the line",
				"the module refuses everybody because of its argument %q: %s", arg, why)
			sound = false
			continue
		}
		for _, name := range []string{"socket=", "password_socket="} {
			if to, named := strings.CutPrefix(arg, name); named && !s.exists(to) {
				s.spot(service, "stack-socket", place, rewrite(e, "s| *"+arg+"||"),
					"the module asks at %s, where there is nothing, and refuses everybody", to)
			}
		}
	}
	if sound && slices.Contains(e.Args, stack.KeyArgument) && slices.Contains(e.Args, stack.CombinedArgument) {
		s.spot(service, "stack-argument", place, rewrite(e, "s| *"+stack.CombinedArgument+"||"),
			"the module refuses everybody because of its arguments: after a key there is no password to be typed with the code")
		sound = false
	}
	if e.Silent {
		s.spot(service, "stack-dash", place, rewrite(e, `s/^\([ \t]*\)-auth/\1auth/`),
			"-auth in place of auth: were the module's file gone, nobody would get in, and no log say why")
	}
	file := e.Module
	if !path.IsAbs(file) {
		dir := s.moduleDir()
		if dir == "" {
			return sound // where libpam looks is not known
		}
		file = path.Join(dir, file)
	}
	if _, err := s.follow(file); missing(err) {
		if at := place; !strings.Contains(strings.Join(s.lost[file], " "), at) {
			s.lost[file] = append(s.lost[file], at)
		}
	} else if err == nil && file != s.module {
		s.foreignModule(file)
	}
	return sound
}

// rewrite is the command that changes a line by one of sed's.
func rewrite(e stack.Entry, how string) string {
	return "sed -i '" + strconv.Itoa(e.Line.Line) + how + "' " + shell(e.File)
}

// badArgument says what the module has against an argument; see pam/options.c.
func badArgument(arg string) string {
	name, value, _ := strings.Cut(arg, "=")
	switch {
	case arg == "debug", arg == stack.KeyArgument, arg == stack.CombinedArgument:
	case (name == "socket" || name == "password_socket") && (!path.IsAbs(value) || len(value) > 107):
		return "a socket is a whole path of at most 107 bytes"
	case name == "timeout":
		if n, err := strconv.ParseUint(value, 10, 8); err != nil || n < 1 || n > 30 || len(value) > 2 {
			return "a timeout is from 1 to 30 seconds"
		}
	case name != "socket" && name != "password_socket":
		return "it doesn't know it"
	}
	return ""
}
