package stack

import (
	"fmt"
	"path"
	"strings"
)

// Place is where something stands, for an administrator to go to.
type Place struct {
	File string // as the host names it: /etc/pam.d/sshd
	Line int    // from 1; 0: the file as a whole
}

func (p Place) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d", p.File, p.Line)
}

// Type is a management group.
type Type string

// The management groups.
const (
	Auth     Type = "auth"
	Account  Type = "account"
	Password Type = "password"
	Session  Type = "session"
)

// Types are all of them.
var Types = []Type{Auth, Account, Password, Session}

// AnyType is of Debian's "@include", which takes in lines of every type.
const AnyType Type = ""

// typeOf accepts any case, as libpam does.
func typeOf(word string) (Type, bool) {
	switch t := Type(strings.ToLower(word)); t {
	case Auth, Account, Password, Session:
		return t, true
	}
	return AnyType, false
}

// Line is one line of a configuration, joined from its continuations.
type Line struct {
	Place
	Last    int      // the last line of the file that belongs to it; Line without continuations
	Service string   // in pam.conf, the line's own; else the name of the file's service
	Type    Type     // AnyType for "@include"
	Silent  bool     // "-auth": a missing module isn't logged
	Control Control  // how the module's answer counts; Include or Substack name a file instead
	Module  string   // as written: pam_unix.so or a path; with Include and Substack, the file
	Args    []string // brackets taken off
	Problem string   // why libpam makes this line one that always fails; empty: none
}

// Name is the module's without directory and ".so": pam_unix. It is empty for a line that includes.
func (l Line) Name() string {
	if l.Includes() || l.Module == "" {
		return ""
	}
	return strings.TrimSuffix(path.Base(l.Module), ".so")
}

// Includes tells whether the line takes in another file.
func (l Line) Includes() bool { return l.Control.Kind == Include || l.Control.Kind == Substack }

// String is the line in one form: single spaces, brackets where they are needed.
func (l Line) String() string {
	if l.Type == AnyType && l.Control.Kind == Include {
		return "@include " + l.Module
	}
	words := []string{string(l.Type), l.Control.String(), l.Module}
	if l.Silent {
		words[0] = "-" + words[0]
	}
	for _, arg := range l.Args {
		if arg == "" || strings.ContainsAny(arg, " \t]") || arg[0] == '[' {
			arg = "[" + strings.ReplaceAll(arg, "]", `\]`) + "]"
		}
		words = append(words, arg)
	}
	return strings.Join(words, " ")
}

// isBlank has the characters that part words for libpam.
func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' }

// word takes the next word off text. bracketed words lose their brackets; found is false at the end.
func word(text string) (w, rest string, found bool) {
	for text != "" && isBlank(text[0]) {
		text = text[1:]
	}
	if text == "" {
		return "", "", false
	}
	if text[0] != '[' {
		end := strings.IndexAny(text, " \t\n")
		if end < 0 {
			end = len(text)
		}
		return text[:end], text[end:], true
	}
	var b strings.Builder
	i := 1
	for ; i < len(text) && text[i] != ']'; i++ {
		if text[i] == '\\' && i+1 < len(text) && text[i+1] == ']' {
			i++
		}
		b.WriteByte(text[i])
	}
	if i < len(text) {
		i++
	}
	return b.String(), text[i:], true
}

// parseLine reads a joined line without comment. withService is for pam.conf.
func parseLine(text string, at Line, withService bool) Line {
	l := at
	if withService {
		l.Service, text, _ = word(text)
	}
	first, text, found := word(text)
	if !found {
		l.Type, l.Problem = Auth, "the type is missing"
		return l
	}
	if strings.EqualFold(first, "@include") {
		l.Control = Control{Kind: Include}
		if l.Module, _, found = word(text); !found {
			l.Problem = "the file to include is missing"
		}
		return l
	}
	bare, silent := strings.CutPrefix(first, "-")
	l.Silent = silent
	var known bool
	if l.Type, known = typeOf(bare); !known {
		l.Type, l.Problem = Auth, fmt.Sprintf("%q is no type: auth, account, password or session", first)
	}
	control, text, found := word(text)
	if !found {
		l.Problem = firstOf(l.Problem, "the control is missing")
		return l
	}
	var err error
	if l.Control, err = parseControl(control); err != nil {
		l.Problem = firstOf(l.Problem, err.Error())
	}
	if l.Module, text, found = word(text); !found {
		if l.Includes() {
			l.Problem = firstOf(l.Problem, "the file to include is missing")
		}
		l.Problem = firstOf(l.Problem, "the module is missing")
	}
	for {
		var arg string
		if arg, text, found = word(text); !found {
			return l
		}
		l.Args = append(l.Args, arg)
	}
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}
