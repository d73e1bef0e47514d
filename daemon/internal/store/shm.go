package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// SQLite maps PATH-shm, the index of its log, into memory. It makes that file longer by one byte in each page of
// 4 kB, so with smaller blocks the file is sparse. A write to a hole on a full file system kills the process
// (SIGBUS), so here the blocks are had beforehand, or the store is refused.
const (
	pageSize    = 4096
	regionSize  = 32 << 10 // of PATH-shm
	regionLeast = 4062     // frames of the log that a region holds, at least
	regionsMore = 4        // of a log of 67 MB
	slack       = 16 << 10 // what the files beside it take before the blocks are allocated
)

// room returns an error of ENOSPC unless there is space for the index of the log at path.
func room(path string) error {
	if small, err := smallBlocks(path); err != nil || !small {
		return err
	}
	need := int64(regionSize)
	if log, err := os.Stat(path + "-wal"); err == nil {
		need += log.Size() / (regionLeast * frameSize) * regionSize
	}
	if open, err := clearIndex(path); err != nil || open {
		return spaceless(err)
	}
	// By writing, which also a quota may refuse.
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".room.*")
	if err == nil {
		_, err = f.Write(make([]byte, need+slack))
		err = errors.Join(err, f.Close(), os.Remove(f.Name()))
	}
	return spaceless(err)
}

// clearIndex empties what a process that was killed has left of the index, as SQLite is going to do: its blocks can be
// had again once that is on the disk. It says whether another process has the index open, and its blocks.
func clearIndex(path string) (open bool, err error) {
	f, err := os.OpenFile(path+"-shm", os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	// The lock that each process holds which has it open (UNIX_SHM_DMS of SQLite's os_unix.c).
	lock := unix.Flock_t{Type: unix.F_WRLCK, Whence: unix.SEEK_SET, Start: 128, Len: 1}
	switch err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &lock); {
	case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EACCES):
		return true, nil
	case err != nil:
		return false, err
	}
	return false, errors.Join(f.Truncate(0), f.Sync())
}

// fillIndex gives the index of the log at path all its blocks. A connection must be open, and stay open for longer
// than the file that is returned: to close a file takes the locks away that SQLite has on it in this process.
func fillIndex(path string) (*os.File, error) {
	f, err := os.OpenFile(path+"-shm", os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	small, err := smallBlocks(path)
	if err != nil || !small {
		return f, err
	}
	info, err := f.Stat()
	if err == nil {
		err = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, max(info.Size(), regionSize))
	}
	if err == nil {
		// Also for a log that grows while somebody reads for long. Without the space for it, that can't grow so far.
		_ = unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_KEEP_SIZE, 0, regionsMore*regionSize)
	}
	return f, spaceless(err)
}

// smallBlocks says whether the blocks of the file system are smaller than what SQLite allocates by.
func smallBlocks(path string) (bool, error) {
	var disk unix.Statfs_t
	err := unix.Statfs(filepath.Dir(path), &disk)
	return disk.Bsize < pageSize, err
}

// errNoSpace is what is said where a file can't be made or made longer.
var errNoSpace = errors.New("no space left: free some on the file system of the store; what is stored is safe, and no restart is needed")

// spaceless says ENOSPC in the words of a full disk.
func spaceless(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		cause := err
		if wrong := new(fs.PathError); errors.As(err, &wrong) {
			cause = wrong.Err
		}
		return fmt.Errorf("%w (%w)", errNoSpace, cause)
	}
	return err
}
