package main

import (
	"fmt"
	"strings"

	"golang.org/x/term"

	"github.com/totpd/totpd/cli/internal/doctor"
)

// severities are the findings' in the order in which people read them, with the colour of each.
var severities = []struct {
	severity doctor.Severity
	colour   string
}{{doctor.Error, "1;31"}, {doctor.Warning, "1;33"}, {doctor.Note, "1"}}

// printReport prints the findings, the worst first, then what is fine and what could not be seen.
func (c *command) printReport(r *doctor.Report, quiet bool) error {
	var b strings.Builder
	paint := c.painter()
	for _, s := range severities {
		for _, f := range r.Findings {
			if f.Severity != s.severity || quiet && s.severity == doctor.Note {
				continue
			}
			fmt.Fprintf(&b, "%s: %s [%s]\n", paint(s.colour, string(f.Severity)), printable(f.Text), f.ID)
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
			fmt.Fprintf(&b, "%s: %s: %s\n", paint("32", "ok"), l.Topic, printable(l.Text))
		}
		for _, l := range r.Unseen {
			fmt.Fprintf(&b, "%s: %s: %s\n", paint("33", "not seen"), l.Topic, printable(l.Text))
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
	if len(parts) == 0 {
		return "Nothing is wrong."
	}
	return strings.Join(parts, ", ") + "."
}

// painter returns what colours a word, on a terminal of somebody who wants colours. The words say all.
func (c *command) painter() func(colour, word string) string {
	if !term.IsTerminal(int(c.out.Fd())) || c.env("NO_COLOR") != "" || c.env("TERM") == "dumb" {
		return func(_, word string) string { return word }
	}
	return func(colour, word string) string { return "\x1b[" + colour + "m" + word + "\x1b[m" }
}
