package doctor

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
)

// setupJournal is where totpctl setup notes what it has changed.
const setupJournal = "/var/lib/totpd-setup/journal.json"

// change is what the journal knows of a file. The sums are of SHA-256, empty where there was no file.
type change struct {
	Path   string `json:"path"`
	Before string `json:"before"` // what was there
	After  string `json:"after"`  // what setup made of it
	Was    string `json:"was"`    // what it was when setup wrote it last
}

// lookSetup compares what setup has noted with what is there, since --undo goes by its notes.
func (x *exam) lookSetup() {
	text, err := os.ReadFile(x.path(setupJournal))
	switch {
	case missing(err):
		return // setup was never run, or all was taken back
	case err != nil:
		x.unseen("setup", "%s is for root to look at", setupJournal)
		return
	}
	var journal struct {
		Records []change `json:"records"`
	}
	if err := json.Unmarshal(text, &journal); err != nil {
		x.found("setup-unreadable", setupJournal, "take back by hand what totpctl setup did; its copies are beside the file",
			"the notes of totpctl setup can't be read, so --undo can't take anything back: %v", err)
		return
	}
	for _, c := range journal.Records {
		x.judgeChange(c)
	}
	x.fine("setup", "the files are as totpctl setup left them")
}

func (x *exam) judgeChange(c change) {
	now, err := x.sum(c.Path)
	switch {
	case err != nil:
		x.unseen("setup", "%s can't be read: %v", c.Path, cause(err))
	case now == c.After:
	case now == c.Was:
		x.found("setup-unfinished", c.Path, "totpctl setup --undo", "totpctl setup was stopped half-way: %s isn't yet as it should be", c.Path)
	case now == c.Before:
		x.found("setup-changed", c.Path, "totpctl setup --undo  # when the rest is to be taken back too",
			"%s was put back to what it was before totpctl setup", c.Path)
	default:
		x.found("setup-changed", c.Path, "totpctl setup --undo --dry-run  # shows what would be taken back of it",
			"%s was changed after totpctl setup", c.Path)
	}
}

// sum is the SHA-256 of a file, empty where there is none.
func (x *exam) sum(path string) (string, error) {
	text, err := os.ReadFile(x.path(path))
	if missing(err) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:]), nil
}
