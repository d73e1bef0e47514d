package main

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// Every verb that people see is in a group, whose title help shows; and no verb came past the list.
func TestVerbsAreGrouped(t *testing.T) {
	root := newRoot(&command{out: os.Stdout, err: os.Stderr})
	root.InitDefaultHelpCmd()
	titles := map[string]string{}
	for _, g := range root.Groups() {
		titles[g.ID] = g.Title
	}
	listed := map[string]bool{"help": true}
	for _, g := range groups {
		for _, verb := range g.verbs {
			listed[verb(&command{}).Name()] = true
		}
	}
	for _, v := range root.Commands() {
		if v.Hidden != (v.GroupID == "") || !v.Hidden && titles[v.GroupID] == "" {
			t.Errorf("%s: hidden %v, in the group %q", v.Name(), v.Hidden, v.GroupID)
		}
		if !listed[v.Name()] {
			t.Errorf("%s is not among the groups", v.Name())
		}
	}
}

// In each state there are three to six things to do, and each is a command that there is.
func TestSteps(t *testing.T) {
	soon := time.Now().Add(time.Minute)
	for name, a := range map[string]control.Account{
		"nothing": {}, "begun": {PendingUntil: soon}, "on": {Enrolled: true}, "waits": {Enrolled: true, WaitUntil: soon},
		"locked": {Enrolled: true, Locked: true}, "wrong codes before": {Failures: 3},
		"many codes": {Enrolled: true, RecoveryLeft: 10}, "computers": {Enrolled: true, Remembered: 2, RecoveryLeft: 2}, "many codes, locked": {Enrolled: true, RecoveryLeft: 10, Locked: true},
	} {
		for _, root := range []bool{false, true} {
			for _, answers := range []bool{false, true} {
				if !answers && name != "nothing" {
					continue
				}
				n := 0
				for _, s := range steps {
					if s.fits(overview{account: a, answers: answers, root: root}) {
						n++
					}
				}
				if n < 3 || n > 6 {
					t.Errorf("%s, root %v, answers %v: %d things to do", name, root, answers, n)
				}
			}
		}
	}
	root := newRoot(&command{out: os.Stdout, err: os.Stderr})
	root.InitDefaultHelpCmd()
	for _, s := range steps {
		if err := parses(root, s.command); err != nil {
			t.Errorf("totpctl %s: %v", s.command, err)
		}
	}
}

// parses says whether a command line is one that totpctl has.
func parses(root *cobra.Command, line string) error {
	cmd, rest, err := root.Find(strings.Fields(line))
	if err == nil && cmd == root {
		err = noVerb(root, rest)
	}
	if err == nil && cmd.Name() != "help" {
		if err = cmd.ParseFlags(rest); err == nil {
			err = cmd.ValidateArgs(cmd.Flags().Args())
		}
	} else if err == nil {
		err = parses(root, strings.Join(rest, " "))
	}
	return err
}
