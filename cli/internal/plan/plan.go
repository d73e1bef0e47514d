// Package plan works out which lines of which files turn the second factor on, and refuses where that
// can't be told for sure. It reads a host and changes nothing.
//
// What always holds of a plan without refusals: in every stack that it touches, on every way through it,
// whoever is let in has proved who it is and has then been through totpd, but for those ways that the notes
// name; and nobody is asked for a code before that.
package plan

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/program"
	"github.com/totpd/totpd/cli/internal/sshd"
	"github.com/totpd/totpd/cli/internal/stack"
)

// Host is what is looked at.
type Host struct {
	Root    string // "/" for this one
	Tree    *stack.Tree
	Journal Journal
	SSHD    *sshd.Server // nil: there is none
	Scratch string       // a private directory, for copies

	speakers program.Speakers // nil: not read yet
}

// faults are the reasons why the program behind a service can't ask for a code.
func (h *Host) faults(service string) []program.Fault {
	if h.speakers == nil {
		h.speakers = program.SpeakersOf(h.Root)
	}
	return program.Look(h.Root, service).Faults(h.speakers)
}

// Journal knows which lines are ours from an earlier time.
type Journal interface {
	Read(path string) ([]byte, error)
	Base(path string) (base []byte, edited bool, err error)
	Records() []change.Record
	State(path string) change.State
}

// Refusal is why something isn't done, and what a person can do instead.
type Refusal struct {
	Where string // a place or a service
	Why   string
	Hint  string
}

func (r *Refusal) Error() string { return r.Where + ": " + r.Why }

// Plan is what there is to do.
type Plan struct {
	Files    []change.File // for the journal to write
	Shared   []change.File // for the host's own program to write: Tools
	Services []Service     // whose stacks ask for a code afterwards
	Notes    []string      // what an administrator should know before saying yes
	Refusals []*Refusal
	Tools    []string // what programs of the host's are to do
	Reload   bool     // sshd has to read its settings again
	SSH      *SSH     // nil: sshd isn't concerned
	LeftOut  []string // services that a change would have reached, and that ask for no code
	// LockedOut are people who could log in by ssh until now and have not what it will ask for.
	LockedOut []string
}

// Changes tells whether there is anything to do.
func (p *Plan) Changes() bool {
	return slices.ContainsFunc(slices.Concat(p.Files, p.Shared), change.File.Changes)
}

// Tree is the PAM configuration as it will be.
func (p *Plan) Tree(h *Host) *stack.Tree {
	return h.Tree.With(p.files())
}

// files are all texts of the plan, by path.
func (p *Plan) files() map[string][]byte {
	return p.texts(func(f change.File) []byte { return f.After })
}

func (p *Plan) texts(of func(change.File) []byte) map[string][]byte {
	all := map[string][]byte{}
	for _, f := range slices.Concat(p.Files, p.Shared) {
		all[f.Path] = of(f)
		// A link in /etc/pam.d leads to what authselect makes.
		if name, made := strings.CutPrefix(f.Path, authselectDir+"/"); made {
			all[pamDir+"/"+name] = of(f)
		}
	}
	return all
}

func (p *Plan) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if !slices.Contains(p.Notes, text) {
		p.Notes = append(p.Notes, text)
	}
}

// same gathers the services of which the same is to be said.
func (p *Plan) same(service, text string) {
	for i, note := range p.Notes {
		names, found := strings.CutSuffix(note, ": "+text)
		if !found {
			continue
		}
		if !slices.Contains(strings.Split(names, ", "), service) {
			p.Notes[i] = names + ", " + service + ": " + text
		}
		return
	}
	p.note("%s: %s", service, text)
}

func (p *Plan) refuse(r *Refusal) { p.Refusals = append(p.Refusals, r) }

// Service is one whose logins ask for a code.
type Service struct {
	Name    string
	Already bool // it asked before; nothing of it is changed
	Key     bool // a key that sshd has verified stands for the password
	// OnePrompt says that password and code are typed together.
	OnePrompt bool
}

// Usual are the services that let people in, with those that go with them.
var usual = []struct {
	name string
	with []string
}{
	{"sshd", nil}, {"login", nil}, {"su", []string{"su-l"}}, {"sudo", []string{"sudo-i"}},
	{"polkit-1", nil}, {"cockpit", nil}, {"gdm-password", nil}, {"lightdm", nil}, {"sddm", nil},
	{"xscreensaver", nil}, {"vlock", nil}, {"swaylock", nil}, {"i3lock", nil}, {"kde", nil},
}

// Offered are the services of this host that --service may sensibly name.
func Offered(h *Host) []string {
	var names []string
	for _, u := range usual {
		entries, err := h.Tree.Stack(u.name, stack.Auth)
		if err == nil && len(entries) > 0 && entries[0].Service != stack.Other && asksPassword(entries) && h.faults(u.name) == nil {
			names = append(names, u.name)
		}
	}
	return names
}

func asksPassword(entries []stack.Entry) bool {
	return slices.ContainsFunc(entries, func(e stack.Entry) bool { return !e.Sub && e.Role() == stack.Knows })
}

// family is a service and those that go with it and have a file.
func family(t *stack.Tree, name string) []string {
	all := []string{name}
	for _, u := range usual {
		if u.name != name {
			continue
		}
		for _, with := range u.with {
			if _, _, err := t.Find(with); err == nil {
				all = append(all, with)
			}
		}
	}
	return all
}

// never are services that a code has no business in, each with the reason.
var never = map[string]string{
	"totpd":                         "it is how totpd checks a password: were a code due for that, nobody could enrol, and whoever has lost a phone could not turn it off",
	"other":                         "it stands in for services without a file: give the service a file of its own",
	"passwd":                        "changing a password is no login",
	"chpasswd":                      "changing passwords is no login",
	"newusers":                      "making users is no login",
	"runuser":                       "only root may run it, and it asks nothing",
	"runuser-l":                     "only root may run it, and it asks nothing",
	"cron":                          "nobody is there to answer",
	"crond":                         "nobody is there to answer",
	"atd":                           "nobody is there to answer",
	"systemd-user":                  "nobody is there to answer",
	"common-auth":                   "it is included by nearly every service: say --service all",
	"common-account":                "it is no login: say --service all",
	"common-password":               "it is no login: say --service all",
	"common-session":                "it is no login: say --service all",
	"common-session-noninteractive": "it is no login: say --service all",
	"system-auth":                   "it is included by nearly every service: say --service all",
	"password-auth":                 "it is included by nearly every service: say --service all",
	"postlogin":                     "it is no login: say --service all",
}

// managers are words by which tools mark the files that they write.
var managers = []string{"ansible managed", "managed by ansible", "managed by puppet", "managed by chef",
	"managed by salt", "managed by cfengine", "generated by chef", "generated by puppet", "managed by nix"}

// checkFile refuses a file that must not be edited by hand.
func checkFile(h *Host, host string, text []byte) *Refusal {
	here := filepath.Join(h.Root, host)
	for at := here; at != filepath.Clean(h.Root) && at != "/" && at != "."; at = filepath.Dir(at) {
		st, err := os.Lstat(at)
		if err != nil || st.Mode()&fs.ModeSymlink == 0 {
			continue
		}
		if target, _ := os.Readlink(at); at == here {
			return &Refusal{host, "it is a symbolic link to " + target + ", which another program looks after",
				"let that program add the line after the password's: auth  required  pam_totpd.so"}
		}
	}
	if change.Immutable(here) {
		return &Refusal{host, "its attributes forbid changes, even to root",
			"lsattr " + host + "; chattr -ia " + host + ", then again"}
	}
	lower := strings.ToLower(string(text))
	for _, words := range managers {
		if strings.Contains(lower, words) {
			return &Refusal{host, fmt.Sprintf("%q stands in it: what is changed here would be undone by the next run", words),
				"put the lines of contrib/stacks into what manages the file"}
		}
	}
	return nil
}

// base returns the text of a file without our lines, and its present text.
func (h *Host) base(host string) (base, now []byte, r *Refusal) {
	now, err := h.Journal.Read(host)
	if err == nil {
		base, _, err = h.Journal.Base(host)
	}
	switch {
	case errors.Is(err, change.ErrUnclear):
		return nil, now, &Refusal{host, "totpctl setup changed it, and somebody has edited those lines since",
			"take our lines out by hand, or put them back as they were: " + filepath.Join(change.Dir, "journal.json") + " has them"}
	case err != nil:
		return nil, now, &Refusal{host, err.Error(), "nothing was changed"}
	}
	return base, now, nil
}

func sortFiles(files []change.File) {
	// sshd's files come first: it has them in force only after a reload, PAM's at once.
	slices.SortStableFunc(files, func(a, b change.File) int {
		pam := func(f change.File) int {
			if strings.HasPrefix(f.Path, "/etc/ssh/") {
				return 0
			}
			return 1
		}
		return cmp.Compare(pam(a), pam(b))
	})
}
