// Package change changes files of /etc so that it can be taken back. Before anything is touched, what is
// there is kept and what will be is noted, so that Undo finds its way wherever it stopped. A change is made
// whole or not at all.
//
// What taking back promises: a file that nobody has touched since is as it was, to the byte; in one that
// somebody has edited, only our own lines go. Where those can't be told from the rest, nothing is touched.
package change

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Dir is where backups and the journal are, below the root.
const Dir = "/var/lib/totpd-setup"

// Record is what the journal knows of a changed file.
type Record struct {
	Path   string    `json:"path"`
	Backup string    `json:"backup,omitempty"` // the copy of what was there, in Dir; empty: there was no file
	Before string    `json:"before,omitempty"` // sha256 of it
	After  string    `json:"after,omitempty"`  // sha256 of what we made; empty: no file
	Was    string    `json:"was,omitempty"`    // sha256 of what it was when we last wrote it
	Mode   string    `json:"mode,omitempty"`
	Owner  string    `json:"owner,omitempty"` // uid:gid
	Edits  []Edit    `json:"edits,omitempty"`
	Since  time.Time `json:"since"`
	Why    string    `json:"why"` // the command
}

// contents of journal.json.
type contents struct {
	Version int      `json:"version"`
	Records []Record `json:"records"`
	Tools   []string `json:"tools,omitempty"` // what programs of the host's did for us; the caller knows how to undo it
}

// Journal is the memory of what was changed. One process at a time has it.
type Journal struct {
	root string
	lock *os.File // nil after Look
	contents
}

// ErrBusy says that another process has the journal.
var ErrBusy = errors.New("another totpctl setup is at work")

// Open opens the journal of the host whose root directory this is.
func Open(root string) (*Journal, error) {
	j := &Journal{root: root, contents: contents{Version: 1}}
	if err := j.open(); err != nil {
		return nil, fmt.Errorf("open the record of changes: %w", err)
	}
	return j, nil
}

// Look returns the journal to read in, without making or holding it. It is for whoever applies nothing.
func Look(root string) (*Journal, error) {
	j := &Journal{root: root, contents: contents{Version: 1}}
	if err := j.load(); err != nil {
		return nil, fmt.Errorf("read the record of changes: %w", err)
	}
	return j, nil
}

func (j *Journal) open() (err error) {
	dir := filepath.Join(j.root, Dir)
	if err := private(dir); err != nil {
		return err
	}
	name := filepath.Join(dir, "lock")
	if j.lock, err = os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600); noRoom(err) {
		j.lock, err = os.Open(name)
	}
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			j.lock.Close()
		}
	}()
	if err := unix.Flock(int(j.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return ErrBusy
	}
	return j.load()
}

// private makes a directory that is root's alone. Where it is so already, nothing is written.
func private(dir string) error {
	if at, err := os.Lstat(dir); err == nil && at.IsDir() && at.Mode().Perm() == 0o700 {
		return nil
	}
	return errors.Join(os.MkdirAll(dir, 0o700), os.Chmod(dir, 0o700))
}

// Exists tells whether there is a journal, without making one.
func Exists(root string) bool {
	_, err := os.Stat(filepath.Join(root, Dir, journalName))
	return err == nil
}

// Busy tells whether a process has the journal open: Open would fail.
func Busy(root string) bool {
	f, err := os.Open(filepath.Join(root, Dir, "lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(unix.Flock(int(f.Fd()), unix.LOCK_SH|unix.LOCK_NB), unix.EWOULDBLOCK)
}

const journalName = "journal.json"

// Close lets others have the journal.
func (j *Journal) Close() error {
	if j.lock == nil {
		return nil
	}
	return j.lock.Close()
}

func (j *Journal) load() error {
	name := filepath.Join(j.root, Dir, journalName)
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		err = d.Decode(&j.contents)
	}
	if err == nil && j.Version != 1 {
		err = fmt.Errorf("version %d is of another totpctl", j.Version)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return nil
}

func (j *Journal) save(c contents) error {
	text, err := json.MarshalIndent(c, "", "\t")
	if err == nil {
		err = writeFile(filepath.Join(j.root, Dir, journalName), append(text, '\n'))
	}
	if err == nil {
		j.contents = c
	}
	return err
}

// Records are of the files that are changed now.
func (j *Journal) Records() []Record { return slices.Clone(j.contents.Records) }

// Tools are what programs of the host's did for us and have to take back.
func (j *Journal) Tools() []string { return slices.Clone(j.contents.Tools) }

// Empty tells that nothing is left to take back.
func (j *Journal) Empty() bool { return len(j.contents.Records) == 0 && len(j.contents.Tools) == 0 }

// State is which of the texts that the journal knows a file has.
type State int

// The states. Of one that others have edited, none is known.
const (
	Edited State = iota
	Made         // by the last change
	Before       // it
	Was          // what it was when the last change began
)

// State returns that of a file.
func (j *Journal) State(path string) State {
	r, known := j.record(path)
	now, err := j.Read(path)
	switch {
	case !known || err != nil:
	case sum(now) == r.After:
		return Made
	case sum(now) == r.Before:
		return Before
	case sum(now) == r.Was:
		return Was
	}
	return Edited
}

func (j *Journal) record(path string) (Record, bool) {
	i := slices.IndexFunc(j.contents.Records, func(r Record) bool { return r.Path == path })
	if i < 0 {
		return Record{}, false
	}
	return j.contents.Records[i], true
}

// Read returns the present text of a file, nil where there is none.
func (j *Journal) Read(path string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(j.root, path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && text == nil {
		text = []byte{}
	}
	return text, err
}

// Base returns the text of a file without our lines, nil where there would be no file: of one that we never
// changed, or that others have put back or replaced, the text that it has. edited tells that somebody has changed it after us. The error is
// ErrUnclear, or that the file or its backup can't be read.
func (j *Journal) Base(path string) (base []byte, edited bool, err error) {
	now, err := j.Read(path)
	if err != nil {
		return nil, false, err
	}
	r, known := j.record(path)
	switch {
	case !known:
		return now, false, nil
	case sum(now) == r.Before: // it was put back already, or never changed
		return now, false, nil
	case sum(now) == r.After, sum(now) == r.Was: // the latter when we were stopped half-way
		base, err := j.backup(r)
		if err == nil || now == nil {
			return base, false, err
		}
		// Without the backup, the lines that were put there are known all the same.
	case now == nil:
		return nil, true, nil
	}
	if base, err = Revert(now, r.Edits); err != nil {
		if base, err = j.without(now, r); err == nil && base == nil {
			base = []byte{} // emptied, not gone
		}
	}
	if err == nil && r.Before == "" && len(bytes.TrimSpace(base)) == 0 {
		base = nil
	}
	return base, true, err
}

// without returns a text in which nothing of ours counts any more: the file was put back or replaced, or our
// lines were taken out or commented out. What is left of our remarks goes. A line that has a word of ours which
// the file didn't have before is ours, changed: it can't be told what is whose.
func (j *Journal) without(now []byte, r Record) ([]byte, error) {
	before, err := j.backup(r)
	if err != nil {
		return nil, err
	}
	var words, remarks []string
	for _, e := range r.Edits {
		for _, line := range e.Add {
			if strings.HasPrefix(strings.TrimSpace(line), "#") {
				remarks = append(remarks, line)
				continue
			}
			for word := range strings.FieldsSeq(line) {
				if !bytes.Contains(before, []byte(word)) {
					words = append(words, word)
				}
			}
		}
	}
	lines := split(now)
	for _, line := range lines {
		counts := !strings.HasPrefix(strings.TrimSpace(line), "#")
		if counts && slices.ContainsFunc(words, func(word string) bool { return strings.Contains(line, word) }) {
			return nil, ErrUnclear
		}
	}
	return join(slices.DeleteFunc(lines, func(line string) bool { return slices.Contains(remarks, line) })), nil
}

func (j *Journal) backup(r Record) ([]byte, error) {
	if r.Backup == "" {
		return nil, nil
	}
	text, err := os.ReadFile(filepath.Join(j.root, Dir, r.Backup))
	if err != nil {
		return nil, fmt.Errorf("read the backup of %s: %w", r.Path, err)
	}
	if text == nil {
		text = []byte{}
	}
	if sum(text) != r.Before {
		return nil, fmt.Errorf("the backup of %s, %s, was changed", r.Path, filepath.Join(Dir, r.Backup))
	}
	return text, nil
}

// sum names a text; empty: no file.
func sum(text []byte) string {
	if text == nil {
		return ""
	}
	s := sha256.Sum256(text)
	return hex.EncodeToString(s[:])
}
