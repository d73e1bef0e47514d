package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/doctor"
	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/daemon/control"
)

// checkReport is what --check --json prints.
type checkReport struct {
	InPlace     bool               `json:"in_place"`
	Wanted      []string           `json:"wanted"` // the commands that were given, or what they come to
	Differences []reportDifference `json:"differences"`
}

type reportDifference struct {
	Where  string `json:"where"`
	What   string `json:"what"`
	Remedy string `json:"remedy"`
	Diff   string `json:"diff,omitempty"` // what setup would change
}

// errDiffers ends --check with status 1 after it has told what differs.
var errDiffers = errors.New("not everything is as totpctl setup would have it")

// check tells whether what setup has done, or would do with these options, is in place. It changes nothing.
func (s *setup) check(ctx context.Context, named bool) error {
	r, err := s.examine(ctx, named)
	if err != nil {
		return err
	}
	if s.watchful {
		return s.tellDifferences(ctx, named, r)
	}
	if s.json {
		err = s.printJSON(r)
	} else {
		s.showDifferences(r)
	}
	if err == nil && !r.InPlace {
		err = s.fail(errDiffers, "")
	}
	return err
}

// examine compares. Without options, with what the journal says was asked for.
func (s *setup) examine(ctx context.Context, named bool) (*checkReport, error) {
	wants := plan.Wanted(s.journal.Records(), s.journal.Tools())
	if named || s.ssh != "" || s.one {
		w := plan.Want{Services: s.services, SSH: plan.Mode(s.ssh), OnePrompt: s.one}
		for _, was := range wants {
			if w.SSH == "" {
				w.SSH = was.SSH
			}
		}
		if w.SSH == "" && slices.ContainsFunc(w.Services, func(n string) bool { return n == "sshd" || n == plan.All }) {
			return nil, &misuse{"setup: say what ssh shall ask for", "--ssh takes one of " + modes()}
		}
		wants = []plan.Want{w}
	}
	r := &checkReport{Wanted: []string{}, Differences: []reportDifference{}}
	for _, w := range wants {
		r.Wanted = append(r.Wanted, w.Command())
	}
	if len(wants) == 0 {
		r.Differences = append(r.Differences, reportDifference{
			Where: change.Dir, What: "totpctl setup has changed nothing on this host", Remedy: "totpctl setup"})
	}
	for _, d := range plan.Missing(ctx, s.host, wants) {
		told := reportDifference{Where: d.Where, What: d.What, Remedy: d.Command}
		if d.First != "" {
			told.Remedy = d.First + "; then: " + d.Command
		}
		if d.File != nil {
			told.Diff = unified(*d.File)
		}
		r.Differences = append(r.Differences, told)
	}
	if s.root != "/" { // the rest is about a host that runs
		r.InPlace = len(r.Differences) == 0
		return r, nil
	}
	host := examined
	host.Version, host.UID, host.Now, host.Root = version, 0, s.now(), strings.TrimSuffix(s.root, "/")
	report := doctor.Logins(ctx, host)
	for _, f := range report.Findings {
		if f.Severity == doctor.Error || f.ID == "sshd-stale" {
			r.Differences = append(r.Differences, reportDifference{Where: f.Place, What: f.Text, Remedy: f.Remedy})
		}
	}
	r.InPlace = len(r.Differences) == 0
	return r, nil
}

func (s *setup) showDifferences(r *checkReport) {
	for _, d := range r.Differences {
		fmt.Fprintf(s.out, "%s: %s\n", printable(d.Where), printable(d.What))
		fmt.Fprint(s.out, printableLines(d.Diff))
		fmt.Fprintf(s.out, "  remedy: %s\n", printable(d.Remedy))
	}
	if r.InPlace {
		s.say("All is in place: %s.", strings.Join(r.Wanted, "; "))
	}
}

// settleTime is how long a difference must last to be told: files change one after the other.
const settleTime = 5 * time.Second

// lostMessage is the MESSAGE_ID of the daemon's line, which the catalog explains.
const lostMessage = "a1f0c9d27b5e4d0b8f36e2c47d915b0e"

// tellDifferences has the daemon tell what differs, and does so itself where there is none.
func (s *setup) tellDifferences(ctx context.Context, named bool, r *checkReport) error {
	if !r.InPlace {
		select {
		case <-time.After(settleTime):
		case <-ctx.Done():
			return ctx.Err()
		}
		if change.Busy(s.root) { // setup is at work, and will be followed by another check
			return nil
		}
		s.close()
		if err := s.open(); err != nil {
			return s.fail(err, "")
		}
		if s.journal.Empty() && !named { // taken back meanwhile
			return nil
		}
		var err error
		if r, err = s.examine(ctx, named); err != nil {
			return err
		}
	}
	lost := []string{}
	for _, d := range r.Differences {
		lost = append(lost, d.Where+": "+d.What)
	}
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	err := s.client().Setup(within, control.SetupRequest{Lost: lost})
	if r.InPlace {
		return nil
	}
	if err != nil && journal.Enabled() {
		text := "logins are no longer as totpctl setup made them: " + strings.Join(lost, "; ")
		_ = journal.Send(text, journal.PriErr, map[string]string{"MESSAGE_ID": lostMessage, "SYSLOG_IDENTIFIER": "totpctl",
			"TOTPD_KIND": "setup", "TOTPD_RESULT": "lost", "TOTPD_DETAIL": strings.Join(lost, "; ")})
	}
	s.showDifferences(r)
	return s.fail(errDiffers, "")
}
