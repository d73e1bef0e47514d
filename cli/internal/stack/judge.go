package stack

import (
	"cmp"
	"slices"
	"strings"
)

// What a way through a stack has brought about.
const (
	Proved  Fact = 1 << iota // a password was right, or something else proved who it is
	Judged                   // our daemon had its say: a right code, or none is due
	Trusted                  // the caller is let in for what it is: root, a member of wheel
	Refused                  // the daemon, or the lack of it, said no
	Known                    // what proved it was a password
)

// Kind of a Finding.
type FindingKind string

// The findings about a stack that is to ask for a code after a proof.
const (
	Broken    FindingKind = "broken"    // a line that libpam can't use
	NoCode    FindingKind = "no code"   // our module isn't in the stack
	NoProof   FindingKind = "no proof"  // lets in without password, key or trust
	Bypass    FindingKind = "bypass"    // lets in after a proof without asking for a code
	Overruled FindingKind = "overruled" // lets in although the code was refused
	Early     FindingKind = "early"     // asks for a code before any proof, or after a wrong password
	Twice     FindingKind = "twice"     // asks for a code a second time
	Closed    FindingKind = "closed"    // lets in nobody, whatever they answer
	Mute      FindingKind = "mute"      // refuses who needs no code, since nothing else in the stack says yes
	Trust     FindingKind = "trust"     // lets in without a code whom a module trusts: mostly as it should be
	Behind    FindingKind = "behind"    // asks for password and code together, after the password
	Again     FindingKind = "again"     // asks for the password again that was typed with the code
)

// Finding is something about a stack that an administrator should know.
type Finding struct {
	Kind  FindingKind
	Entry int // the line that does it; -1: the stack as a whole
}

// Judge tells what is wrong with a stack of type auth that is to ask for a code after the password, or
// together with it. Nothing: on every way in, somebody proves who it is, and then, and only then, our daemon
// is asked and heard; where both are asked for together, our module sees to that order, and a module that
// follows proves it. It is a statement about all answers that modules may give.
func Judge(entries []Entry) []Finding {
	j := judge{entries: entries, found: map[Finding]bool{}}
	ends, visits := Walk(entries, 0, j.answers)
	for i, e := range entries {
		if e.Problem != "" {
			j.add(Broken, i)
		}
	}
	if !slices.ContainsFunc(entries, func(e Entry) bool { return e.AsksCode() }) {
		j.add(NoCode, -1)
	}
	j.combined = slices.ContainsFunc(entries, func(e Entry) bool { return !e.Sub && e.Role() == Combined })
	j.judgeEnds(ends)
	for _, v := range visits {
		j.judgeVisit(v)
	}
	slices.SortFunc(j.list, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(a.Entry, b.Entry), cmp.Compare(a.Kind, b.Kind))
	})
	return j.list
}

type judge struct {
	entries  []Entry
	combined bool // password and code are asked for together
	found    map[Finding]bool
	list     []Finding
}

// judgeVisit is about what has happened before a line is run.
func (j *judge) judgeVisit(v Visit) {
	e := j.entries[v.Entry]
	if e.Problem != "" {
		return
	}
	switch role := e.Role(); {
	case role == Code && v.Facts&Proved == 0:
		j.add(Early, v.Entry)
	case role == Combined && v.Facts&Known != 0:
		j.add(Behind, v.Entry)
	case role == Knows && j.combined && v.Facts&Judged != 0 && !e.TakesPassword():
		j.add(Again, v.Entry)
	}
	if e.AsksCode() && v.Facts&(Judged|Refused) != 0 {
		j.add(Twice, v.Entry)
	}
}

func (j *judge) add(kind FindingKind, entry int) {
	f := Finding{kind, entry}
	if !j.found[f] {
		j.found[f] = true
		j.list = append(j.list, f)
	}
}

func (j *judge) judgeEnds(ends []End) {
	open := false
	for _, end := range ends {
		if !end.Accepted {
			if end.Mute && end.Facts&(Proved|Judged) == Proved|Judged {
				j.add(Mute, end.By)
			}
			continue
		}
		switch {
		case end.Facts&Refused != 0:
			j.add(Overruled, end.By)
		case end.Facts&Judged != 0 && end.Facts&Proved == 0 && j.combined:
			j.add(NoProof, end.By)
		case end.Facts&Judged != 0:
			// An early code is found where it is asked for.
		case end.Facts&Trusted != 0:
			j.add(Trust, end.By)
			continue
		case end.Facts&Proved != 0:
			j.add(Bypass, end.By)
		default:
			j.add(NoProof, end.By)
		}
		open = true
	}
	if !open {
		j.add(Closed, -1)
	}
}

// answers are what a module may say. Where a control names several answers, each is tried; all that it
// doesn't name are one.
func (j *judge) answers(e Entry) []Answer {
	if e.Missing != "" {
		return []Answer{{Value: "module_unknown"}}
	}
	switch role := e.Role(); role {
	case Permits:
		return []Answer{{Value: "success"}}
	case Denies:
		return []Answer{{Value: "auth_err"}}
	case Code, Combined:
		return append(failures(e, Refused, "ignore"), Answer{"success", Judged}, Answer{"ignore", Judged})
	case WithKey:
		return append(failures(e, Refused, "ignore"), Answer{"success", Proved | Judged}, Answer{"ignore", 0})
	case Knows, Has:
		// One whose password was right, but is too old, is known.
		proof := Proved
		if role == Knows {
			proof |= Known
		}
		right := []Answer{{"success", proof}, {"new_authtok_reqd", proof}}
		if !mayIgnore(e) {
			return append(failures(e, 0, "new_authtok_reqd", "ignore"), right...)
		}
		return append(failures(e, 0, "new_authtok_reqd"), right...)
	case Trusts:
		return append(failures(e, 0), Answer{"success", Trusted})
	}
	return append(failures(e, 0), Answer{Value: "success"})
}

// mayIgnore tells whether a module that asks for a password may say that it has no opinion.
func mayIgnore(e Entry) bool {
	switch e.Name() {
	case "pam_unix":
		return false
	case "pam_sss", "pam_ldap":
		return slices.ContainsFunc(e.Args, func(arg string) bool { return strings.HasPrefix(arg, "ignore_") })
	}
	return true
}

// failures are the answers other than "success" and others named, with one for all that the control doesn't
// name.
func failures(e Entry, facts Fact, but ...string) []Answer {
	var all []Answer
	unnamed := false
	for _, value := range values {
		if value == "default" || value == "success" || slices.Contains(but, value) {
			continue
		}
		if !e.Control.Names(value) {
			if unnamed {
				continue
			}
			unnamed = true
		}
		all = append(all, Answer{value, facts})
	}
	return all
}
