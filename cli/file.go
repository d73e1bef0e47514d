package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// newFileHint is for a file that couldn't be made.
const newFileHint = "name a file that doesn't exist yet, in a directory of yours"

// newFile is a file to come, for its owner alone (mode 0600), for what is secret. It never touches one that
// exists, nor follows a link. Its directory is opened once: whatever is done to the path later, the file gets
// into that directory, and nothing but this very file is removed again.
type newFile struct {
	*os.File
	dir   int // O_PATH
	base  string
	named bool // it has its name
}

// createFile begins a file. It gets its name by keep; until then nothing is left of it, whatever happens.
func createFile(path string) (*newFile, error) { return create(path, unix.O_TMPFILE|unix.O_RDWR) }

// create is createFile with the flags of a file without a name. Where the file system has none, the file has
// its name from the beginning.
func create(path string, unnamed int) (*newFile, error) {
	wrong := func(err error) error { return &fs.PathError{Op: "open", Path: path, Err: err} }
	parent, base := filepath.Split(path)
	if parent == "" {
		parent = "."
	}
	if base == "" || base == "." || base == ".." {
		return nil, wrong(unix.EISDIR)
	}
	dir, err := unix.Open(parent, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, wrong(err)
	}
	n := &newFile{dir: dir, base: base}
	if n.exists() {
		unix.Close(dir)
		return nil, wrong(unix.EEXIST)
	}
	fd, err := unix.Openat(dir, ".", unnamed|unix.O_CLOEXEC, 0o600)
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EISDIR) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOENT) {
		fd, err = unix.Openat(dir, base, unix.O_RDWR|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o600)
		n.named = err == nil
	}
	if err != nil {
		unix.Close(dir)
		return nil, wrong(err)
	}
	n.File = os.NewFile(uintptr(fd), path)
	return n, nil
}

func (n *newFile) exists() bool {
	var stat unix.Stat_t
	return unix.Fstatat(n.dir, n.base, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil
}

// keep has the file on the disk, complete and with its name.
func (n *newFile) keep() error {
	if err := n.Sync(); err != nil {
		return err
	}
	if !n.named {
		self := "/proc/self/fd/" + strconv.Itoa(int(n.Fd()))
		err := unix.Linkat(unix.AT_FDCWD, self, n.dir, n.base, unix.AT_SYMLINK_FOLLOW)
		if errors.Is(err, unix.ENOENT) { // without /proc, for root alone
			err = unix.Linkat(int(n.Fd()), "", n.dir, n.base, unix.AT_EMPTY_PATH)
		}
		if err != nil {
			return &fs.PathError{Op: "open", Path: n.Name(), Err: err}
		}
		n.named = true
	}
	if dir, err := unix.Openat(n.dir, ".", unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0); err == nil {
		unix.Fsync(dir)
		unix.Close(dir)
	}
	return nil
}

// doneWith lets go of the file, and removes it after an error: what it was made for didn't happen.
func (n *newFile) doneWith(err error) {
	defer unix.Close(n.dir)
	defer n.Close()
	if err == nil {
		return
	}
	var own, there unix.Stat_t
	if n.named && unix.Fstat(int(n.Fd()), &own) == nil &&
		unix.Fstatat(n.dir, n.base, &there, unix.AT_SYMLINK_NOFOLLOW) == nil &&
		own.Dev == there.Dev && own.Ino == there.Ino {
		unix.Unlinkat(n.dir, n.base, 0)
	}
}
