package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/totpd/totpd/cli/internal/foreign"
	"github.com/totpd/totpd/cli/internal/home"
)

// keptFile is a file of another program's, as it was read.
type keptFile struct {
	home.File
	text string // in UTF-8
	path string // absolute
}

// readNamed reads a file that is no link, no pipe and no longer than most bytes. It never waits for anybody.
func readNamed(path string, most int64) (keptFile, error) {
	f, place, err := home.ReadNamed(path, most)
	switch {
	case err != nil && place.Owner != nil && place.Owner.Name != "":
		err = fmt.Errorf("read %s with the rights of %s, the owner of its directory: %w", printable(path), printable(place.Owner.Name), err)
	case err != nil:
		err = fmt.Errorf("read %s: %w", printable(path), err)
	}
	return keptFile{f, foreign.Text(f.Text), place.Path}, err
}

// fromGoogle reads the state files that are named: as USER=FILE; with ${USER} in the place of the user, as the
// line of PAM has it; or in the home of the file's owner.
func (c *command) fromGoogle(ctx context.Context, args []string, o importOptions) ([]foreign.Found, error) {
	if o.homes {
		return c.fromHomes(ctx, o.users)
	}
	var all []foreign.Found
	guessed := map[string][]int{}
	for _, arg := range args {
		named, err := stateFiles(arg)
		if err != nil {
			return nil, err
		}
		there := 0
		for _, n := range named {
			f, err := readNamed(n.path, foreign.GoogleMax)
			if n.maybe && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)) {
				continue
			}
			there++
			who := n.user
			if err == nil {
				who, err = c.belongsTo(ctx, f, n)
			}
			if err != nil {
				all = append(all, unreadable(n.user, n.path, err))
				all[len(all)-1].Stated = n.typed
				continue
			}
			found := foreign.Google(who, n.path, f.text, f.Written)
			found.Stated = n.typed
			f.tellMode(&found)
			if n.user == "" {
				guessed[who] = append(guessed[who], len(all))
			}
			all = append(all, found)
		}
		if there == 0 {
			return nil, fmt.Errorf("%s: no file matches", printable(arg))
		}
	}
	for who, at := range guessed {
		of := func(f foreign.Found) bool { return f.User == who }
		if alone := len(at) == 1 && slices.IndexFunc(all, of) == at[0] && !slices.ContainsFunc(all[at[0]+1:], of); alone {
			continue
		}
		for _, i := range at {
			all[i] = unreadable("", all[i].Places[0], errors.New("it is not the only file of its owner: "+sayWhose))
		}
	}
	return all, nil
}

// sayWhose is the remedy where a file doesn't show whose it is.
const sayWhose = "name it as USER=FILE"

// stateOf is a state file that is named, and whose it is said to be; empty: nothing is said.
type stateOf struct {
	user, path string
	typed      bool // the user: else it is part of the name of a file, which may be called anything
	maybe      bool // there need be no such file
}

// userHere stands in a path for the user, as in the option secret= of pam_google_authenticator.
const userHere = "${USER}"

// stateFiles returns the files of an argument: FILE, USER=FILE, or those that a path with ${USER} may mean. Of the
// latter only root's directory is looked at, where the users' names stand: what lies deeper may be in homes.
func stateFiles(arg string) ([]stateOf, error) {
	before, after, some := strings.Cut(arg, userHere)
	if !some {
		if user, path, ok := strings.Cut(arg, "="); ok && !strings.Contains(user, "/") {
			return []stateOf{{user: user, path: path, typed: true}}, nil
		}
		return []stateOf{{path: arg}}, nil
	}
	if strings.Contains(after, userHere) {
		return nil, fmt.Errorf("%s: the user stands in it twice", printable(arg))
	}
	dir, prefix := filepath.Split(before)
	suffix, _, _ := strings.Cut(after, "/")
	place, err := home.Locate(filepath.Join(dir, "any"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", printable(arg), err)
	case place.Owner != nil && os.Geteuid() == 0:
		return nil, fmt.Errorf("%s: the users' names stand in a directory that isn't root's: %s", printable(arg), sayWhose)
	}
	entries, err := os.ReadDir(filepath.Dir(place.Path))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s: %w", printable(arg), errors.Unwrap(err))
	}
	var all []stateOf
	for _, e := range entries {
		user, fits := strings.CutPrefix(e.Name(), prefix)
		user, fits2 := strings.CutSuffix(user, suffix)
		if fits && fits2 && user != "" {
			all = append(all, stateOf{user: user, path: before + user + after, maybe: true})
		}
	}
	return all, nil
}

// belongsTo returns whose state file it is: the one that is said, as long as the file is that user's or root's.
// A file of somebody else would make its secret another user's. Where nothing is said, it is its owner's if it
// lies in the owner's home; root's never.
func (c *command) belongsTo(ctx context.Context, f keptFile, n stateOf) (string, error) {
	if f.Owner == 0 {
		if n.user == "" {
			return "", errors.New("it belongs to root, and doesn't show whose it is: " + sayWhose)
		}
		return n.user, nil
	}
	owner, err := user.LookupId(strconv.Itoa(int(f.Owner)))
	switch {
	case err != nil:
		return "", fmt.Errorf("its owner, uid %d, has no name on this host", f.Owner)
	case n.user != "" && n.user != owner.Username:
		return "", fmt.Errorf("it belongs to %s, who could choose the secret: chown it to root first", printable(owner.Username))
	case n.user != "":
		return n.user, nil
	}
	people, err := peopleOf(ctx, []string{owner.Username})
	if err != nil {
		return "", err
	}
	for _, p := range people {
		at, err := home.Locate(filepath.Join(p.home, stateFile))
		if err == nil && p.uid == f.Owner && p.home != "/" && strings.HasPrefix(f.path, filepath.Dir(at.Path)+"/") {
			return p.name, nil
		}
	}
	return "", fmt.Errorf("it belongs to %s and is not in the home of %s: %s", printable(owner.Username), printable(owner.Username), sayWhose)
}

// tellMode notes that others can read it.
func (f keptFile) tellMode(found *foreign.Found) {
	if f.Mode&0o077 != 0 {
		found.Notes = append(found.Notes, "others than its owner may read or write the file: the secret may be known to them")
	}
}

// unreadable is a file that can't be taken over. The user, if any, was said on the command line.
func unreadable(user, place string, err error) foreign.Found {
	f := foreign.Found{Places: []string{place}, Refused: []string{err.Error()}, Stated: user != ""}
	f.User = user
	return f
}

// onlyUsers leaves in found the names of users of this host alone. Others may be anything that stood where a
// file has a user, a password for instance: they are not repeated, and the daemon is not asked about them.
func (c *command) onlyUsers(ctx context.Context, found []foreign.Found) error {
	bar := c.progress("users looked up", len(found))
	defer bar.done()
	for i := range found {
		f := &found[i]
		bar.step(1)
		if f.User == "" || f.Stated {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		why := "this host has no user of the name that stands there"
		switch _, err := user.Lookup(f.User); {
		case err == nil && !strings.ContainsAny(f.User, "\x00:/\n"):
			continue
		case err != nil && !errors.As(err, new(user.UnknownUserError)):
			why = "the name service can't say whether this host has the user that stands there"
		}
		f.User, f.Refused, f.Devices = "", []string{why}, nil
	}
	return nil
}
