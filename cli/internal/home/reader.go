package home

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// verb makes a program that has this package the reader of one file, before its main begins. People don't
// type it; it gives nobody more rights than they have.
const verb = "read-own-file"

func init() {
	if len(os.Args) == 2 && os.Args[1] == verb {
		os.Exit(read())
	}
}

// read is the process that reads.
func read() int {
	var q question
	var a answer
	err := json.NewDecoder(os.Stdin).Decode(&q)
	if err == nil {
		if os.Geteuid() == 0 {
			err = q.become()
		} else {
			q.Path = filepath.Join(q.Root, q.Path) // Root is empty or a test's
		}
	}
	if err == nil {
		a.File, err = q.read()
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		a.Missing = true
	case err != nil:
		a.Error = err.Error()
	}
	if json.NewEncoder(os.Stdout).Encode(a) != nil {
		return 1
	}
	return 0
}

// become gives root's rights up for the owner's, for good.
func (q question) become() error {
	groups := []int{}
	for _, g := range q.Groups {
		groups = append(groups, int(g))
	}
	uid, gid := int(q.UID), int(q.GID)
	if q.Root != "" {
		if err := errors.Join(syscall.Chroot(q.Root), os.Chdir("/")); err != nil {
			return err
		}
	}
	for _, step := range []func() error{
		func() error { return syscall.Setgroups(groups) },
		func() error { return syscall.Setresgid(gid, gid, gid) },
		func() error { return syscall.Setresuid(uid, uid, uid) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	have, err := syscall.Getgroups()
	if uid != 0 && (err != nil || os.Geteuid() != uid || os.Getegid() != gid || syscall.Setuid(0) == nil ||
		slices.ContainsFunc(have, func(g int) bool { return !slices.Contains(groups, g) })) {
		return errors.New("root's rights can't be given up")
	}
	return nil
}

// Regular reads a file that is no link, no pipe and no longer than most bytes, with the rights of this
// process. It never waits for anybody. Its errors don't name the path.
func Regular(path string, most int64) (File, error) {
	return Wanted{Path: path, Most: most}.read()
}

var (
	errLink   = errors.New("a symbolic link: name the file that it leads to")
	errNoFile = errors.New("not a file")
)

func (w Wanted) read() (File, error) {
	flags := os.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_NOCTTY | syscall.O_CLOEXEC
	if w.Links {
		flags &^= syscall.O_NOFOLLOW
	}
	f, err := os.OpenFile(w.Path, flags, 0)
	var wrong *fs.PathError
	switch {
	case errors.Is(err, syscall.ELOOP):
		return File{}, errLink
	case errors.As(err, &wrong):
		return File{}, wrong.Err
	case err != nil:
		return File{}, err
	}
	defer f.Close()
	info, err := f.Stat() // of what was opened, whatever the name is by now
	if err != nil {
		return File{}, err
	}
	switch {
	case !info.Mode().IsRegular():
		return File{}, errNoFile
	case info.Size() > w.Most:
		return File{}, tooLong(w.Most)
	}
	text, err := io.ReadAll(io.LimitReader(f, w.Most+1))
	if err != nil {
		return File{}, err
	}
	if int64(len(text)) > w.Most {
		return File{}, tooLong(w.Most)
	}
	return File{text, info.Sys().(*syscall.Stat_t).Uid, info.Mode().Perm(), info.ModTime()}, nil
}
