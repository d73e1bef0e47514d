package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/cli/internal/stack"
)

// judgeStack is about when a code is asked for, and what follows from the answer.
func (s *stacks) judgeStack(service string, entries []stack.Entry) {
	v := &verdict{stacks: s, service: service, entries: entries}
	v.ours = slices.IndexFunc(entries, stack.Entry.AsksCode)
	if v.ours < 0 {
		return
	}
	s.together[service] = entries[v.ours].Role() == stack.Combined
	found := stack.Judge(entries)
	has := func(kind stack.FindingKind) bool {
		return slices.ContainsFunc(found, func(f stack.Finding) bool { return f.Kind == kind })
	}
	v.bound = true
	_, unloadable := stack.Unloadable(entries) // lookUnloadable says so
	for _, f := range found {
		if unloadable && f.Kind == stack.Closed {
			continue
		}
		consequence := f.Kind == stack.Early || f.Kind == stack.Mute
		if !consequence || !has(stack.Bypass) && !has(stack.Closed) { // of one cause the worst is told
			v.tell(f)
		}
	}
	v.jumps()
	v.others()
	if v.bound {
		s.required = append(s.required, service)
	}
}

// verdict turns what is wrong with a stack into findings.
type verdict struct {
	*stacks
	service string
	entries []stack.Entry
	ours    int  // our first line that asks for a code
	bound   bool // nobody gets in against our module's word
}

func (v *verdict) spot(id string, entry int, remedy, format string, args ...any) {
	v.stacks.spot(v.service, id, v.entries[entry].Place.String(), remedy, format, args...)
}

func (v *verdict) tell(f stack.Finding) {
	e := v.entries[v.ours]
	by := e
	if f.Entry >= 0 {
		by = v.entries[f.Entry]
	}
	switch f.Kind {
	case stack.Broken:
		v.spot("stack-broken", f.Entry, "man pam.conf, then fix the line", "libpam can't read the line, and nobody gets in: %s", by.Problem)
	case stack.Closed:
		if v.service != stack.Other {
			v.spot("stack-closed", v.ours, "put the line last, below all that a jump ([success=N]) counts", "nobody gets in, whatever they answer")
		}
	case stack.Overruled:
		v.bound = false
		v.spot("stack-optional", v.ours, require(e), "whose code is refused gets in all the same: the line is %q, not required", e.Control)
	case stack.Bypass:
		v.bypass(by)
	case stack.Behind:
		v.spot("stack-behind", f.Entry, rewrite(by, "s| *"+stack.CombinedArgument+"||")+"  # for two questions; for one, put the line above all that check the password",
			"password and code are asked for together after the password: whoever has a second factor is refused")
	case stack.Again:
		v.spot("stack-again", f.Entry, rewrite(by, "s|$| use_first_pass|"),
			"%s asks for the password again that was typed with the code: what has one prompt can't answer", by.Name())
	case stack.NoProof:
		if e.Role() == stack.Combined && by.Ours() {
			v.spot("stack-alone", f.Entry, rewrite(by, "a auth required pam_unix.so try_first_pass"),
				"no module after it checks the password, so that whoever needs no code gets in without")
			return
		}
		v.spot("stack-exempts", f.Entry, asMeant, "some get in without password and code, by %s", by.Name())
	case stack.Early:
		v.early(f.Entry)
	case stack.Mute:
		v.spot("stack-excludes", v.ours, rewrite(e, "a auth required pam_permit.so"),
			"nobody gets in who has no second factor: nothing says yes when no code is due")
	case stack.Twice:
		v.spot("stack-twice", f.Entry, drop(v.entries, f.Entry), "a code is asked for twice, and a code works once: the first line is %s", e.Place)
	}
}

// jumps tells of those that no longer do what they are for, mostly since a line that they count is gone.
func (v *verdict) jumps() {
	for _, j := range stack.WrongJumps(v.entries) {
		e := v.entries[j.Entry]
		what := fmt.Sprintf("whoever %s matches gets in without a password: its jump over %s", e.Name(), counted(int(j.Over)))
		if j.Closed {
			what = fmt.Sprintf("whoever %s matches can't get in: its jump over %s", e.Name(), counted(int(j.Over)))
		}
		lands := " leads out of the stack"
		if j.Lands < len(v.entries) && !j.Beyond {
			lands = " leads past the password to " + v.entries[j.Lands].Place.String()
		}
		v.spot("stack-jump", j.Entry, "sed -i '"+shorter(e, j.Over, j.Instead)+"' "+shell(e.File), "%s%s", what, lands)
	}
}

func counted(lines int) string {
	if lines == 1 {
		return "1 line"
	}
	return fmt.Sprintf("%d lines", lines)
}

// others tells of other programs that ask for a code, too.
func (v *verdict) others() {
	for i, e := range v.entries {
		if e.Sub || !e.AsksOtherCode() {
			continue
		}
		remedy := v.setupAgain(v.service)
		if len(e.Via) > 0 {
			remedy = "take that line out, and with it what counts it in a jump ([success=N]): man pam.conf"
		}
		v.spot("stack-other", i, remedy, "%s asks for a code beside totpd: people are asked for two", e.Name())
	}
}

// setupAgain is the command that has totpctl setup make a service's stack anew, as it was asked for before.
func (x *exam) setupAgain(service string) string {
	if journal, err := change.Look(cmp.Or(x.Root, "/")); err == nil {
		for _, w := range plan.Wanted(journal.Records(), journal.Tools()) {
			if slices.Contains(w.Services, service) {
				return w.Command() + " --yes"
			}
		}
	}
	w := plan.Want{Services: []string{service}}
	if service == "sshd" {
		w.SSH = plan.AnyCode
	}
	return w.Command()
}

// asMeant is the remedy of what may be meant so.
const asMeant = "nothing, when it is meant so"

// bypass: after the word of one module nobody is asked for a code.
func (v *verdict) bypass(by stack.Entry) {
	if by.Role() == stack.Has {
		v.stacks.spot(v.service, "stack-exempts", by.Place.String(), asMeant, "no code is asked for of whoever %s lets in", by.Name())
		return
	}
	v.bound = false
	if v.entries[v.ours].Role() == stack.Combined {
		v.spot("stack-skipped", v.ours, "put the line above all that check the password, and all that jump over it: man pam.conf",
			"whoever %s lets in (%s) isn't asked for a code: the stack doesn't come to the line", by.Name(), by.Place)
		return
	}
	v.spot("stack-skipped", v.ours, "put the line below "+by.Place.String()+" and all that it jumps over, and above what ends the stack: man pam.conf",
		"whoever %s lets in (%s) isn't asked for a code: the stack doesn't come to the line", by.Name(), by.Place)
}

// early: anybody who knows a name can use up its attempts.
func (v *verdict) early(entry int) {
	before, after := false, false
	for i, e := range v.entries {
		if !e.Sub && e.Role() == stack.Knows {
			before, after = before || i < entry, after || i > entry
		}
	}
	switch {
	case before:
		v.spot("stack-guess", entry, "let a wrong password end the stack: below the line that checks it: auth requisite pam_deny.so, as in Debian's common-auth",
			"a code is asked for after a wrong password, too: anybody who knows a name can use up its attempts")
	case after:
		v.spot("stack-before-password", entry, v.move(v.entries[entry]), "the code is asked for before the password: anybody who knows a name can use up its attempts")
	case v.service == "sshd":
		v.alone = true // lookSSHD knows whether a key comes first
	default:
		v.spot("stack-alone", entry, "put the line below the one that checks the password", "a code is asked for, and no password")
	}
}

// require is the command that makes our line required. The rest of it stays, for totpctl setup to know it by.
func require(e stack.Entry) string {
	if e.Control.Kind == stack.Sufficient || e.Control.Kind == stack.Optional {
		return rewrite(e, "s/"+e.Control.String()+"/required/I")
	}
	words := append([]string{"auth required", e.Module}, e.Args...)
	return rewrite(e, "s|.*|"+strings.Join(words, " ")+"|")
}

// move is the command that puts a line of ours below the one that takes the password in, where that is another
// file's: what is in the same file may be jumped over.
func (v *verdict) move(ours stack.Entry) string {
	last := 0
	for _, e := range v.entries {
		if e.Sub || e.Role() != stack.Knows {
			continue
		}
		if len(ours.Via) > 0 || len(e.Via) == 0 || e.Via[0].File != ours.File {
			return "put the line below all that check the password, and all that they jump over: man pam.conf"
		}
		last = e.Via[0].Line
	}
	return fmt.Sprintf("sed -i -e '%da %s' -e '%dd' %s", last, ours.Line, ours.Line.Line, shell(ours.File))
}
