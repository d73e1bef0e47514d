package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/totpd/totpd/cli/internal/foreign"
)

// stateFile is where pam_google_authenticator keeps a user's secret, in the home.
const stateFile = ".google_authenticator"

// readVerb makes this program a reader of one file, with the rights that it was started with. People don't
// type it.
const readVerb = "read-own-file"

// readTime is how long a home may take to answer, on a server for instance.
const readTime = 10 * time.Second

// person is a user of the host.
type person struct {
	name     string
	uid, gid uint32
	home     string
}

// fromHomes reads the state files in the homes of all, or of those that are listed.
func (c *command) fromHomes(ctx context.Context, list string) ([]foreign.Found, error) {
	names, err := listed(list)
	if err != nil {
		return nil, err
	}
	people, err := peopleOf(ctx, names)
	if err != nil {
		return nil, err
	}
	all := make([]*foreign.Found, len(people))
	bar := c.progress("homes read", len(people))
	defer bar.done()
	var readers sync.WaitGroup
	slots := make(chan struct{}, 2*runtime.NumCPU())
	for i, p := range people {
		if ctx.Err() != nil {
			break
		}
		slots <- struct{}{}
		readers.Go(func() {
			defer func() { <-slots; bar.step(1) }()
			all[i] = p.found(names != nil)
		})
	}
	readers.Wait()
	var found []foreign.Found
	for _, f := range all {
		if f != nil {
			found = append(found, *f)
		}
	}
	known := map[string]bool{}
	for _, p := range people {
		known[p.name] = true
	}
	for _, name := range names {
		if !known[name] {
			found = append(found, unreadable(name, "getent passwd "+quote(name), errors.New("no such user on this host")))
		}
	}
	return found, nil
}

// listed returns the names of --users: nil for everybody.
func listed(list string) ([]string, error) {
	if list == "" {
		return nil, nil
	}
	if path, ok := strings.CutPrefix(list, "@"); ok {
		f, err := readNamed(path, foreign.PSKCMax)
		if err != nil {
			return nil, err
		}
		list = strings.ReplaceAll(f.text, "\n", ",")
	}
	names := []string{}
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, nil
}

// peopleOf asks the name service about these, or for all that it lists.
func peopleOf(ctx context.Context, names []string) ([]person, error) {
	var all []person
	asked := [][]string{nil}
	if names != nil {
		asked = slices.Collect(slices.Chunk(names, 500))
	}
	for _, some := range asked {
		cmd := exec.CommandContext(ctx, "getent", append([]string{"passwd", "--"}, some...)...)
		if names == nil {
			cmd.Args = cmd.Args[:2]
		}
		out, err := cmd.Output()
		var ended *exec.ExitError
		// 2: some of them are not known.
		if err != nil && !(errors.As(err, &ended) && ended.ExitCode() == 2) {
			return nil, fmt.Errorf("ask getent for the users of this host: %w", err)
		}
		for line := range strings.Lines(string(out)) {
			f := strings.Split(strings.TrimRight(line, "\n"), ":")
			if len(f) != 7 {
				continue
			}
			uid, err := strconv.ParseUint(f[2], 10, 32)
			gid, err2 := strconv.ParseUint(f[3], 10, 32)
			if err == nil && err2 == nil {
				all = append(all, person{f[0], uint32(uid), uint32(gid), f[5]})
			}
		}
	}
	return all, nil
}

// found reads the state file of a person: nil where there is none, unless one is expected.
func (p person) found(expected bool) *foreign.Found {
	path := filepath.Join(p.home, stateFile)
	f, err := p.read(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !expected:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		err = errors.New("there is none")
	case err == nil && f.owner != p.uid:
		err = fmt.Errorf("it belongs to uid %d, not to the user", f.owner)
	}
	var found foreign.Found
	if err != nil {
		found = unreadable(p.name, path, err)
	} else {
		found = foreign.Google(p.name, path, f.text, f.written)
		f.tellMode(&found)
	}
	return &found
}

// told is what a reader says of the file.
type told struct {
	Text    []byte      `json:"text"`
	Owner   uint32      `json:"owner"`
	Mode    fs.FileMode `json:"mode"`
	Written time.Time   `json:"written"`
	Missing bool        `json:"missing"`
	Error   string      `json:"error"`
}

// read has a process with the person's rights read the file: root must not touch what is in a home, where
// its owner can put links, pipes and whole file systems in its way. What comes from that process is the
// person's word, and no more.
func (p person) read(path string) (keptFile, error) {
	if !filepath.IsAbs(path) {
		return keptFile{}, fs.ErrNotExist
	}
	cmd := exec.Command("/proc/self/exe", readVerb, path)
	cmd.Args[0] = "totpctl"
	cmd.Dir, cmd.Env = "/", []string{"GOMAXPROCS=1"}
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Credential: &syscall.Credential{Uid: p.uid, Gid: p.gid, Groups: p.groups()}, Setsid: true,
	}
	var out bytes.Buffer
	pipe, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return keptFile{}, err
	}
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(&out, io.LimitReader(pipe, 2*foreign.GoogleMax))
		ended <- errors.Join(err, cmd.Wait())
	}()
	select {
	case err := <-ended:
		if err != nil {
			return keptFile{}, fmt.Errorf("its reader failed: %w", err)
		}
	case <-time.After(readTime):
		cmd.Process.Kill() // it may hang in the kernel all the same, and is left alone then
		return keptFile{}, errors.New("the home doesn't answer")
	}
	var t told
	switch err := json.Unmarshal(out.Bytes(), &t); {
	case err != nil:
		return keptFile{}, errors.New("its reader says something else")
	case t.Missing:
		return keptFile{}, fs.ErrNotExist
	case t.Error != "":
		return keptFile{}, errors.New(t.Error)
	}
	return keptFile{string(t.Text), t.Owner, t.Mode, t.Written}, nil
}

// groups are the person's, as a login would have them.
func (p person) groups() []uint32 {
	groups := []uint32{p.gid}
	u := user.User{Username: p.name, Uid: strconv.Itoa(int(p.uid)), Gid: strconv.Itoa(int(p.gid))}
	ids, err := u.GroupIds()
	if err != nil {
		return groups
	}
	for _, id := range ids {
		if gid, err := strconv.ParseUint(id, 10, 32); err == nil && !slices.Contains(groups, uint32(gid)) {
			groups = append(groups, uint32(gid))
		}
	}
	return groups
}

// readOwn is the process that reads.
func readOwn(path string) int {
	f, err := readKept(path, foreign.GoogleMax)
	t := told{Text: []byte(f.text), Owner: f.owner, Mode: f.mode, Written: f.written}
	switch {
	case errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR):
		t.Missing = true
	case err != nil:
		t.Error = err.Error()
	}
	if json.NewEncoder(os.Stdout).Encode(t) != nil {
		return exitFailed
	}
	return exitDone
}
