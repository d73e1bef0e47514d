package plan

import (
	"errors"
	"os"
	"path/filepath"
)

// NewScratch makes a directory for copies. It looks first where nobody else can rename it: TMPDIR may be
// somebody's home, and its owner could put other files in the place of the copies that root tries. A full /run or
// /tmp must not keep --undo from its work.
func NewScratch() (dir string, err error) {
	for _, in := range []string{"/tmp", "/run", "/dev/shm", ""} {
		var failed error
		if dir, failed = os.MkdirTemp(in, "totpctl-"); failed == nil {
			if failed = hasRoom(dir); failed == nil {
				return dir, nil
			}
			os.RemoveAll(dir)
		}
		err = errors.Join(err, failed)
	}
	return "", err
}

// room is more than the copies of one host's files need.
const room = 512 << 10

// hasRoom tries whether files can be written to a directory: on a full disk one can often still be made.
func hasRoom(dir string) error {
	name := filepath.Join(dir, "room")
	return errors.Join(os.WriteFile(name, make([]byte, room), 0o600), os.Remove(name))
}
