package main

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/rogpeppe/go-internal/diff"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/cli/internal/trial"
)

// backups is where they are, for the person.
const backups = change.Dir

// report is what --json prints.
type report struct {
	Applied  bool            `json:"applied"`
	Services []reportService `json:"services,omitempty"`
	Changes  []reportChange  `json:"changes"`
	Notes    []string        `json:"notes,omitempty"`
	Checks   []trial.Check   `json:"checks,omitempty"`
	Refusals []reportRefusal `json:"refusals,omitempty"`
}

type reportService struct {
	Name    string `json:"name"`
	Already bool   `json:"already"`
}

type reportChange struct {
	Path string `json:"path"`
	By   string `json:"by,omitempty"` // the program that makes it
	Diff string `json:"diff"`
}

type reportRefusal struct {
	Where string `json:"where"`
	Why   string `json:"why"`
	Hint  string `json:"hint"`
}

func newReport(p *plan.Plan) *report {
	r := &report{Changes: []reportChange{}, Notes: p.Notes}
	for _, s := range p.Services {
		r.Services = append(r.Services, reportService{s.Name, s.Already})
	}
	r.addChanges(p.Files, "")
	for _, tool := range p.Tools {
		r.addChanges(p.Shared, tool)
	}
	for _, refusal := range p.Refusals {
		r.Refusals = append(r.Refusals, reportRefusal{refusal.Where, refusal.Why, refusal.Hint})
	}
	return r
}

func (r *report) addChanges(files []change.File, by string) {
	for _, f := range files {
		if f.Changes() {
			r.Changes = append(r.Changes, reportChange{f.Path, by, unified(f)})
		}
	}
}

// unified is the change of one file as a unified diff.
func unified(f change.File) string {
	before, after := f.Path, f.Path
	if f.Now == nil {
		before = "/dev/null"
	}
	if f.After == nil {
		after = "/dev/null"
	}
	text := diff.Diff(before, f.Now, after, f.After)
	_, text, _ = bytes.Cut(text, []byte("\n")) // the line "diff A B"
	return string(text)
}

// report prints r as JSON where that is wanted.
func (s *setup) report(r *report) error {
	if !s.json {
		return nil
	}
	if r == nil {
		r = &report{Changes: []reportChange{}}
	}
	return s.printJSON(r)
}

// after is report with an error that is the verb's outcome.
func (s *setup) after(r *report, err error) error {
	if printErr := s.report(r); err == nil {
		return printErr
	}
	return err
}

// showDiffs shows what will become of the files: data, so on standard output.
func (s *setup) showDiffs(r *report) {
	if s.json {
		return
	}
	by := ""
	fmt.Fprintln(s.out)
	for _, c := range r.Changes {
		if c.By != by {
			by = c.By
			s.say("By %s:", by)
		}
		fmt.Fprint(s.out, printableLines(c.Diff))
	}
}

// printableLines keeps files from steering the terminal.
func printableLines(text string) string {
	var b bytes.Buffer
	for i, line := range bytes.Split([]byte(text), []byte("\n")) {
		if i > 0 {
			b.WriteByte('\n')
		}
		for j, word := range bytes.Split(line, []byte("\t")) {
			if j > 0 {
				b.WriteByte('\t')
			}
			b.WriteString(printable(string(word)))
		}
	}
	return b.String()
}

func (s *setup) showNotes(p *plan.Plan) {
	if len(p.Notes) == 0 {
		return
	}
	s.say("\nTo know:")
	for _, note := range p.Notes {
		s.say("  - %s", printable(note))
	}
}

// refused says why there is no plan.
func (s *setup) refused(r *report) error {
	s.say("")
	for _, refusal := range r.Refusals {
		s.say("%s: %s\n  hint: %s", printable(refusal.Where), printable(refusal.Why), printable(refusal.Hint))
	}
	return s.after(r, s.fail(errRefused, ""))
}

// showChecks shows what was tried, what went well in a line for all services, and returns an error where
// something failed.
func (s *setup) showChecks(checks []trial.Check) error {
	failed := s.showTried(checks)
	if failed > 0 {
		return s.fail(fmt.Errorf("%d of %d checks failed: nothing was changed", failed, len(checks)), "")
	}
	return nil
}

// showTried shows what was tried, and returns how much failed that was no warning.
func (s *setup) showTried(checks []trial.Check) (failed int) {
	var order []string
	services := map[string][]string{}
	for _, c := range checks {
		if !c.OK {
			if !c.Warning {
				failed++
			}
			continue
		}
		if services[c.What] == nil {
			order = append(order, c.What)
		}
		services[c.What] = append(services[c.What], c.Service)
	}
	if len(checks) > 0 {
		s.say("\nTried on a copy, with the account %q (the right password is assumed):", s.who)
		for _, what := range order {
			s.say("  ok      %s (%s)", what, strings.Join(services[what], ", "))
		}
		s.showFailed(checks)
	}
	return failed
}

// showLeft names what isn't taken back, and what a person can do about it.
func (s *setup) showLeft(p *plan.Plan) {
	if len(p.Refusals) > 0 {
		s.say("\nNot taken back:")
	}
	for _, r := range p.Refusals {
		s.say("  %s: %s\n    hint: %s", printable(r.Where), printable(r.Why), printable(r.Hint))
	}
}

func (s *setup) showFailed(checks []trial.Check) {
	for _, check := range checks {
		if check.OK {
			continue
		}
		verdict := "FAILED "
		if check.Warning {
			verdict = "warning"
		}
		s.say("  "+verdict+" %s (%s)\n          %s", check.What, check.Service, printable(check.Cause))
		if check.Hint != "" {
			s.say("          hint: %s", printable(check.Hint))
		}
	}
}
