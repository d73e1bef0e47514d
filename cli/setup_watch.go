package main

import (
	"context"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// watchers run totpctl setup --check when files change, and now and then.
var watchers = []string{"totpd-check.path", "totpd-check.timer"}

// watch has systemd watch what setup has done, or no longer. Where that can't be had, logins are as they should
// be all the same, so it is told and nothing fails.
func (s *setup) watch(on bool) {
	if s.root != "/" {
		return
	}
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		if on {
			s.say("There is no systemd here: have something else run \"totpctl setup --check\" now and then.")
		}
		return
	}
	steps := [][]string{{"enable", "--now"}}
	if !on {
		// A check that the changes have started has nothing to tell any more.
		steps = [][]string{{"disable", "--now"}, {"stop", "totpd-check.service"}}
	}
	ctx, stop := context.WithTimeout(context.Background(), toolMax)
	defer stop()
	for _, words := range steps {
		if !slices.Contains(words, "stop") {
			words = append(words, watchers...)
		}
		out, err := exec.CommandContext(ctx, "systemctl", append([]string{"--quiet"}, words...)...).CombinedOutput()
		if err != nil {
			s.say("systemctl %s: %v: %s", strings.Join(words, " "), err, strings.TrimSpace(string(out)))
		}
	}
	if !on { // what it found is told no longer; systemd complains where it found nothing
		_ = exec.CommandContext(ctx, "systemctl", "reset-failed", "totpd-check.service").Run()
	}
}
