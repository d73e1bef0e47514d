package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/cli/internal/stack"
	"github.com/totpd/totpd/cli/internal/trial"
	"github.com/totpd/totpd/daemon/control"
)

// newTrial is for the processes in which logins are tried.
func newTrial(*command) *cobra.Command {
	return &cobra.Command{
		Use:    trialVerb,
		Short:  "Try a login: for totpctl setup",
		Hidden: true,
		Args:   noArgs,
		RunE: func(*cobra.Command, []string) error {
			return failed(trialVerb, "", trial.Run(os.Stdin, os.Stdout))
		},
	}
}

const trialVerb = "try-login"

// tryAll tries the logins of every service of a plan: a few at a time, for a login takes its time to fail.
func (s *setup) tryAll(ctx context.Context, p *plan.Plan) []trial.Check {
	t, err := s.trial(ctx, p.Tree(s.host))
	if err != nil {
		return []trial.Check{{What: "logins can be tried", Cause: err.Error()}}
	}
	results := make([][]trial.Check, len(p.Services))
	places := make(chan struct{}, 4)
	var running sync.WaitGroup
	for i, service := range p.Services {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			results[i] = t.Service(ctx, service.Name, service.Key, service.OnePrompt)
		})
	}
	running.Wait()
	var all []trial.Check
	for _, checks := range results {
		all = append(all, checks...)
	}
	for _, name := range p.LeftOut {
		all = append(all, t.Without(ctx, name, s.host.Tree)...)
	}
	if p.SSH != nil { // the plan would have been refused otherwise
		all = append(all, trial.Check{Service: "sshd", What: "sshd accepts the new settings, and they come to what is meant", OK: true})
	}
	return all
}

func (s *setup) trial(ctx context.Context, tree *stack.Tree) (*trial.Trial, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	s.who = s.trialUser(ctx)
	return &trial.Trial{
		Tree: tree, Scratch: s.scratch, Program: []string{self, trialVerb}, Module: strings.Fields(s.module), User: s.who,
		Required: func(ctx context.Context, service string) bool {
			p, err := s.client().Policy(ctx, control.PolicyRequest{User: s.who, Service: service})
			return err == nil && p.Asks != control.AsksNothing
		},
	}, nil
}

// apply makes the change and has sshd take its settings.
func (s *setup) apply(p *plan.Plan) error {
	c := change.Change{Files: p.Files, Why: s.wanted.Command(), At: s.now(), Tools: s.journal.Tools()}
	forth := &tools{setup: s, files: p.Shared, reload: p.Reload}
	for _, tool := range p.Tools {
		run, record := s.toolCommands(tool)
		forth.run, forth.back = append(forth.run, run), append(forth.back, record)
		c.Tools = append(c.Tools, record)
	}
	c.Finish = forth.finish
	return s.journal.Apply(c)
}

// toolCommands are what to run for a plan's tool, and what takes it back.
func (s *setup) toolCommands(tool string) (run, back string) {
	if tool == plan.PAMAuthUpdate {
		return "pam-auth-update --enable totpd", "pam-auth-update --disable totpd"
	}
	profile, features, err := plan.AuthselectProfile(s.root)
	if err != nil {
		profile = "local"
	}
	words := strings.Fields(tool)
	return strings.Join(append([]string{plan.Authselect, "select"}, words[1:]...), " "),
		strings.Join(append([]string{plan.Authselect, "select", profile}, features...), " ")
}

// tools does what must follow the files: the host's own programs, and the reload of sshd.
type tools struct {
	*setup
	files     []change.File // what the programs are to make
	run, back []string
	reload    bool
	ran       bool
}

// finish is called once to go forth and, after a failure, once more to go back.
func (t *tools) finish() error {
	commands, forth := t.run, !t.ran
	if t.ran {
		commands = t.back
	}
	t.ran = true
	for _, command := range commands {
		if err := t.tool(command); err != nil {
			return err
		}
	}
	if forth {
		if err := t.compare(); err != nil {
			return err
		}
	}
	if !t.reload {
		return nil
	}
	return t.reloadSSHD()
}

// compare makes sure that the programs made what was shown: the same lines, comments aside.
func (t *tools) compare() error {
	for _, f := range t.files {
		now, err := t.journal.Read(f.Path)
		if err != nil {
			return err
		}
		if lines(now) != lines(f.After) {
			return fmt.Errorf("%s has become something else than was tried", f.Path)
		}
	}
	return nil
}

func lines(text []byte) string {
	var b strings.Builder
	for _, l := range stack.Parse("", "", text).Lines {
		fmt.Fprintln(&b, l)
	}
	return b.String()
}

// toolMax is for a program of the host's.
const toolMax = time.Minute

// tool runs a program of the host's, below the root where it knows how.
func (t *tools) tool(command string) error {
	words := strings.Fields(command)
	args := words[1:]
	switch {
	case t.root != "/" && words[0] == plan.PAMAuthUpdate:
		args = append([]string{"--root", t.root}, args...)
	case t.root != "/":
		return fmt.Errorf("%s can't be run for another root", words[0])
	}
	ctx, stop := context.WithTimeout(context.Background(), toolMax)
	defer stop()
	cmd := exec.CommandContext(ctx, words[0], args...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive"}
	if t.root != "/" {
		cmd.Env = plan.DebconfIn(t.scratch)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", command, err, strings.Join(strings.Fields(string(out)), " "))
	}
	return nil
}

// reloadSSHD has a running sshd read its settings again, after it has checked them.
func (s *setup) reloadSSHD() error {
	if s.root != "/" || s.host.SSHD == nil {
		return nil
	}
	ctx, stop := context.WithTimeout(context.Background(), toolMax)
	defer stop()
	if err := s.host.SSHD.Check(ctx); err != nil {
		return err
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		s.say("There is no systemd: have sshd read its settings again yourself.")
		return nil
	}
	for _, unit := range []string{"ssh.service", "sshd.service"} {
		if exec.CommandContext(ctx, "systemctl", "is-active", "--quiet", unit).Run() != nil {
			continue
		}
		if out, err := exec.CommandContext(ctx, "systemctl", "reload", unit).CombinedOutput(); err != nil {
			return fmt.Errorf("systemctl reload %s: %w: %s", unit, err, strings.TrimSpace(string(out)))
		}
		return nil
	}
	return nil // socket-activated or not running: the next one reads them anyway
}
