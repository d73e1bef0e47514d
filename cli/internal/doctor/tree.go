package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// File is what is known of a file without opening it.
type File struct {
	Path  string `json:"path"`
	Mode  string `json:"mode"`  // octal, as chmod takes it
	Owner string `json:"owner"` // a uid
	Size  int64  `json:"size"`  // bytes

	info fs.FileInfo
	uid  uint32
	gid  uint32
}

// stat looks at a path of the host, at a symbolic link itself.
func (x *exam) stat(path string) (*File, error) {
	info, err := os.Lstat(x.path(path))
	if err != nil {
		return nil, err
	}
	return fileOf(path, info), nil
}

// follow is stat of what a symbolic link leads to. In a tree, absolute links lead out of it.
func (x *exam) follow(path string) (*File, error) {
	info, err := os.Stat(x.path(path))
	if err != nil {
		return nil, err
	}
	return fileOf(path, info), nil
}

func fileOf(path string, info fs.FileInfo) *File {
	f := &File{Path: path, Mode: fmt.Sprintf("%04o", info.Mode().Perm()), Size: info.Size(), info: info}
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		f.uid, f.gid = s.Uid, s.Gid
	}
	f.Owner = strconv.FormatUint(uint64(f.uid), 10)
	return f
}

// changed is when the file was written or put in its place: a copy may bring the time of its original.
func (f *File) changed() time.Time {
	at := f.info.ModTime()
	if s, ok := f.info.Sys().(*syscall.Stat_t); ok {
		if status := time.Unix(s.Ctim.Unix()); status.After(at) {
			return status
		}
	}
	return at
}

// perm is the file's mode bits.
func (f *File) perm() fs.FileMode { return f.info.Mode().Perm() }

// exists tells whether a path is there; what can't be looked at isn't.
func (x *exam) exists(path string) bool {
	_, err := x.stat(path)
	return err == nil
}

// hidden tells whether an error is for lack of rights.
func hidden(err error) bool { return errors.Is(err, fs.ErrPermission) }

// missing tells whether an error is for want of the file, or of a directory on the way to it.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// cause is an error without the path, which the text names.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

func parseUID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	return uint32(n), err
}

// output is what a program wrote.
type output struct{ out, err string }

// run runs a program of the host, for at most patience. Its error is *exec.ExitError when it failed by
// itself.
func (x *exam) run(path string, args ...string) (output, error) {
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, x.path(path), args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C"}
	var out, errout strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &errout
	cmd.WaitDelay = patience
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("no end within %v", patience)
	}
	return output{out.String(), errout.String()}, err
}

// shell quotes a word for a shell to take literally.
func shell(word string) string {
	plain := func(r rune) bool {
		return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+:@,=", r)
	}
	if word != "" && strings.IndexFunc(word, func(r rune) bool { return !plain(r) }) < 0 {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
