package change

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// File is one file as it is and as it should become.
type File struct {
	Path  string // as the host names it
	Now   []byte // nil: there is none
	After []byte // nil: it goes away
	Base  []byte // without our lines: what taking back restores; nil: no file
	Edits []Edit // what makes After out of Base
}

// Changes tells whether there is anything to do.
func (f File) Changes() bool {
	return (f.Now == nil) != (f.After == nil) || !bytes.Equal(f.Now, f.After)
}

// ErrChanged says that a file isn't what it was when the change was worked out.
var ErrChanged = errors.New("it was changed just now")

// Change is what is done at once.
type Change struct {
	Files []File
	Why   string    // the command, for the record
	At    time.Time // now
	Tools []string  // the journal's afterwards
	// Finish does what must follow the files, such as a reload; its error takes everything back, and it
	// is called again for that. Nil: nothing follows.
	Finish func() error
}

// Apply makes a change, whole or not at all, and keeps it in the journal. A file that is as it would be
// without us leaves the journal.
func (j *Journal) Apply(c Change) error {
	for _, f := range c.Files {
		now, err := j.Read(f.Path)
		if err != nil {
			return err
		}
		if sum(now) != sum(f.Now) {
			return fmt.Errorf("%s: %w", f.Path, ErrChanged)
		}
	}
	before := j.contents
	planned, err := j.planned(c)
	if err != nil {
		return err
	}
	// Both states are in the journal until the change is made, so that it can be taken back from anywhere.
	if err := j.save(merge(before, planned)); err != nil {
		return err
	}
	done, err := j.write(c.Files)
	if err == nil && c.Finish != nil {
		err = c.Finish()
	}
	if err == nil {
		return j.save(planned)
	}
	if backErr := j.rollBack(done, before, c.Finish); backErr != nil {
		return fmt.Errorf("%w; taking it back failed too: %w", err, backErr)
	}
	return fmt.Errorf("%w; everything is as it was before", err)
}

// ErrUnrecorded says that files were taken back, and that the journal doesn't know it.
var ErrUnrecorded = errors.New("the files are taken back, but that can't be recorded")

// TakeBack is Apply for what must be done also where the journal can't be written, as on a full disk. A later
// Undo finds the files as they were before, and drops them from the journal.
func (j *Journal) TakeBack(c Change) error {
	err := j.Apply(c)
	if !noRoom(err) {
		return err
	}
	for _, f := range c.Files {
		if now, readErr := j.Read(f.Path); readErr != nil || sum(now) != sum(f.Now) {
			return errors.Join(err, readErr)
		}
	}
	if _, writeErr := j.write(c.Files); writeErr != nil {
		return writeErr
	}
	return fmt.Errorf("%w: %w", ErrUnrecorded, err)
}

// write writes files in order and returns those that it has begun with.
func (j *Journal) write(files []File) (done []File, err error) {
	for _, f := range files {
		if !f.Changes() {
			continue
		}
		done = append(done, f)
		if err := j.put(f.Path, f.After); err != nil {
			return done, err
		}
	}
	return done, nil
}

func (j *Journal) put(path string, text []byte) error {
	if text == nil {
		return removeFile(filepath.Join(j.root, path))
	}
	return writeFile(filepath.Join(j.root, path), text)
}

func (j *Journal) rollBack(done []File, before contents, finish func() error) error {
	var errs []error
	for _, f := range slices.Backward(done) {
		errs = append(errs, j.put(f.Path, f.Now))
	}
	if finish != nil {
		errs = append(errs, finish())
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return j.save(before)
}

// planned is the journal after the change. It keeps backups, and needs none that a record has already.
func (j *Journal) planned(c Change) (contents, error) {
	after := contents{Version: 1, Records: slices.Clone(j.contents.Records), Tools: c.Tools}
	for _, f := range c.Files {
		old, known := j.record(f.Path)
		after.Records = slices.DeleteFunc(after.Records, func(r Record) bool { return r.Path == f.Path })
		if sum(f.Base) == sum(f.After) {
			if err := j.keep(f, c.At); err != nil { // what is taken back may be wanted again
				return contents{}, err
			}
			continue
		}
		if known { // somebody may have edited what we made
			if err := j.keep(f, c.At); err != nil {
				return contents{}, err
			}
		}
		r := Record{Path: f.Path, Before: sum(f.Base), After: sum(f.After), Was: sum(f.Now), Edits: f.Edits, Since: c.At.UTC(), Why: c.Why}
		if known && old.Before == r.Before {
			r.Backup = old.Backup
		} else if f.Base != nil {
			r.Backup = backupName(f.Path, c.At)
			if err := writeFile(filepath.Join(j.root, Dir, r.Backup), f.Base); err != nil {
				return contents{}, err
			}
		}
		var st unix.Stat_t
		if err := unix.Lstat(filepath.Join(j.root, f.Path), &st); err == nil {
			r.Mode, r.Owner = fmt.Sprintf("%04o", st.Mode&0o7777), fmt.Sprintf("%d:%d", st.Uid, st.Gid)
		}
		after.Records = append(after.Records, r)
	}
	return after, nil
}

// keep saves the present text of a file that is put back, unless we made it as it is.
func (j *Journal) keep(f File, at time.Time) error {
	old, known := j.record(f.Path)
	if f.Now == nil || !f.Changes() || known && (sum(f.Now) == old.After || sum(f.Now) == old.Before) {
		return nil
	}
	return writeFile(filepath.Join(j.root, Dir, backupName(f.Path, at)), f.Now)
}

// merge has the records of both, the later one's where both have one.
func merge(before, after contents) contents {
	all := contents{Version: 1, Records: slices.Clone(after.Records), Tools: slices.Clone(after.Tools)}
	for _, r := range before.Records {
		if !slices.ContainsFunc(after.Records, func(a Record) bool { return a.Path == r.Path }) {
			all.Records = append(all.Records, r)
		}
	}
	for _, t := range before.Tools {
		if !slices.Contains(all.Tools, t) {
			all.Tools = append(all.Tools, t)
		}
	}
	return all
}

// backupName is a file in Dir: of what, and when.
func backupName(path string, at time.Time) string {
	return strings.ReplaceAll(strings.TrimPrefix(path, "/"), "/", ":") + "." + at.UTC().Format("20060102T150405")
}

// Stuck is a file that can't be taken back without a person.
type Stuck struct {
	Path string
	Err  error
}

// Undo works out what takes back everything. It changes nothing; the change is for Apply.
func (j *Journal) Undo() (files []File, stuck []Stuck) {
	for _, r := range slices.Backward(j.contents.Records) {
		now, err := j.Read(r.Path)
		if err != nil {
			stuck = append(stuck, Stuck{r.Path, err})
			continue
		}
		base, _, err := j.Base(r.Path)
		if err != nil {
			stuck = append(stuck, Stuck{r.Path, err})
			continue
		}
		files = append(files, File{Path: r.Path, Now: now, After: base, Base: base})
	}
	return files, stuck
}

// Loosely takes a file back in which our lines were edited: every line that is one of ours, or that ours says
// is, goes. It does so only where our change replaced nothing, and no such line is a part of a longer one.
func (j *Journal) Loosely(path string, ours func(line string) bool) (File, bool) {
	r, known := j.record(path)
	now, err := j.Read(path)
	if !known || err != nil || now == nil || r.Before == "" {
		return File{}, false
	}
	added := map[string]bool{}
	for _, e := range r.Edits {
		if len(e.Remove) > 0 {
			return File{}, false
		}
		for _, line := range e.Add {
			added[line] = true
		}
	}
	var kept []string
	for _, line := range split(now) {
		if !added[line] && !ours(line) {
			kept = append(kept, line)
			continue
		}
		if strings.HasSuffix(strings.TrimRight(line, " \t"), `\`) {
			return File{}, false
		}
	}
	base := join(kept)
	return File{Path: path, Now: now, After: base, Base: base}, true
}

// Forget drops the journal's files when nothing is left in it, but for the backups of what was edited.
func (j *Journal) Forget() error {
	if !j.Empty() {
		return nil
	}
	return removeIfThere(filepath.Join(j.root, Dir, journalName))
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
