package seal

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// credentialName is what the unit's LoadCredential= or LoadCredentialEncrypted= calls the key.
const credentialName = "totpd.key"

// fileSize is that of a key file: the key in hexadecimal and a newline, which may be missing.
const fileSize = 2*keySize + 1

// Credential returns the path of the key that systemd handed to this process, and whether it did. One that
// can't be looked at is one all the same: another key in its place would leave the store sealed with two.
func Credential() (path string, ok bool) {
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", false
	}
	path = filepath.Join(dir, credentialName)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return "", false
	}
	return path, true
}

// Load reads the key from a file that nobody else may read: regular, not a symbolic link, root's or
// ours. Only systemd's credential may be readable by the group, as systemd makes it so for the user
// of the unit. A file that is missing is an error that wraps fs.ErrNotExist.
func Load(path string) (*Key, error) {
	k, err := load(path)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	return k, nil
}

func load(path string) (*Key, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, errors.New("a symbolic link: name the file that it leads to")
	}
	if err != nil {
		return nil, cause(err)
	}
	defer f.Close()
	if err := private(f, path); err != nil {
		return nil, err
	}
	content, err := io.ReadAll(io.LimitReader(f, fileSize+1))
	if err != nil {
		return nil, cause(err)
	}
	defer clear(content)
	return parse(bytes.TrimSuffix(content, []byte("\n")))
}

// parse reads the digits of a key.
func parse(digits []byte) (*Key, error) {
	master := make([]byte, keySize)
	defer clear(master)
	if len(digits) != 2*keySize {
		return nil, fmt.Errorf("not a key: it must be one line of %d hexadecimal digits; restore it from a backup", 2*keySize)
	}
	if _, err := hex.Decode(master, digits); err != nil {
		return nil, fmt.Errorf("not a key: a character that is no hexadecimal digit; restore it from a backup")
	}
	return newKey(master)
}

// private refuses an open file that others than we and root had a hand in.
func private(f *os.File, path string) error {
	info, err := f.Stat()
	if err != nil {
		return cause(err)
	}
	forbidden := fs.FileMode(0o077)
	if credential, ok := Credential(); ok && filepath.Clean(path) == credential {
		forbidden = 0o037
	}
	owner, me := info.Sys().(*syscall.Stat_t).Uid, os.Geteuid()
	switch {
	case !info.Mode().IsRegular():
		return errors.New("not a file")
	case info.Mode().Perm()&forbidden != 0:
		return fmt.Errorf("others may read or write it: mend it with chmod 0600 %s, and think about who has read it", path)
	case owner != 0 && int(owner) != me:
		return errors.New("it belongs to another user: mend it with chown")
	}
	return nil
}

// LoadOrCreate reads the key like Load. Where there is no file and mayCreate says that nothing is
// sealed yet, it makes a new key in a new file of mode 0600, in a directory that exists.
func LoadOrCreate(path string, mayCreate bool) (*Key, error) {
	k, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	if !mayCreate {
		return nil, fmt.Errorf("%w, and the store is sealed with a key: restore the key from a backup", err)
	}
	master := make([]byte, keySize)
	defer clear(master)
	rand.Read(master) // never fails
	if err := create(path, master); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make key %s: %w", path, cause(err))
	}
	return Load(path)
}

// create writes a key to a new file that comes into being whole. It never overwrites one.
func create(path string, master []byte) error {
	dir := filepath.Dir(path)
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("directory %s is missing: make it with install -d -m 0700 -o totpd -g totpd %s", dir, dir)
	}
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o022 != 0 {
		return fmt.Errorf("others may write to directory %s: mend it with chmod go-w %s", dir, dir)
	}
	f, err := os.CreateTemp(dir, ".totpd.key.*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	line := append(hex.AppendEncode(nil, master), '\n')
	defer clear(line)
	if _, err := f.Write(line); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// cause is the error without the path, which the caller names.
func cause(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	var l *os.LinkError
	if errors.As(err, &l) {
		return l.Err
	}
	return err
}
