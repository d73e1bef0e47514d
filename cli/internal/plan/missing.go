package plan

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/sshd"
	"github.com/totpd/totpd/cli/internal/stack"
)

// Command is what an administrator types for it.
func (w Want) Command() string {
	words := "totpctl setup --service " + strings.Join(w.Services, ",")
	if w.SSH != "" {
		words += " --ssh " + string(w.SSH)
	}
	if w.OnePrompt {
		words += " --one-prompt"
	}
	return words
}

// wantOf reads a command of the journal's. Of one that was answered on a terminal, older journals don't have
// the answers.
func wantOf(command string) (w Want) {
	words := strings.Fields(command)
	value := func(i int) string {
		if _, v, joined := strings.Cut(words[i], "="); joined {
			return v
		}
		if i+1 < len(words) {
			return words[i+1]
		}
		return ""
	}
	for i, word := range words {
		switch name, _, _ := strings.Cut(word, "="); name {
		case "--ssh":
			w.SSH = Mode(value(i))
		case "--one-prompt":
			w.OnePrompt = word != "--one-prompt=false"
		}
	}
	return w
}

// modeOf is the mode that a text of DropIn is for; empty: none.
func modeOf(text []byte) Mode {
	for _, m := range Modes {
		if bytes.Contains(text, []byte("# ssh asks for "+m.Says()+".")) {
			return m
		}
	}
	return ""
}

// Wanted is what has been asked for, as far as the journal has it: the services whose files were changed, in
// the way in which each was last.
func Wanted(records []change.Record, tools []string) []Want {
	var mode Mode
	var all []Want
	add := func(service string, onePrompt bool) {
		i := slices.IndexFunc(all, func(w Want) bool { return w.OnePrompt == onePrompt && !slices.Contains(w.Services, All) })
		if i < 0 {
			all = append(all, Want{OnePrompt: onePrompt})
			i = len(all) - 1
		}
		if !slices.Contains(all[i].Services, service) {
			all[i].Services = append(all[i].Services, service)
		}
	}
	for _, r := range records {
		w := wantOf(r.Why)
		name, isPAM := strings.CutPrefix(r.Path, pamDir+"/")
		switch {
		case r.Path == DropIn:
			if mode = w.SSH; mode == "" && len(r.Edits) > 0 {
				mode = modeOf([]byte(strings.Join(r.Edits[0].Add, "\n")))
			}
			add("sshd", w.OnePrompt)
		case isPAM && never[name] == "" && !strings.HasPrefix(name, "totpd-") && !isLeftOut(r):
			add(name, w.OnePrompt)
		}
	}
	if slices.ContainsFunc(tools, func(t string) bool {
		return strings.HasPrefix(t, PAMAuthUpdate) || strings.HasPrefix(t, Authselect)
	}) {
		all = slices.Insert(all, 0, Want{Services: []string{All}})
	}
	for i := range all {
		slices.Sort(all[i].Services)
		if slices.Contains(all[i].Services, "sshd") || slices.Contains(all[i].Services, All) {
			all[i].SSH = mode
		}
	}
	return all
}

// isLeftOut tells whether a file was changed so that its service asks for no code.
func isLeftOut(r change.Record) bool {
	plain, asks := false, false
	for _, e := range r.Edits {
		for _, l := range stack.Parse("", "", []byte(strings.Join(e.Add, "\n"))).Lines {
			plain = plain || l.Includes() && strings.HasPrefix(l.Module, PlainPrefix)
			asks = asks || l.Ours()
		}
	}
	return plain && !asks
}

// Difference is something that isn't as it would be after totpctl setup.
type Difference struct {
	Where   string
	What    string
	Command string       // sets it right
	First   string       // what must be done before, where setup would refuse; empty: nothing
	Unclear bool         // the file has lines of ours that somebody has edited
	File    *change.File // what setup would make of it; nil: it would refuse
}

// Missing tells what isn't as wanted: for each service, what setup would have to do now. Nothing: whoever is to
// be asked for a code is asked. Remarks don't count, nor do lines that somebody has edited and that still hold.
func Missing(ctx context.Context, h *Host, wants []Want) []Difference {
	var all []Difference
	for _, w := range wants {
		for _, service := range w.Services {
			if _, _, err := h.Tree.Find(service); errors.Is(err, fs.ErrNotExist) && service != All {
				if h.installed(service) {
					all = append(all, Difference{Where: pamDir + "/" + service, What: "the file is gone, so that " + pamDir + "/other speaks for the service",
						Command: w.Command() + " --yes", First: "put the file back", Unclear: true})
				}
				continue
			}
			one := Want{Services: []string{service}, SSH: cmp.Or(w.SSH, AnyCode), OnePrompt: w.OnePrompt}
			all = append(all, missing(h, Make(ctx, h, one), w.Command()+" --yes")...)
		}
	}
	slices.SortStableFunc(all, func(a, b Difference) int { return cmp.Compare(a.Where, b.Where) })
	return slices.CompactFunc(all, func(a, b Difference) bool { return a.Where == b.Where && a.What == b.What })
}

// installed tells whether there is a program of a service: su-l is an option of su. A service that was removed
// leaves no file, and needs none.
func (h *Host) installed(service string) bool {
	name := strings.TrimSuffix(strings.TrimSuffix(service, "-l"), "-i")
	return slices.ContainsFunc([]string{"/usr/bin/", "/usr/sbin/", "/bin/", "/sbin/"}, func(dir string) bool { return h.has(dir + name) })
}

// missing is what a plan would change, or refuses. A file that isn't setup's to edit may hold all the same.
func missing(h *Host, p *Plan, command string) []Difference {
	var all []Difference
	for _, r := range p.Refusals {
		if asleep(r) {
			return append(all, missingAsleep(h, command)...)
		}
		_, _, err := h.Journal.Base(r.Where)
		unclear := errors.Is(err, change.ErrUnclear)
		if (unclear || h.kept(r.Where)) && holds(h.Tree, strings.TrimPrefix(r.Where, pamDir+"/")) {
			continue
		}
		all = append(all, Difference{Where: r.Where, What: r.Why, Command: command, First: r.Hint, Unclear: unclear})
	}
	if len(all) > 0 {
		return all
	}
	for _, f := range slices.Concat(p.Files, p.Shared) {
		if f.Changes() && means(f.Path, f.Now) != means(f.Path, f.After) {
			all = append(all, Difference{Where: f.Path, What: lacks(f), Command: command, File: &f})
		}
	}
	return all
}

// kept tells whether setup leaves a file to another program: one that is marked so, or is a link.
func (h *Host) kept(file string) bool {
	text, err := h.Journal.Read(file)
	return err == nil && strings.HasPrefix(file, pamDir+"/") && checkFile(h, file, text) != nil
}

// missingAsleep is for an sshd that doesn't run, and so doesn't tell what its settings come to: whether setup's
// file is there, and PAM asks.
func missingAsleep(h *Host, command string) []Difference {
	var all []Difference
	for _, r := range h.Journal.Records() {
		now, err := h.Journal.Read(r.Path)
		if err != nil || h.Journal.State(r.Path) == change.Made {
			continue
		}
		f := change.File{Path: r.Path, Now: now}
		switch {
		case r.Path == DropIn && len(r.Edits) > 0:
			f.After = []byte(strings.Join(r.Edits[0].Add, "\n"))
			if means(DropIn, now) == means(DropIn, f.After) {
				continue
			}
		case r.Path != pamDir+"/sshd", holds(h.Tree, "sshd"):
			continue
		default:
			f.After = []byte(stack.OurName)
		}
		all = append(all, Difference{Where: r.Path, What: lacks(f), Command: command, First: "start sshd"})
	}
	return all
}

// holds tells whether a service asks for a code on every way in that has no other reason.
func holds(t *stack.Tree, service string) bool {
	entries, err := t.Stack(service, stack.Auth)
	if err != nil || !slices.ContainsFunc(entries, stack.Entry.AsksCode) {
		return false
	}
	return !slices.ContainsFunc(stack.Judge(entries), func(f stack.Finding) bool {
		_, bad := weigh(entries, f)
		return bad != ""
	})
}

// means is a text without what doesn't matter to those who read the file.
func means(file string, text []byte) string {
	if text == nil {
		return "no file"
	}
	if strings.HasPrefix(file, path.Dir(sshd.ConfigFile)+"/") {
		return strings.Join(settingsOf(text), "\n")
	}
	var b strings.Builder
	for _, l := range stack.Parse(file, path.Base(file), text).Lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// lacks says what is the matter with a file.
func lacks(f change.File) string {
	switch {
	case f.Now == nil:
		return "the file is gone that totpctl setup has made"
	case !strings.HasPrefix(f.Path, pamDir+"/"):
		return "it no longer says what totpctl setup has put there"
	case bytes.Contains(f.After, []byte(PlainPrefix)) && !bytes.Contains(f.After, []byte(stack.OurName)):
		return "it asks for a code, which its program can't: totpctl setup had left it out"
	case !bytes.Contains(f.Now, []byte(stack.OurName)) && bytes.Contains(f.After, []byte(stack.OurName)):
		return "the line is gone that asks for a code: logins are as before totpctl setup"
	}
	return "it no longer asks for a code in the way that totpctl setup has made"
}
