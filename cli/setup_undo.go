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

// takeBack takes back all that the journal knows. It needs no daemon, and nobody to ask: a package's removal
// calls it.
func (s *setup) takeBack(ctx context.Context) error {
	files, stuck := s.journal.Undo()
	slices.SortFunc(files, backOrder)
	p := &plan.Plan{Files: files}
	for _, at := range stuck {
		p.Refusals = append(p.Refusals, s.stuck(at))
	}
	p.Reload = slices.ContainsFunc(files, func(f change.File) bool { return f.Changes() && strings.HasPrefix(f.Path, "/etc/ssh/") })
	if err := s.addTools(ctx, p); err != nil {
		p.Refusals = append(p.Refusals, err)
	}
	if s.removal {
		p.Refusals = append(p.Refusals, s.needed(p.Tree(s.host))...)
	}
	r := newReport(p)
	if len(p.Refusals) > 0 {
		return s.refused(r)
	}
	s.showDiffs(r)
	r.Checks = s.tryWithout(ctx, p)
	if err := s.showChecks(r.Checks); err != nil {
		return s.after(r, err)
	}
	if s.dryRun {
		s.say("\nNothing was changed: --dry-run.")
		return s.report(r)
	}
	if ok, err := s.agreed(ctx, "\nTake it back?"); err != nil || !ok {
		return err
	}
	back := &tools{setup: s, run: s.journal.Tools(), reload: p.Reload, lenient: true}
	slices.Reverse(back.run)
	if err := s.journal.Apply(change.Change{Files: files, Why: "totpctl setup --undo", At: s.now(), Finish: back.finish}); err != nil {
		return s.fail(err, "")
	}
	if err := s.journal.Forget(); err != nil {
		return s.fail(err, "")
	}
	r.Applied = true
	s.watch(false)
	s.say("\nTaken back: logins are as they were before totpctl setup. Try one before you close this shell.")
	for _, l := range remaining(s.host.Tree) {
		s.say("%s", fmt.Sprintf("Still there, since totpctl setup didn't put it there: %s: %s", l.Place, l))
	}
	return s.report(r)
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

// addTools shows what the host's own programs will take back.
func (s *setup) addTools(ctx context.Context, p *plan.Plan) *plan.Refusal {
	for _, command := range s.journal.Tools() {
		p.Tools = append(p.Tools, command)
		if !strings.HasPrefix(command, plan.PAMAuthUpdate) {
			continue
		}
		after, _, err := plan.DebianCopy(ctx, s.host, "--disable", "totpd")
		if err != nil {
			return &plan.Refusal{Where: plan.PAMAuthUpdate, Why: err.Error(), Hint: "by hand: " + command}
		}
		for path, text := range after {
			now, err := s.journal.Read(path)
			if err != nil {
				return &plan.Refusal{Where: path, Why: err.Error(), Hint: "by hand: " + command}
			}
			p.Shared = append(p.Shared, change.File{Path: path, Now: now, After: text})
		}
	}
	return nil
}

// tryWithout tries the logins of the services whose files are put back, and sshd's settings: without totpd,
// which may not run any more.
func (s *setup) tryWithout(ctx context.Context, p *plan.Plan) []trial.Check {
	tree := p.Tree(s.host)
	t, err := s.trial(ctx, tree)
	if err != nil {
		return []trial.Check{{What: "logins can be tried", Cause: err.Error()}}
	}
	var all []trial.Check
	for _, f := range p.Files {
		name, service := strings.CutPrefix(f.Path, "/etc/pam.d/")
		if !service || !f.Changes() || f.After == nil {
			continue
		}
		entries, err := tree.Stack(name, stack.Auth)
		if err != nil || slices.ContainsFunc(entries, func(e stack.Entry) bool { return e.Ours() }) {
			continue // lines that others put there: showRemaining names them
		}
		all = append(all, t.Without(ctx, name)...)
	}
	if p.Reload && s.host.SSHD != nil {
		all = append(all, s.sshdWithout(ctx, p))
	}
	return all
}

// sshdWithout has sshd check its settings as they will be. Faults that it has now already don't count.
func (s *setup) sshdWithout(ctx context.Context, p *plan.Plan) trial.Check {
	c := trial.Check{Service: "sshd", What: "it takes its settings without ours", OK: true}
	err := plan.CheckSSHD(ctx, s.host, p)
	if err != nil && s.host.SSHD.Check(ctx) == nil {
		c.OK, c.Cause = false, err.Error()
		c.Hint = "mend that setting first; nothing was changed"
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
		for _, typ := range []stack.Type{stack.Auth, stack.Account, stack.Password, stack.Session} {
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
