package home

import (
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// linksMax is how many links may be on the way to a file.
const linksMax = 40

// Place is where a file is.
type Place struct {
	Path  string // absolute, without the links on root's part of the way
	Owner *Owner // of the first directory on the way that isn't root's; nil: all are
}

// Locate goes the way to a file, up to the first directory that isn't root's. It looks at nothing below that:
// what is there is its owner's, and read with the owner's rights alone.
func Locate(path string) (Place, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return Place{}, err
	}
	links := 0
	for done := "/"; ; {
		rest, err := filepath.Rel(done, path)
		if err != nil {
			return Place{}, err
		}
		first, more, deeper := strings.Cut(rest, "/")
		if !deeper {
			return Place{Path: path}, nil
		}
		next := filepath.Join(done, first)
		info, err := os.Lstat(next)
		if err != nil {
			return Place{Path: path}, nil // the reader says why
		}
		stat := info.Sys().(*syscall.Stat_t)
		switch {
		case info.Mode()&os.ModeSymlink != 0:
			if links++; links > linksMax {
				return Place{}, syscall.ELOOP
			}
			to, err := os.Readlink(next)
			if err != nil {
				return Place{}, errors.Unwrap(err)
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(done, to)
			}
			path, done = filepath.Join(to, more), "/"
		case stat.Uid != 0:
			return Place{path, ownerOf(stat.Uid, stat.Gid)}, nil
		default:
			done = next
		}
	}
}

// ownerOf is the owner of a directory. A uid without a name has the directory's group.
func ownerOf(uid, gid uint32) *Owner {
	u, err := user.LookupId(strconv.Itoa(int(uid)))
	if err != nil {
		return &Owner{"", uid, gid}
	}
	own, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return &Owner{"", uid, gid}
	}
	return &Owner{u.Username, uid, uint32(own)}
}

// ReadNamed reads a file that a person names: below a directory that isn't root's with its owner's rights,
// where root asks, else with those of this process.
func ReadNamed(path string, most int64) (File, Place, error) {
	place, err := Locate(path)
	if err != nil {
		return File{}, place, err
	}
	var f File
	if place.Owner != nil && os.Geteuid() == 0 {
		f, err = Read(*place.Owner, Wanted{Path: place.Path, Most: most})
	} else {
		f, err = Regular(path, most)
	}
	return f, place, err
}

// OpenNamed opens a file that root names and that may be too long to be read by another process, for root itself: a
// regular file, and below a directory that isn't root's only without a link on the way.
func OpenNamed(path string) (*os.File, error) {
	place, err := Locate(path)
	if err != nil {
		return nil, err
	}
	how := unix.OpenHow{Flags: unix.O_RDONLY | unix.O_NONBLOCK | unix.O_NOCTTY | unix.O_CLOEXEC}
	if place.Owner != nil {
		how.Resolve = unix.RESOLVE_NO_SYMLINKS
	}
	fd, err := unix.Openat2(unix.AT_FDCWD, place.Path, &how)
	switch {
	case errors.Is(err, unix.ELOOP):
		return nil, errLink
	case err != nil:
		return nil, err
	}
	f := os.NewFile(uintptr(fd), path)
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		f.Close()
		return nil, errors.Join(err, errNoFile)
	}
	return f, nil
}
