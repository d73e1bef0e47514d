package doctor

import (
	"cmp"
	"errors"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/cli/internal/sshd"
	"github.com/totpd/totpd/cli/internal/stack"
)

// lookSetup compares what totpctl setup has done with what is there: whether logins are still as it made them,
// and whether --undo finds its way.
func (x *exam) lookSetup() {
	notes := path.Join(change.Dir, "journal.json")
	journal, err := change.Look(cmp.Or(x.Root, "/"))
	switch {
	case hidden(err):
		x.unseen("setup", "what totpctl setup has changed is for root to look at")
		return
	case err != nil:
		x.found("setup-unreadable", notes, "take back by hand what totpctl setup did: its copies are in "+change.Dir,
			"the notes of totpctl setup can't be read, so --undo can't take anything back: %v", err)
		return
	case journal.Empty():
		return // setup was never run, or all was taken back
	}
	lost := x.lookLost(journal)
	_, stuck := journal.Undo()
	for _, s := range stuck {
		if !slices.Contains(lost, s.Path) { // of one cause the worst is told
			x.found("setup-stuck", s.Path, putBack(journal, s.Path), "totpctl setup --undo can't take %s back: %v", s.Path, s.Err)
		}
	}
	for _, r := range journal.Records() {
		if !slices.Contains(lost, r.Path) {
			x.judgeRecord(journal, r)
		}
	}
	x.fine("setup", "logins are as totpctl setup has made them, and it can take that back")
}

// lookLost finds what is no longer as totpctl setup made it, and returns the files.
func (x *exam) lookLost(journal *change.Journal) (files []string) {
	scratch, err := plan.NewScratch()
	if err != nil {
		x.unseen("setup", "whether logins are still as totpctl setup made them: %v", err)
		return nil
	}
	defer os.RemoveAll(scratch)
	root := cmp.Or(x.Root, "/")
	h := &plan.Host{Root: root, Tree: stack.Open(root), Journal: journal, Scratch: scratch}
	if h.SSHD, err = sshd.Find(root); err != nil && !errors.Is(err, sshd.ErrNone) {
		x.unseen("setup", "whether sshd is still as totpctl setup made it: %v", err)
	}
	for _, d := range plan.Missing(x.ctx, h, plan.Wanted(journal.Records(), journal.Tools())) {
		file, _, _ := strings.Cut(d.Where, ":")
		if d.First != "" && strings.HasPrefix(file, "/etc/ssh/") && x.hasFound("sshd") {
			continue // that says more
		}
		files = append(files, file)
		remedy := d.Command
		switch {
		case d.Unclear:
			command, _, _ := strings.Cut(putBack(journal, file), "  #")
			remedy = command + " && " + remedy
		case d.First != "" && strings.HasPrefix(file, "/etc/ssh/") && file != d.Where: // a line that counts before ours
			line, _ := strings.CutPrefix(d.Where, file+":")
			remedy = "sed -i '" + line + "d' " + shell(file) + " && /usr/sbin/sshd -t && " + x.reloadSSHD()
		case d.First != "":
			remedy = d.First + "; then: " + remedy
		}
		x.found("setup-lost", d.Where, remedy, "%s: %s", d.Where, d.What)
	}
	return files
}

// putBack is the command that makes a file what it was before totpctl setup.
func putBack(journal *change.Journal, file string) string {
	for _, r := range journal.Records() {
		if r.Path == file && r.Backup != "" {
			return "cp " + shell(path.Join(change.Dir, r.Backup)) + " " + shell(file) + "  # what was changed in it since is lost"
		}
	}
	return "rm " + shell(file) + "  # there was none before totpctl setup"
}

func (x *exam) judgeRecord(journal *change.Journal, r change.Record) {
	_, edited, err := journal.Base(r.Path)
	if err != nil {
		return // it is stuck
	}
	switch state := journal.State(r.Path); {
	case state == change.Made:
	case state == change.Before:
		x.found("setup-changed", r.Path, "totpctl setup --check  # tells whether anything is missing for that",
			"%s is as it was before totpctl setup, which needs no change in it any more", r.Path)
	case state == change.Was:
		x.found("setup-unfinished", r.Path, "totpctl setup --undo", "totpctl setup was stopped half-way: %s isn't yet as it should be", r.Path)
	case edited:
		x.found("setup-changed", r.Path, "totpctl setup --undo --dry-run  # shows what would be taken back",
			"%s was changed after totpctl setup; --undo takes out its own lines alone", r.Path)
	}
}
