package seal

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Copied is a key on its way into a backup or out of one. It prints as redacted, as a Key does.
type Copied struct {
	*Key
	digits func() string // a function, since fmt prints fields without asking Format
}

// Copy reads the key file at path, as Load does, to be put into a backup.
func Copy(path string) (Copied, error) {
	if _, err := Load(path); err != nil {
		return Copied{}, err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return Copied{}, fmt.Errorf("read key %s: %w", path, cause(err))
	}
	defer clear(text)
	return Parse(string(text[:min(len(text), 2*keySize)]))
}

// Parse reads what Digits returned.
func Parse(digits string) (Copied, error) {
	k, err := parse([]byte(digits))
	return Copied{k, func() string { return digits }}, err
}

// Digits is the key itself, for the backup alone.
func (c Copied) Digits() string { return c.digits() }

// Place makes the key the one in the file at path. A key that is there already keeps another name, which is
// returned: nothing is overwritten.
func (c Copied) Place(path string) (before string, err error) {
	master, err := hex.DecodeString(c.digits())
	if err == nil {
		before, err = c.place(path, master)
	}
	clear(master)
	if err != nil {
		return "", fmt.Errorf("put key %s in place: %w", path, cause(err))
	}
	return before, nil
}

// Remove takes back what Place has done, and returned.
func (c Copied) Remove(path, before string) error {
	if before == "" {
		return os.Remove(path)
	}
	return os.Rename(before, path)
}

func (c Copied) place(path string, master []byte) (before string, err error) {
	for n := 1; ; n++ {
		name := path + ".before-restore"
		if n > 1 {
			name = fmt.Sprintf("%s.%d", name, n)
		}
		err := os.Link(path, name)
		if errors.Is(err, fs.ErrPermission) { // somebody else's file, such as root's
			if err = fs.ErrExist; !exists(name) {
				err = os.Rename(path, name)
			}
		}
		if errors.Is(err, fs.ErrExist) && n < 1000 {
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			return "", create(path, master)
		}
		if err != nil {
			return "", err
		}
		before = name
		break
	}
	unfinished := filepath.Join(filepath.Dir(path), "."+filepath.Base(path)+".restored")
	if err := os.Remove(unfinished); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	if err := create(unfinished, master); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, path); err != nil {
		return "", err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	defer dir.Close()
	return before, dir.Sync()
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
