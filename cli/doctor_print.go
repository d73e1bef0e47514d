package main

import (
	"fmt"
	"strings"

	"github.com/totpd/totpd/cli/internal/doctor"
)

// severities are the findings' in the order in which people read them, with the colour of each.
var severities = []struct {
	severity doctor.Severity
	colour   func(colours, string) string
}{{doctor.Error, colours.bad}, {doctor.Warning, colours.warn}, {doctor.Note, colours.strong}}

// printReport prints the findings, the worst first, then what is fine and what could not be seen.
func (c *command) printReport(r *doctor.Report, quiet bool) error {
	var b strings.Builder
	colour := c.colours()
	for _, s := range severities {
		for _, f := range r.Findings {
			if f.Severity != s.severity || quiet && s.severity == doctor.Note {
				continue
			}
			fmt.Fprintf(&b, "%s: %s [%s]\n", s.colour(colour, string(f.Severity)), printable(f.Text), f.ID)
			if f.Place != "" {
				fmt.Fprintf(&b, "  at: %s\n", printable(f.Place))
			}
			fmt.Fprintf(&b, "  remedy: %s\n", printable(f.Remedy))
		}
	}
	if !quiet {
		if len(r.Findings) > 0 {
			b.WriteString("\n")
		}
		for _, l := range r.Fine {
			fmt.Fprintf(&b, "%s: %s: %s\n", colour.good("ok"), l.Topic, printable(l.Text))
		}
		for _, l := range r.Unseen {
			fmt.Fprintf(&b, "%s: %s: %s\n", colour.warn("not seen"), l.Topic, printable(l.Text))
		}
		fmt.Fprintf(&b, "\n%s\n", sum(r))
	}
	_, err := c.out.WriteString(b.String())
	return err
}

// sum is the report in a line.
func sum(r *doctor.Report) string {
	var parts []string
	for _, s := range severities {
		if n := r.Count(s.severity); n == 1 {
			parts = append(parts, "1 "+string(s.severity))
		} else if n > 1 {
			parts = append(parts, fmt.Sprintf("%d %ss", n, s.severity))
		}
	}
	if len(parts) == 0 && len(r.Unseen) > 0 {
		return "Nothing is wrong with what could be looked at."
	}
	if len(parts) == 0 {
		return "Nothing is wrong."
	}
	return strings.Join(parts, ", ") + "."
}
