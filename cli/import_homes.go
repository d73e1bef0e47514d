package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/totpd/totpd/cli/internal/foreign"
	"github.com/totpd/totpd/cli/internal/home"
)

// stateFile is where pam_google_authenticator keeps a user's secret, in the home.
const stateFile = ".google_authenticator"

// person is a user of the host.
type person struct {
	name     string
	uid, gid uint32
	home     string
}

// fromHomes reads the state files in the homes of all, or of those that are listed.
func (c *command) fromHomes(ctx context.Context, list string) ([]foreign.Found, error) {
	wanted, err := listed(list)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, w := range wanted {
		if w.known {
			names = append(names, w.name)
		}
	}
	var people []person
	if list == "" || len(names) > 0 {
		people, err = peopleOf(ctx, names)
	}
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
			all[i] = p.found(list != "")
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
	for _, w := range wanted {
		if !known[w.name] {
			found = append(found, unreadable(w.said, w.place, errors.New("no such user on this host")))
		}
	}
	if len(found) == 0 {
		found = append(found, unreadable("", "--homes", errors.New("no home has a "+stateFile)))
	}
	return found, nil
}

// listedName is a name of --users.
type listedName struct {
	name  string
	said  string // the name where it was typed; from a file, which may hold anything, it isn't repeated
	place string
	known bool // to be asked for
}

// listed returns the names of --users: nil for everybody.
func listed(list string) ([]listedName, error) {
	var all []listedName
	add := func(names, place string) {
		for name := range strings.SplitSeq(names, ",") {
			name = strings.TrimSpace(name)
			if name == "" || slices.ContainsFunc(all, func(w listedName) bool { return w.name == name }) {
				continue
			}
			w := listedName{name, name, "getent passwd " + quote(name), true}
			if place != "" {
				_, err := user.Lookup(name) // nothing else goes to getent's command line
				w.said, w.place, w.known = "", place, err == nil
			}
			all = append(all, w)
		}
	}
	path, inFile := strings.CutPrefix(list, "@")
	if !inFile {
		add(list, "")
		return all, nil
	}
	f, err := readNamed(path, foreign.PSKCMax)
	if err != nil {
		return nil, err
	}
	number := 0
	for line := range strings.Lines(f.text) {
		number++
		add(line, fmt.Sprintf("%s:%d", path, number))
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("%s: no user is in it", printable(path))
	}
	return all, nil
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
	case err == nil && f.Owner != p.uid:
		err = fmt.Errorf("it belongs to uid %d, not to the user", f.Owner)
	}
	var found foreign.Found
	if err != nil {
		found = unreadable(p.name, path, err)
	} else {
		found = foreign.Google(p.name, path, f.text, f.Written)
		f.tellMode(&found)
	}
	found.Stated = true // by the name service
	return &found
}

// read reads the file with the person's rights.
func (p person) read(path string) (keptFile, error) {
	if !filepath.IsAbs(path) {
		return keptFile{}, fs.ErrNotExist
	}
	f, err := home.Read(home.Owner{Name: p.name, UID: p.uid, GID: p.gid}, home.Wanted{Path: path, Most: foreign.GoogleMax})
	return keptFile{f, foreign.Text(f.Text), path}, err
}
