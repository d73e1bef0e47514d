package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/totpd/totpd/cli/internal/foreign"
)

// keptFile is a file of another program's, as it was read.
type keptFile struct {
	text    string
	owner   uint32
	mode    fs.FileMode
	written time.Time
}

// byteOrderMark is what editors of other systems begin a text with.
const byteOrderMark = "\ufeff"

// readNamed reads a file that is no link, no pipe and no longer than most bytes. It never waits for anybody.
func readNamed(path string, most int64) (keptFile, error) {
	f, err := readKept(path, most)
	if err != nil {
		return f, fmt.Errorf("read %s: %w", printable(path), err)
	}
	return f, nil
}

func readKept(path string, most int64) (keptFile, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_NOCTTY|syscall.O_CLOEXEC, 0)
	var wrong *fs.PathError
	switch {
	case errors.Is(err, syscall.ELOOP):
		return keptFile{}, errors.New("a symbolic link: name the file that it leads to")
	case errors.As(err, &wrong):
		return keptFile{}, wrong.Err
	case err != nil:
		return keptFile{}, err
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, whatever the name is by now
	if err != nil {
		return keptFile{}, err
	}
	switch {
	case !info.Mode().IsRegular():
		return keptFile{}, errors.New("not a file")
	case info.Size() > most:
		return keptFile{}, fmt.Errorf("longer than %d bytes", most)
	}
	text, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return keptFile{}, err
	}
	if int64(len(text)) > most {
		return keptFile{}, fmt.Errorf("longer than %d bytes", most)
	}
	return keptFile{strings.TrimPrefix(string(text), byteOrderMark), info.Sys().(*syscall.Stat_t).Uid, info.Mode().Perm(), info.ModTime()}, nil
}

// belongsTo returns whose state file it is: the owner's, or of one that root keeps that of the user whose
// name it has. A file of somebody else is nobody's: a link to it would make its secret another user's.
func (f keptFile) belongsTo(named, path string) (string, error) {
	if f.owner == 0 {
		switch base := filepath.Base(path); {
		case named != "":
			return named, nil
		case base != stateFile:
			return strings.TrimPrefix(base, "."), nil
		}
	}
	owner, err := user.LookupId(strconv.Itoa(int(f.owner)))
	switch {
	case err != nil:
		return named, fmt.Errorf("its owner, uid %d, has no name on this host", f.owner)
	case named != "" && named != owner.Username:
		return named, fmt.Errorf("it belongs to %s, who could choose the secret: chown it to root first", printable(owner.Username))
	}
	return owner.Username, nil
}

// tellMode notes that others can read it.
func (f keptFile) tellMode(found *foreign.Found) {
	if f.mode&0o077 != 0 {
		found.Notes = append(found.Notes, "others than its owner may read or write the file: the secret may be known to them")
	}
}

// unreadable is a user whose file can't be read.
func unreadable(user, path string, err error) foreign.Found {
	f := foreign.Found{Places: []string{path}, Refused: []string{err.Error()}}
	f.User = user
	return f
}
