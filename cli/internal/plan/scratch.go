package plan

import (
	"errors"
	"os"
)

// NewScratch makes a directory for copies. It looks first where nobody else can rename it: TMPDIR may be
// somebody's home, and its owner could put other files in the place of the copies that root tries. A full /run or
// /tmp must not keep --undo from its work.
func NewScratch() (dir string, err error) {
	for _, in := range []string{"/tmp", "/run", "/dev/shm", ""} {
		var failed error
		if dir, failed = os.MkdirTemp(in, "totpctl-"); failed == nil {
			return dir, nil
		}
		err = errors.Join(err, failed)
	}
	return "", err
}
