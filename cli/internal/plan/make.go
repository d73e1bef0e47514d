package plan

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/program"
	"github.com/totpd/totpd/cli/internal/stack"
)

// Want is what an administrator asks for.
type Want struct {
	Services []string // "all" alone: every service that shares the host's common stack
	SSH      Mode     // where sshd is among them
	// OnePrompt has password and code typed together.
	OnePrompt bool
}

// All is the name for every service.
const All = "all"

// Make works out a plan. Its refusals say what is in the way; without any it can be tried and applied.
func Make(ctx context.Context, h *Host, want Want) *Plan {
	p := &Plan{}
	if r := checkHost(h); r != nil {
		p.refuse(r)
		return p
	}
	all := slices.Contains(want.Services, All)
	names := want.Services
	if all {
		if p.addCommon(ctx, h); len(p.Refusals) > 0 {
			return p
		}
		names = ownLined(h)
	}
	for _, name := range once(h.Tree, names) {
		withKey := false
		if name == "sshd" && h.SSHD != nil {
			p.addSSH(ctx, h, want.SSH, want.OnePrompt)
			withKey = p.SSH != nil && p.SSH.withKey()
		}
		for _, member := range family(h.Tree, name) {
			if all && (program.OnePrompt(member) || h.faults(member) != nil) {
				continue // reach gives it lines of its own
			}
			p.addService(h, member, way{withKey: withKey && member == name, onePrompt: want.OnePrompt})
		}
	}
	p.reach(h, all)
	if !all && !slices.Contains(names, "sshd") {
		p.note("ssh is left as it is: --service sshd turns the code on there")
	}
	p.noteSudo(h)
	if want.OnePrompt {
		p.noteOnePrompt()
	}
	return p
}

// noteOnePrompt says what one prompt rests on.
func (p *Plan) noteOnePrompt() {
	p.note("passwords are checked through the PAM service totpd, too, before a code is: for users of a directory its stack needs their module (%s/totpd)", pamDir)
	for _, s := range p.Services {
		if s.Name == "sudo" {
			p.note(`sudo: a program that waits for a prompt of its own, as Ansible does, needs "Defaults:USER passprompt_override" in sudoers`)
		}
	}
}

// once are the names without those that are there already, or go with another one that is named: su-l takes
// in what becomes of su, and comes after it. So does every service that includes another.
func once(t *stack.Tree, names []string) []string {
	seen := map[string]bool{}
	for _, name := range names {
		for _, member := range family(t, name)[1:] {
			seen[member] = true
		}
	}
	var all []string
	for _, name := range names {
		if !seen[name] {
			all = append(all, name)
		}
		seen[name] = true
	}
	slices.SortStableFunc(all, func(a, b string) int { return depth(t, a) - depth(t, b) })
	return all
}

// depth is through how many files a service's auth lines come. A service that includes another one is deeper.
func depth(t *stack.Tree, name string) int {
	most := 0
	entries, _ := t.Stack(name, stack.Auth) // what is wrong is said when its turn comes
	for _, e := range entries {
		most = max(most, len(e.Via))
	}
	return most
}

// ownLined are the services that --service all has to look at by themselves: sshd, and those with a line of
// ours in their own file, which would ask twice.
func ownLined(h *Host) []string {
	names, err := h.Tree.Services()
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(names, func(name string) bool {
		if name == "sshd" {
			return false
		}
		f, err := h.Tree.Read(name)
		return err != nil || never[name] != "" || strings.HasPrefix(name, "totpd-") ||
			!slices.ContainsFunc(f.Lines, func(l stack.Line) bool {
				return l.Type == stack.Auth && (l.Ours() || l.AsksOtherCode() || l.Includes() && strings.HasPrefix(l.Module, "totpd-"))
			})
	})
}

// checkHost refuses hosts on which nothing can be done at all.
func checkHost(h *Host) *Refusal {
	if st, err := os.Stat(filepath.Join(h.Root, pamDir)); err != nil || !st.IsDir() {
		return &Refusal{pamDir, "there is no such directory, and a host with " + stack.ConfFile + " alone isn't supported", "by hand: pam_totpd(8)"}
	}
	entries, err := h.Tree.Stack("totpd", stack.Auth)
	if err != nil {
		return &Refusal{pamDir + "/totpd", err.Error(), "it comes with the package and is how totpd checks passwords: put it back"}
	}
	for _, e := range entries {
		if e.Ours() {
			return &Refusal{e.Where(), "pam_totpd.so must not be in the service totpd: " + never["totpd"],
				"take it out there; " + pamDir + "/totpd must not include a file that has it"}
		}
	}
	return nil
}

// noteSudo names the rules by which sudo asks nothing.
func (p *Plan) noteSudo(h *Host) {
	if !slices.ContainsFunc(p.Services, func(s Service) bool { return s.Name == "sudo" }) {
		return
	}
	files := []string{"/etc/sudoers"}
	more, _ := filepath.Glob(filepath.Join(h.Root, "/etc/sudoers.d/*"))
	for _, here := range more {
		if name, err := filepath.Rel(h.Root, here); err == nil {
			files = append(files, "/"+name)
		}
	}
	for _, host := range files {
		text, err := os.ReadFile(filepath.Join(h.Root, host))
		if err != nil {
			continue
		}
		number := 0
		for line := range strings.Lines(string(text)) {
			number++
			if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") && strings.Contains(line, "NOPASSWD") {
				p.note("sudo asks for neither password nor code where a rule says NOPASSWD: %s", fmt.Sprintf("%s:%d", host, number))
			}
		}
	}
}
