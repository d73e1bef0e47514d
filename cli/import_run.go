package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/totpd/totpd/cli/internal/foreign"
	"github.com/totpd/totpd/daemon/control"
)

// errNotAll says that some were not taken over, which the report has told.
var errNotAll = fmt.Errorf("not all were taken over: %w", errUnwell)

// requestMax is the size of a request, in bytes, below the daemon's limit.
const requestMax = 48 << 10

// importReport is what import prints.
type importReport struct {
	DryRun   bool       `json:"dry_run"`
	Taken    []takenOne `json:"taken"`
	NotTaken []leftOne  `json:"not_taken"`
}

type takenOne struct {
	User          string   `json:"user"`
	Devices       []string `json:"devices"`
	RecoveryCodes int      `json:"recovery_codes"`
	Places        []string `json:"places"`
	Notes         []string `json:"notes,omitempty"`
}

type leftOne struct {
	User    string   `json:"user,omitempty"`
	Places  []string `json:"places"`
	Reasons []string `json:"reasons"`
}

// takeOver asks the daemon to take users over, several at a time. Ctrl-C ends it between two requests: what
// is done then stays done, and the report has it.
func (c *command) takeOver(ctx context.Context, found []foreign.Found, o importOptions) (*importReport, error) {
	report := &importReport{DryRun: o.dryRun, Taken: []takenOne{}, NotTaken: []leftOne{}}
	var able []foreign.Found
	for _, f := range found {
		if len(f.Refused) > 0 {
			report.leave(f, f.Refused...)
		} else {
			able = append(able, f)
		}
	}
	if len(able) == 0 {
		return report, nil
	}
	bar := c.progress("users taken over", len(able))
	defer bar.done()
	asked := 0
	var err error
	for some := range requests(able) {
		if err = ctx.Err(); err != nil {
			break
		}
		r := control.ImportRequest{Replace: o.replace, DryRun: o.dryRun}
		for _, f := range some {
			r.Users = append(r.Users, f.ImportUser)
		}
		var done control.Imported
		// What is under way is seen to its end.
		if done, err = c.client().Import(context.WithoutCancel(ctx), r); err != nil {
			break
		}
		for i, outcome := range done.Users {
			report.add(some[i], outcome)
		}
		asked += len(some)
		bar.step(len(some))
	}
	if err != nil && asked == 0 {
		return nil, err
	}
	for _, f := range able[asked:] {
		why := "interrupted"
		if ctx.Err() == nil {
			why = err.Error()
		}
		report.leave(f, "not asked for: "+why)
	}
	return report, nil
}

// requests yields users in the portions that the daemon takes.
func requests(all []foreign.Found) func(yield func([]foreign.Found) bool) {
	return func(yield func([]foreign.Found) bool) {
		begin, size := 0, 0
		for i, f := range all {
			text, _ := json.Marshal(f.ImportUser) // its size alone: nothing in it can fail
			if i > begin && (i-begin == control.ImportMax || size+len(text) > requestMax) {
				if !yield(all[begin:i]) {
					return
				}
				begin, size = i, 0
			}
			size += len(text) + 1
		}
		yield(all[begin:])
	}
}

// add notes the daemon's outcome.
func (r *importReport) add(f foreign.Found, outcome control.ImportOutcome) {
	if e := outcome.Error; e != nil {
		reason := strings.TrimPrefix(e.Message, "import "+outcome.User+": ")
		switch {
		case e.Code == control.ErrAlreadyEnrolled:
			reason += ": --replace takes the user over all the same"
		case e.Reference != "":
			reason += " (reference " + e.Reference + ")"
		}
		r.leave(f, reason)
		return
	}
	one := takenOne{User: outcome.User, RecoveryCodes: len(f.Recovery), Places: f.Places, Notes: f.Notes}
	for _, d := range f.Devices {
		one.Devices = append(one.Devices, d.Name)
	}
	r.Taken = append(r.Taken, one)
}

// leave notes who isn't taken over.
func (r *importReport) leave(f foreign.Found, reasons ...string) {
	r.NotTaken = append(r.NotTaken, leftOne{f.User, f.Places, reasons})
}

// printImport prints the report: who was taken over, what was left out, and who wasn't.
func (c *command) printImport(r *importReport) error {
	if c.json {
		return c.printJSON(r)
	}
	var b strings.Builder
	taken, left := "taken over", "not taken over"
	if r.DryRun {
		taken, left = "would be taken over", "would not be taken over"
	}
	colour := c.colours()
	notes := map[string][]string{}
	var order []string
	for _, t := range r.Taken {
		what := strings.Join(t.Devices, ", ")
		if t.RecoveryCodes > 0 {
			what += ", " + counted(t.RecoveryCodes, "recovery code")
		}
		fmt.Fprintf(&b, "%s: %s (%s)\n", colour.good(taken), printable(t.User), printable(what))
		for _, n := range t.Notes {
			if notes[n] == nil {
				order = append(order, n)
			}
			notes[n] = append(notes[n], t.User)
		}
	}
	for _, n := range order {
		fmt.Fprintf(&b, "%s: %s [%s]\n", colour.warn("note"), printable(n), printable(some(notes[n])))
	}
	for _, l := range r.NotTaken {
		who, where := l.User, " ["+some(l.Places)+"]"
		if who == "" {
			who, where = some(l.Places), ""
		}
		fmt.Fprintf(&b, "%s: %s: %s%s\n", colour.bad(left), printable(who), printable(strings.Join(l.Reasons, "; ")), printable(where))
	}
	fmt.Fprintf(&b, "%s %s, %d not.\n", counted(len(r.Taken), "user"), taken, len(r.NotTaken))
	_, err := io.WriteString(c.out, b.String())
	return err
}

// bar shows a person how far a long work is. Its methods may be called at the same time.
type bar struct {
	to    io.Writer // nil: nobody looks, or it is short
	what  string
	total int
	steps chan int
	ended chan struct{}
}

// barFrom is from how much work on there is a bar.
const barFrom = 50

// progress begins a bar, where there is a terminal that can draw one.
func (c *command) progress(what string, total int) *bar {
	b := &bar{what: what, total: total}
	if total <= barFrom || c.env("TERM") == "dumb" || !term.IsTerminal(int(os.Stderr.Fd())) {
		return b
	}
	b.to, b.steps, b.ended = c.err, make(chan int, 64), make(chan struct{})
	go b.draw()
	return b
}

func (b *bar) step(n int) {
	if b.to != nil {
		b.steps <- n
	}
}

// done takes the bar away again.
func (b *bar) done() {
	if b.to != nil {
		close(b.steps)
		<-b.ended
	}
}

func (b *bar) draw() {
	defer close(b.ended)
	const width = 30
	n, shown := 0, -1
	for steps := range b.steps {
		n += steps
		if percent := 100 * n / b.total; percent != shown {
			shown = percent
			full := width * n / b.total
			fmt.Fprintf(b.to, "\r[%s%s] %d of %d %s", strings.Repeat("#", full), strings.Repeat(".", width-full), n, b.total, b.what)
		}
	}
	fmt.Fprintf(b.to, "\r%s\r", strings.Repeat(" ", width+len(b.what)+30))
}
