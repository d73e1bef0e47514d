package doctor

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"path"

	"github.com/totpd/totpd/cli/internal/change"
)

// lookSetup compares what totpctl setup has noted with what is there, since --undo goes by its notes.
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
	_, stuck := journal.Undo()
	for _, s := range stuck {
		x.found("setup-stuck", s.Path, putBack(journal, s.Path), "totpctl setup --undo can't take %s back: %v", s.Path, s.Err)
	}
	for _, r := range journal.Records() {
		x.judgeRecord(journal, r)
	}
	x.fine("setup", "totpctl setup can take back what it changed")
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
	text, _ := journal.Read(r.Path)
	now := ""
	if text != nil {
		sum := sha256.Sum256(text)
		now = hex.EncodeToString(sum[:])
	}
	switch {
	case now == r.After:
	case now == r.Before:
		x.found("setup-changed", r.Path, "totpctl setup --undo  # when the rest is to be taken back too",
			"%s is as it was before totpctl setup", r.Path)
	case now == r.Was:
		x.found("setup-unfinished", r.Path, "totpctl setup --undo", "totpctl setup was stopped half-way: %s isn't yet as it should be", r.Path)
	case edited:
		x.found("setup-changed", r.Path, "totpctl setup --undo --dry-run  # shows what would be taken back",
			"%s was changed after totpctl setup; --undo takes out its own lines alone", r.Path)
	}
}
