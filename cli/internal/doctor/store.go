package doctor

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// Space is the room on a file system.
type Space struct {
	Free     uint64 `json:"free"`        // bytes, for others than root
	Inodes   uint64 `json:"inodes"`      // in all; 0: the file system doesn't count them
	Left     uint64 `json:"inodes_left"` // free ones
	ReadOnly bool   `json:"read_only"`
	Network  bool   `json:"network"` // other hosts may have it open too
}

// Limits of the room on the store's file system, in bytes. A million accounts take 700 MB; one login takes
// a few kilobytes of a log that is laid out already.
const (
	spaceLeast = 4 << 20
	spaceLow   = 64 << 20
	inodesLow  = 64
	logMost    = 64 << 20 // of the write-ahead log, which has 3 MB in peace and 8 under load
)

// Store is the daemon's store.
type Store struct {
	Directory File  `json:"directory"`
	Database  *File `json:"database,omitempty"`
	Log       *File `json:"log,omitempty"` // SQLite's write-ahead log
	Space     Space `json:"space"`
}

// lookStore looks at the database's files, and at the room that they have.
func (x *exam) lookStore() {
	path := x.settings.Store.Path
	dir := filepath.Dir(path)
	d, err := x.follow(dir)
	switch {
	case missing(err) && x.hasNeverRun():
		return
	case missing(err):
		x.found("store-directory", dir, x.makeDirectory(dir), "the directory of the store is missing")
		return
	case err != nil:
		x.unseen("store", "%s can't be looked at: %v", dir, cause(err))
		return
	}
	s := &Store{Directory: *d}
	x.report.Facts.Store = s
	x.judgeStoreDirectory(d)
	x.lookSpace(dir, s)
	if s.Database, err = x.stored(path); hidden(err) {
		x.unseen("store", "%s is for root to look at", dir)
		return
	}
	if s.Log, err = x.stored(path + "-wal"); err != nil {
		x.unseen("store", "%s-wal can't be looked at: %v", path, cause(err))
	}
	x.judgeDatabase(path, s)
	if s.Database == nil {
		return
	}
	x.fine("store", "%s is as it should be, %s free", path, bytes(s.Space.Free))
}

// harm is what comes of a file that isn't the daemon's. One that runs as root can use it all the same.
func (x *exam) harm(usual string) string {
	if x.owner == 0 {
		return "that user can do as they like with all accounts"
	}
	return usual
}

// makeDirectory is the command that makes the store's directory.
func (x *exam) makeDirectory(dir string) string {
	user, group, _ := strings.Cut(x.who(), ":")
	return "install -d -m 0700 -o " + user + " -g " + group + " " + shell(dir)
}

// stored is nil without an error where there is no such file.
func (x *exam) stored(path string) (*File, error) {
	f, err := x.follow(path)
	if missing(err) {
		return nil, nil
	}
	return f, err
}

// hasNeverRun: systemd makes the directory when the daemon starts for the first time.
func (x *exam) hasNeverRun() bool { return !x.answers && !x.exists(x.settings.Key.File) }

func (x *exam) judgeStoreDirectory(d *File) {
	if x.owned && d.uid != x.owner {
		x.found("store-owner", d.Path, "chown "+x.who()+" "+shell(d.Path),
			"the directory of the store %s: %s", x.notOurs(d), x.harm("the daemon can't write there"))
	}
	switch {
	case d.perm()&0o022 != 0:
		x.found("store-open", d.Path, "chmod 0700 "+shell(d.Path),
			"the mode of the store's directory is %s: whoever may write there can do as they like with all accounts", d.Mode)
	case d.perm() != 0o700:
		x.found("store-mode", d.Path, "chmod 0700 "+shell(d.Path), "the mode of the store's directory is %s, not 0700", d.Mode)
	}
}

func (x *exam) judgeDatabase(path string, s *Store) {
	const anew = "totpctl accept-loss  # only where its file system is mounted and there is no backup for totpctl restore: nobody is enrolled then"
	db := s.Database
	switch {
	case db == nil:
		x.found("store-missing", path, anew, "the database is missing, and nobody gets in where a code is asked for")
		return
	case db.Size == 0:
		x.found("store-empty", path, anew, "the database is empty: its accounts are lost, and the daemon doesn't start")
	}
	for _, f := range []*File{db, s.Log} {
		if f == nil {
			continue
		}
		if f.perm()&0o077 != 0 {
			x.found("store-open", f.Path, "chmod 0600 "+shell(f.Path),
				"the mode of %s is %s: others may read or write the accounts, and the daemon doesn't start", f.Path, f.Mode)
		}
		if x.owned && f.uid != x.owner {
			x.found("store-owner", f.Path, "chown "+x.who()+" "+shell(f.Path),
				"%s %s: %s", f.Path, x.notOurs(f), x.harm("the daemon can't write it"))
		}
	}
	if s.Log != nil && s.Log.Size > logMost {
		x.found("store-log", s.Log.Path, x.restartDaemon(false),
			"SQLite's log has grown to %s: another program has had the database open for long (fuser -v %s), or the disk is slow",
			bytes(uint64(s.Log.Size)), shell(path))
	}
}

// lookSpace is about the file system: what can't be written is refused.
func (x *exam) lookSpace(dir string, s *Store) {
	space, err := x.Space(x.path(dir))
	if err != nil {
		x.unseen("store", "the free space of %s can't be found out: %v", dir, err)
		return
	}
	s.Space = space
	remedy := "df -h " + shell(dir) + "  # remove what isn't needed, or give the file system more room"
	switch {
	case space.ReadOnly:
		x.found("store-readonly", dir, "mount -o remount,rw $(findmnt -no TARGET -T "+shell(dir)+")  # dmesg | tail tells why it became so",
			"the file system of %s is mounted read-only: every code is refused", dir)
	case space.Free < spaceLeast:
		x.found("store-full", dir, remedy, "the file system of %s has %s left: what can't be written is refused", dir, bytes(space.Free))
	case space.Free < spaceLow:
		x.found("store-low", dir, remedy, "the file system of %s has %s left", dir, bytes(space.Free))
	}
	if space.Inodes > 0 && space.Left < inodesLow {
		x.found("store-inodes", dir, "df -i "+shell(dir)+"  # remove files that aren't needed",
			"the file system of %s has %d inodes left: new files can't be made", dir, space.Left)
	}
	if space.Network {
		x.found("store-network", dir, "move it to a local file system: [store] path in "+configFile,
			"%s is on a network file system, where SQLite's log isn't safe", dir)
	}
}

// StatSpace is the Space that the kernel tells of.
func StatSpace(path string) (Space, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return Space{}, err
	}
	network := []int64{unix.NFS_SUPER_MAGIC, unix.SMB_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC, unix.AFS_SUPER_MAGIC}
	size := s.Bsize
	if size <= 0 {
		return Space{}, errors.New("a file system without a block size")
	}
	space := Space{Free: s.Bavail * uint64(size), Inodes: s.Files, Left: s.Ffree, ReadOnly: s.Flags&unix.ST_RDONLY != 0}
	for _, magic := range network {
		space.Network = space.Network || int64(s.Type) == magic
	}
	return space, nil
}

// bytes is a size in words.
func bytes(n uint64) string {
	for _, unit := range []struct {
		size uint64
		name string
	}{{1 << 30, "GB"}, {1 << 20, "MB"}, {1 << 10, "kB"}} {
		if n >= unit.size {
			return fmt.Sprintf("%.1f %s", float64(n)/float64(unit.size), unit.name)
		}
	}
	return fmt.Sprintf("%d bytes", n)
}
