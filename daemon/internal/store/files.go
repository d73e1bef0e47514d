package store

import "golang.org/x/sys/unix"

// files are the database and its log, as they were opened.
type files struct{ database, log inode }

type inode struct{ dev, ino uint64 }

func filesAt(path string) (f files, err error) {
	if f.database, err = inodeAt(path); err == nil {
		f.log, err = inodeAt(path + "-wal")
	}
	return f, err
}

func inodeAt(path string) (inode, error) {
	var st unix.Stat_t
	err := unix.Stat(path, &st)
	return inode{uint64(st.Dev), st.Ino}, err
}

// there returns an error unless the files at path are still these. It costs two system calls.
func (f files) there(path string) error {
	if now, err := filesAt(path); err != nil || now != f {
		return ErrReplaced
	}
	return nil
}
