package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/cli/internal/sshd"
	"github.com/totpd/totpd/cli/internal/stack"
	"github.com/totpd/totpd/cli/internal/trial"
)

// takeBack takes back all that the journal knows. It is the way out when logins fail, so it needs no daemon and
// nobody to ask, and nothing stops it: what is no worse afterwards than now is taken back, and the rest is named
// with what a person can do. Only a package's removal is refused where lines would be left that need the module.
func (s *setup) takeBack(ctx context.Context) error {
	files, stuck := s.journal.Undo()
	p := &plan.Plan{}
	for _, at := range stuck {
		if f, ok := s.journal.Loosely(at.Path, isOurs); ok && strings.HasPrefix(at.Path, "/etc/pam.d/") && errors.Is(at.Err, change.ErrUnclear) {
			files = append(files, f)
			continue
		}
		p.Refusals = append(p.Refusals, s.stuck(at))
	}
	slices.SortFunc(files, backOrder)
	p.Files = files
	s.addTools(ctx, p)
	shown := newReport(p)
	checks := s.tryWithout(ctx, p)
	if s.removal {
		if needed := s.needed(p.Tree(s.host)); len(needed) > 0 {
			p.Refusals = append(p.Refusals, needed...)
			return s.refused(newReport(p))
		}
	}
	s.showDiffs(shown)
	s.showTried(checks)
	r := newReport(p)
	r.Checks = checks
	if s.dryRun {
		s.showLeft(p)
		s.say("\nNothing was changed: --dry-run.")
		return s.report(r)
	}
	if ok, err := s.agreed(ctx, "\nTake it back?"); err != nil || !ok {
		return err
	}
	s.writeBack(p)
	r = newReport(p)
	r.Checks, r.Applied = checks, true
	for _, l := range remaining(stack.Open(s.root)) {
		if !s.journaled(l.Place.File) {
			s.say("%s", fmt.Sprintf("Still there, since totpctl setup didn't put it there: %s: %s", l.Place, l))
		}
	}
	if s.showLeft(p); len(p.Refusals) > 0 {
		return s.after(r, s.fail(errors.New("not everything could be taken back"), "do what is said above, then again: totpctl setup --undo"))
	}
	s.say("\nTaken back: logins are as they were before totpctl setup. Try one before you close this shell.")
	return s.report(r)
}

// isOurs tells whether a line of a PAM file is of our module, whatever its arguments.
func isOurs(line string) bool {
	return slices.ContainsFunc(stack.Parse("", "", []byte(line)).Lines, stack.Line.Ours)
}

func (s *setup) journaled(path string) bool {
	return slices.ContainsFunc(s.journal.Records(), func(r change.Record) bool { return r.Path == path })
}

// writeBack takes back each file and each tool by itself. What fails is added to the plan's refusals.
func (s *setup) writeBack(p *plan.Plan) {
	left := func(where string, err error, hint string) {
		p.Refusals = append(p.Refusals, &plan.Refusal{Where: where, Why: err.Error(), Hint: hint})
	}
	s.takeBackTools(left)
	c := change.Change{Why: "totpctl setup --undo", At: s.now(), Tools: s.journal.Tools()}
	var unrecorded error
	waited := 0 // how many of the files, one after the other, wait for another one
	for files := slices.Clone(p.Files); len(files) > 0; {
		f := files[0]
		files = files[1:]
		if strings.HasPrefix(f.Path, "/etc/ssh/") && len(p.Refusals) > 0 && s.sshdAsks() {
			left(f.Path, errors.New("PAM still asks for a code in sshd"), "without these settings that question could not be answered")
			continue
		}
		by := s.includedBy(f)
		if waited <= len(files) && slices.ContainsFunc(files, func(later change.File) bool { return later.Path == by }) {
			files = append(files, f) // after what includes it
			waited++
			continue
		}
		waited = 0
		if by != "" {
			left(f.Path, fmt.Errorf("%s includes it, and could not be taken back", by), "take "+by+" back first")
			continue
		}
		c.Files = []change.File{f}
		switch err := s.journal.TakeBack(c); {
		case errors.Is(err, change.ErrUnrecorded):
			unrecorded = err
		case err != nil:
			left(f.Path, err, backHint(f))
		}
	}
	if unrecorded != nil {
		left(change.Dir, unrecorded, "make room there, and then again: totpctl setup --undo")
	}
	if p.Reload {
		if err := s.reloadSSHD(); err != nil {
			s.say("sshd could not be told: %v", err)
		}
	}
	if s.journal.Empty() {
		s.watch(false)
	}
	if err := s.journal.Forget(); err != nil {
		left(change.Dir, err, "nothing is left to take back: remove it")
	}
}

// takeBackTools has the host's own programs take back what they did.
func (s *setup) takeBackTools(left func(where string, err error, hint string)) {
	c := change.Change{Why: "totpctl setup --undo", At: s.now()}
	for _, tool := range slices.Backward(s.journal.Tools()) {
		err := (&tools{setup: s}).tool(tool)
		if err == nil {
			err = s.toolFailed(tool)
		}
		if err != nil {
			left(strings.Fields(tool)[0], err, "by hand: "+tool)
			continue
		}
		c.Tools = slices.DeleteFunc(s.journal.Tools(), func(t string) bool { return t == tool })
		if err := s.journal.Apply(c); err != nil {
			left(change.Dir, err, "the command has been run: "+tool)
		}
	}
}

// toolFailed tells what pam-auth-update has left: where it can't write, it says nothing.
func (s *setup) toolFailed(tool string) error {
	if !strings.HasPrefix(tool, plan.PAMAuthUpdate) {
		return nil
	}
	for _, l := range remaining(stack.Open(s.root)) {
		if strings.HasPrefix(l.Place.File, "/etc/pam.d/common-") {
			return fmt.Errorf("it has left %s: %s", l.Place, l)
		}
	}
	return nil
}

// sshdAsks tells whether a code is still asked for in sshd's auth stack.
func (s *setup) sshdAsks() bool {
	entries, err := stack.Open(s.root).Stack("sshd", stack.Auth)
	return err == nil && slices.ContainsFunc(entries, stack.Entry.AsksCode)
}

// includedBy is a file that includes one that is to go; empty: there is none.
func (s *setup) includedBy(f change.File) string {
	if f.After != nil {
		return ""
	}
	tree := stack.Open(s.root).With(map[string][]byte{f.Path: nil})
	names, err := tree.Services()
	if err != nil {
		return ""
	}
	for _, name := range names {
		for _, typ := range stack.Types {
			entries, _ := tree.Stack(name, typ)
			for _, e := range entries {
				if e.Includes() && e.Problem != "" && (e.Module == f.Path || "/etc/pam.d/"+e.Module == f.Path) {
					return e.Place.File
				}
			}
		}
	}
	return ""
}

// backHint is what a person can do about a file that can't be written.
func backHint(f change.File) string {
	if f.After == nil {
		return "mount -o remount,rw, or chattr -i, and then: rm " + f.Path
	}
	return "see whether it can be written: lsattr " + f.Path + "; findmnt -T " + f.Path + "; the file as it was before is in " + backups
}

// backOrder has PAM's files before sshd's, which only a reload puts in force, and what others include last.
func backOrder(a, b change.File) int {
	rank := func(f change.File) int {
		switch {
		case strings.HasPrefix(f.Path, "/etc/ssh/"):
			return 2
		case f.After == nil:
			return 1
		}
		return 0
	}
	return cmp.Or(cmp.Compare(rank(a), rank(b)), strings.Compare(a.Path, b.Path))
}

// stuck is what a person has to do about one file.
func (s *setup) stuck(at change.Stuck) *plan.Refusal {
	r := &plan.Refusal{Where: at.Path, Why: at.Err.Error(), Hint: "the backups are in " + backups}
	if !errors.Is(at.Err, change.ErrUnclear) {
		return r
	}
	r.Why = "somebody has edited the lines that totpctl setup put there"
	r.Hint = "take every line with pam_totpd.so out by hand, and then again: totpctl setup --undo; the file as it was before is in " + backups
	if strings.HasPrefix(at.Path, sshd.DropIns) {
		r.Hint = "move what is yours into another file and remove this one, and then again: totpctl setup --undo"
	}
	return r
}

// addTools shows what the host's own programs will take back. Where that can't be known before, they do it all
// the same.
func (s *setup) addTools(ctx context.Context, p *plan.Plan) {
	for _, command := range s.journal.Tools() {
		p.Tools = append(p.Tools, command)
		if !strings.HasPrefix(command, plan.PAMAuthUpdate) {
			continue
		}
		after, _, err := plan.DebianCopy(ctx, s.host, "--disable", "totpd")
		if err != nil {
			s.say("What %q will change can't be shown: %v", command, err)
			continue
		}
		for path, text := range after {
			if now, err := s.journal.Read(path); err == nil {
				p.Shared = append(p.Shared, change.File{Path: path, Now: now, After: text})
			}
		}
	}
}

// tryWithout tries the logins of the services whose files are put back, and sshd's settings: without totpd,
// which may not run any more. A file whose way back would make something worse is left as it is.
func (s *setup) tryWithout(ctx context.Context, p *plan.Plan) (all []trial.Check) {
	tree := p.Tree(s.host)
	t, err := s.trial(ctx, tree)
	if err == nil && s.scratch == "" {
		err = errors.New("there is no room for copies of PAM's files")
	}
	if err != nil {
		return []trial.Check{{What: "logins can be tried", Cause: err.Error(), Warning: true}}
	}
	worse := map[string]trial.Check{}
	for _, f := range p.Files {
		name, service := strings.CutPrefix(f.Path, "/etc/pam.d/")
		if !service || !f.Changes() || f.After == nil {
			continue
		}
		entries, err := tree.Stack(name, stack.Auth)
		if err != nil || slices.ContainsFunc(entries, func(e stack.Entry) bool { return e.Ours() }) {
			continue // lines that others put there: they are named afterwards
		}
		for _, c := range t.Without(ctx, name, s.host.Tree) {
			if all = append(all, c); !c.OK && !c.Warning {
				worse[f.Path] = c
			}
		}
	}
	inSSH := func(f change.File) bool { return f.Changes() && strings.HasPrefix(f.Path, "/etc/ssh/") }
	if slices.ContainsFunc(p.Files, inSSH) && s.host.SSHD != nil {
		c := s.sshdWithout(ctx, p)
		if all = append(all, c); !c.OK && !c.Warning {
			for _, f := range p.Files {
				if inSSH(f) {
					worse[f.Path] = c
				}
			}
		}
	}
	p.Files = slices.DeleteFunc(p.Files, func(f change.File) bool {
		c, is := worse[f.Path]
		if is {
			p.Refusals = append(p.Refusals, &plan.Refusal{Where: f.Path, Why: "without our lines it would be worse than now: " + c.What + ": FAILED: " + c.Cause,
				Hint: "fix that first; the file as it was before is in " + backups})
		}
		return is
	})
	p.Reload = slices.ContainsFunc(p.Files, inSSH)
	return all
}

// sshdWithout has sshd check its settings as they will be. Faults that it has now already are a warning.
func (s *setup) sshdWithout(ctx context.Context, p *plan.Plan) trial.Check {
	c := trial.Check{Service: "sshd", What: "sshd accepts its settings without ours", OK: true}
	if s.scratch == "" {
		c.OK, c.Cause, c.Warning = false, "there is no room for a copy of them", true
		return c
	}
	if err := plan.CheckSSHD(ctx, s.host, p); err != nil {
		c.OK, c.Cause, c.Warning = false, err.Error(), s.host.SSHD.Check(ctx) != nil
		c.Hint = "fix that setting"
	}
	return c
}

// remaining are the lines of a tree that name our module, each once.
func remaining(tree *stack.Tree) []stack.Line {
	names, err := tree.Services()
	if err != nil {
		return nil
	}
	var all []stack.Line
	seen := map[string]bool{}
	for _, name := range names {
		for _, typ := range stack.Types {
			entries, err := tree.Stack(name, typ)
			if err != nil {
				continue
			}
			for _, e := range entries {
				if at := e.Place.String(); e.Ours() && !seen[at] {
					seen[at] = true
					all = append(all, e.Line)
				}
			}
		}
	}
	return all
}

// needed are the lines that would refuse every login once the package is gone. A removal takes those of
// pam-auth-update out by itself. What authselect will make isn't known before.
func (s *setup) needed(after *stack.Tree) []*plan.Refusal {
	if slices.ContainsFunc(s.journal.Tools(), func(tool string) bool { return !strings.HasPrefix(tool, plan.PAMAuthUpdate) }) {
		return nil
	}
	var all []*plan.Refusal
	for _, l := range remaining(after) {
		if strings.HasPrefix(l.Place.File, "/etc/pam.d/common-") {
			continue
		}
		all = append(all, &plan.Refusal{
			Where: l.Place.String(), Why: "it needs pam_totpd.so, and totpctl setup didn't put it there: " + l.String(),
			Hint: "take the line out, try a login while you keep a root shell open, then remove the package again",
		})
	}
	return all
}
