// Package home reads files below people's homes, for root. It is the only way there: in a home its owner can
// put links, pipes and whole file systems in root's way.
//
// Always true: a process with the owner's rights reads, and no more than was asked for; a link, a pipe or a
// device is not read; nobody is waited for longer than Patience, whatever the owner does to that process.
package home

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// ErrSilent is a home that doesn't answer in time, or an owner who stops the process that reads.
var ErrSilent = errors.New("the home doesn't answer")

// Patience is how long a home may take to answer, on a server for instance.
const Patience = 5 * time.Second

// Owner is the user with whose rights a file is read.
type Owner struct {
	Name     string // may be empty: then the user is in no further group
	UID, GID uint32
}

// File is what was read.
type File struct {
	Text    []byte
	Owner   uint32
	Mode    fs.FileMode
	Written time.Time
}

// Wanted is the file to read.
type Wanted struct {
	Root  string `json:"root"`  // of the host; empty: this one
	Path  string `json:"path"`  // absolute, below Root
	Links bool   `json:"links"` // the file may be a link: then what the owner may read of where it leads
	Most  int64  `json:"most"`  // bytes; a longer file is an error
}

// question goes to the process that reads, on its standard input.
type question struct {
	Wanted
	UID    uint32   `json:"uid"`
	GID    uint32   `json:"gid"`
	Groups []uint32 `json:"groups"`
}

// answer comes back on its standard output. It is the owner's word, and no more.
type answer struct {
	File
	Missing bool   `json:"missing"`
	Error   string `json:"error"`
}

// Read returns the file with the owner's rights, or with the caller's own where that isn't root. A file that
// isn't there is fs.ErrNotExist.
func Read(owner Owner, w Wanted) (File, error) {
	var err error
	q := question{w, owner.UID, owner.GID, []uint32{owner.GID}}
	if w.Root == "" {
		q.Groups, err = owner.groups()
	} else {
		q.Root, err = filepath.Abs(w.Root)
	}
	if err != nil {
		return File{}, err
	}
	asked, err := json.Marshal(q)
	if err != nil {
		return File{}, err
	}
	told, err := ask(asked, 2*w.Most+4096)
	if err != nil {
		return File{}, err
	}
	var a answer
	switch err := json.Unmarshal(told, &a); {
	case err != nil:
		return File{}, errors.New("its reader says something else")
	case a.Missing:
		return File{}, fs.ErrNotExist
	case a.Error != "":
		return File{}, errors.New(a.Error)
	case int64(len(a.Text)) > w.Most:
		return File{}, tooLong(w.Most)
	}
	return a.File, nil
}

// ask starts the process that reads and returns what it says. The process begins as root, so that nobody can
// stop it before it runs: a stopped one would be waited for before there is a deadline. It gives root's rights
// up by itself. From then on its owner can stop it; SIGKILL ends it all the same.
func ask(question []byte, most int64) ([]byte, error) {
	from, to, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer from.Close()
	cmd := exec.Command("/proc/self/exe", verb)
	cmd.Args[0] = "totpctl"
	cmd.Dir, cmd.Env = "/", []string{"GOMAXPROCS=1", "GORACE=" + os.Getenv("GORACE")} // the second is for tests
	cmd.Stdin, cmd.Stdout = bytes.NewReader(question), to
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = cmd.Start()
	to.Close()
	if err != nil {
		return nil, err
	}
	from.SetReadDeadline(time.Now().Add(Patience))
	told, err := io.ReadAll(io.LimitReader(from, most))
	if err != nil {
		cmd.Process.Kill() // it may hang in the kernel all the same, and is left alone then
		go cmd.Wait()
		return nil, ErrSilent
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-time.After(Patience):
		cmd.Process.Kill()
		err = errors.New("it doesn't end")
	}
	if err != nil {
		return nil, fmt.Errorf("its reader failed: %w", err)
	}
	return told, nil
}

// groups are the owner's, as a login would have them.
func (o Owner) groups() ([]uint32, error) {
	groups := []uint32{o.GID}
	if o.Name == "" {
		return groups, nil
	}
	u := user.User{Username: o.Name, Uid: strconv.Itoa(int(o.UID)), Gid: strconv.Itoa(int(o.GID))}
	ids, err := u.GroupIds()
	if err != nil {
		return groups, nil // with fewer rights
	}
	for _, id := range ids {
		gid, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, fmt.Errorf("group %q of %s is no number", id, o.Name)
		}
		if !slices.Contains(groups, uint32(gid)) {
			groups = append(groups, uint32(gid))
		}
	}
	return groups, nil
}

func tooLong(most int64) error { return fmt.Errorf("longer than %d bytes", most) }
