package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/daemon/control"
)

// turnOn leads from a look at the host to a changed one.
func (s *setup) turnOn(ctx context.Context, named bool) error {
	s.introduce(ctx)
	want, err := s.want(ctx, named)
	if err != nil {
		return err
	}
	s.wanted = want
	p := plan.Make(ctx, s.host, want)
	if err := s.lockedOut(p); err != nil {
		p.Refusals = append(p.Refusals, err)
	}
	r := newReport(p)
	if len(p.Refusals) > 0 {
		return s.refused(r)
	}
	s.showNotes(p)
	if !p.Changes() {
		s.say("\nIt is turned on already for %s: there is nothing to change.", list(p))
		r.Checks = s.tryAll(ctx, p)
		return s.after(r, s.showChecks(r.Checks))
	}
	s.showDiffs(r)
	r.Checks = s.tryAll(ctx, p)
	if err := s.showChecks(r.Checks); err != nil {
		return s.after(r, err)
	}
	if s.dryRun {
		s.say("\nNothing was changed: --dry-run.")
		return s.report(r)
	}
	if ok, err := s.agreed(ctx, "\nApply these changes?"); err != nil || !ok {
		return err
	}
	if err := s.apply(p); err != nil {
		return s.fail(err, "")
	}
	r.Applied = true
	s.watch(true)
	s.afterwards(p)
	return s.report(r)
}

// introduce says what was found, to a person.
func (s *setup) introduce(ctx context.Context) {
	if s.json {
		return
	}
	var found []string
	if name := release(s.root); name != "" {
		found = append(found, name)
	}
	if s.host.SSHD != nil {
		if major, minor, err := s.host.SSHD.Version(ctx); err == nil {
			found = append(found, fmt.Sprintf("OpenSSH %d.%d", major, minor))
		}
	}
	enrolled, err := s.enrolled(ctx)
	switch {
	case err != nil:
		found = append(found, "totpd doesn't answer")
	case len(enrolled) == 1:
		found = append(found, "totpd runs, one user has enrolled")
	default:
		found = append(found, fmt.Sprintf("totpd runs, %d users have enrolled", len(enrolled)))
	}
	s.say("This host: %s.", strings.Join(found, "; "))
	s.say("Services that can ask for a code: %s.", strings.Join(plan.Offered(s.host), ", "))
}

// release is the name that the host's system gives itself.
func release(root string) string {
	text, err := os.ReadFile(root + "/etc/os-release")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(text)) {
		if name, found := strings.CutPrefix(strings.TrimSpace(line), "PRETTY_NAME="); found {
			return printable(strings.Trim(name, `"'`))
		}
	}
	return ""
}

// enrolled are the users with a second factor.
func (s *setup) enrolled(ctx context.Context) ([]string, error) {
	var all []string
	for a, err := range s.client().Users(ctx) {
		if err != nil {
			return nil, err
		}
		if a.Enrolled {
			all = append(all, a.User)
		}
	}
	return all, nil
}

// want is what the options say and, on a terminal, what the person answers.
func (s *setup) want(ctx context.Context, named bool) (plan.Want, error) {
	w := plan.Want{Services: s.services, SSH: plan.Mode(s.ssh), OnePrompt: s.one}
	if !named && !slices.Contains(plan.Offered(s.host), "sshd") {
		return w, &misuse{"setup: there is no sshd here, so say which services shall ask for a code",
			"totpctl setup --service " + strings.Join(plan.Offered(s.host), ",")}
	}
	ssh := s.host.SSHD != nil && (slices.Contains(w.Services, "sshd") || slices.Contains(w.Services, plan.All))
	if !ssh || w.SSH != "" {
		return w, nil
	}
	if !s.in.terminal {
		return w, &misuse{"setup: say what ssh shall ask for", "--ssh takes one of " + modes() + "; totpctl help setup explains them"}
	}
	offered := slices.Clone(plan.Modes)
	if s.one {
		offered = slices.DeleteFunc(offered, func(m plan.Mode) bool { return !m.HasOnePrompt() })
	}
	s.say("\nWhat shall ssh ask for?")
	for i, m := range offered {
		s.say("  %d  %-21s %s", i+1, m, m.Says())
	}
	answer, err := s.in.line(ctx, fmt.Sprintf("1 to %d [1]: ", len(offered)))
	if err != nil {
		return w, s.fail(err, "")
	}
	if answer == "" {
		answer = "1"
	}
	n, err := strconv.Atoi(answer)
	if err != nil || n < 1 || n > len(offered) {
		return w, s.fail(fmt.Errorf("%q is none of them", printable(answer)), "totpctl setup --ssh "+string(offered[0]))
	}
	w.SSH = offered[n-1]
	return w, nil
}

// lockedOut refuses what would keep the very person out who asks for it.
func (s *setup) lockedOut(p *plan.Plan) *plan.Refusal {
	me := s.env("SUDO_USER")
	if me == "" {
		me = "root"
	}
	if !slices.Contains(p.LockedOut, me) {
		return nil
	}
	return &plan.Refusal{Where: "ssh", Why: me + " could not log in any longer, and that is you",
		Hint: "--ssh " + string(plan.AnyCode) + " keeps every way in that there is, and adds the code"}
}

// agreed asks, unless that was said before.
func (s *setup) agreed(ctx context.Context, question string) (bool, error) {
	if s.yes {
		return true, nil
	}
	answer, err := s.in.line(ctx, question+" [y/N] ")
	if err != nil {
		return false, s.fail(err, "")
	}
	if !isYes(answer) {
		s.say("Nothing was changed.")
		return false, nil
	}
	return true, nil
}

// afterwards is what the person should do now.
func (s *setup) afterwards(p *plan.Plan) {
	s.say("\nDone. Backups are in %s.", backups)
	s.say("Keep this root shell open, and try another login now: %s.", attempt(p))
	s.say("Users who should be asked for a code must enrol first: totpctl enrol")
	s.say("To take this back: totpctl setup --undo")
	s.say("Rules in totpd.toml say which users must enrol, and from which networks no code is asked for: man totpd.toml")
}

// attempt is a login to try.
func attempt(p *plan.Plan) string {
	if p.SSH != nil {
		return "ssh USER@" + hostname()
	}
	return "by " + list(p)
}

func hostname() string {
	name, err := os.Hostname()
	if err != nil {
		return "this-host"
	}
	return printable(name)
}

func list(p *plan.Plan) string {
	var names []string
	for _, s := range p.Services {
		names = append(names, s.Name)
	}
	return strings.Join(names, ", ")
}

// trialUser is somebody for whom the daemon wants no code.
func (s *setup) trialUser(ctx context.Context) string {
	for _, name := range []string{"nobody", "daemon", "bin", "mail"} {
		account, err := s.client().Status(ctx, control.StatusRequest{User: name})
		if e := new(control.Error); errors.As(err, &e) && e.Code == control.ErrUnknownUser {
			continue
		}
		if err == nil && account.Enrolled {
			continue
		}
		return name
	}
	return "nobody"
}
