package main

import (
	"context"
	"os"
	"os/exec"
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
	verb := "disable"
	if on {
		verb = "enable"
	}
	ctx, stop := context.WithTimeout(context.Background(), toolMax)
	defer stop()
	out, err := exec.CommandContext(ctx, "systemctl", append([]string{"--quiet", verb, "--now"}, watchers...)...).CombinedOutput()
	if err != nil {
		s.say("systemctl %s --now %s: %v: %s", verb, strings.Join(watchers, " "), err, strings.TrimSpace(string(out)))
	}
}
