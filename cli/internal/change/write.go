package change

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// noRoom tells whether a file system takes nothing more.
func noRoom(err error) bool {
	return errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) || errors.Is(err, unix.EROFS)
}

// writeFile puts text in place of a file, whole or not at all, also when the machine stops half-way. Owner,
// mode and extended attributes (an SELinux label, an access list) are those of the file before; a new file
// is root's, with mode 0644. On a full disk, a text that needs no more room than the one before is written over it.
func writeFile(name string, text []byte) error {
	err := replaceFile(name, text)
	if !noRoom(err) {
		return err
	}
	if at, statErr := os.Lstat(name); statErr != nil || !at.Mode().IsRegular() || at.Size() < int64(len(text)) {
		return err
	}
	f, openErr := os.OpenFile(name, os.O_WRONLY, 0)
	if openErr != nil {
		return err
	}
	if overErr := errors.Join(write(f, text), f.Truncate(int64(len(text))), f.Sync(), f.Close()); overErr != nil {
		return errors.Join(err, overErr)
	}
	return nil
}

func replaceFile(name string, text []byte) (err error) {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".totpd-")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, plain(err))
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("write %s: %w", name, plain(err)), os.Remove(tmp.Name()))
		}
	}()
	if err := errors.Join(likeBefore(tmp, name), write(tmp, text), tmp.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func write(f *os.File, text []byte) error {
	if _, err := f.Write(text); err != nil {
		return err
	}
	return f.Sync()
}

// removeFile removes a file, for good when it returns.
func removeFile(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// likeBefore gives f what belongs to the file of this name beside its text.
func likeBefore(f *os.File, name string) error {
	st, err := os.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return f.Chmod(0o644)
	}
	if err != nil {
		return err
	}
	var own unix.Stat_t
	if err := unix.Lstat(name, &own); err != nil {
		return err
	}
	if err := f.Chown(int(own.Uid), int(own.Gid)); err != nil {
		return err
	}
	if err := f.Chmod(st.Mode().Perm()); err != nil {
		return err
	}
	return copyAttributes(f, name)
}

// copyAttributes copies the extended attributes that the file system has and lets be set.
func copyAttributes(f *os.File, name string) error {
	list := make([]byte, 64<<10)
	n, err := unix.Llistxattr(name, list)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("list the extended attributes: %w", err)
	}
	for attribute := range strings.SplitSeq(strings.TrimSuffix(string(list[:n]), "\x00"), "\x00") {
		if attribute == "" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(name, attribute, value)
		if err == nil {
			err = unix.Fsetxattr(int(f.Fd()), attribute, value[:n], 0)
		}
		if err != nil && !errors.Is(err, unix.ENOTSUP) && !errors.Is(err, unix.ENODATA) {
			return fmt.Errorf("keep the extended attribute %s: %w", attribute, err)
		}
	}
	return nil
}

// plain takes a path out of an error where the caller names the file.
func plain(err error) error {
	if p := new(fs.PathError); errors.As(err, &p) {
		return p.Err
	}
	return err
}

// The flags of chattr(1) that stop even root: +i and +a. From linux/fs.h.
const immutable, appendOnly = 0x10, 0x20

// Immutable tells whether a file can't be changed even by root.
func Immutable(name string) bool {
	f, err := os.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	flags, err := unix.IoctlGetInt(int(f.Fd()), unix.FS_IOC_GETFLAGS)
	return err == nil && flags&(immutable|appendOnly) != 0
}
