package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/server"
)

// strangersTime is how long is looked for names that nobody has.
const strangersTime = 10 * time.Second

// strangers returns a line for each user and group of the rules, and each user of a speaker, that this host
// doesn't know or knows by another spelling: it matches nobody. It ends where the name service gives no answer.
func strangers(ctx context.Context, cfg config.Config, names *server.Names) []string {
	ctx, cancel := context.WithTimeout(ctx, strangersTime)
	defer cancel()
	var lines []string
	for i, s := range cfg.Speakers {
		tell := func(format string, args ...any) {
			lines = append(lines, fmt.Sprintf("totpd.toml line %d, speaker %d: ", s.Line, i+1)+fmt.Sprintf(format, args...))
		}
		switch name, err := names.Canonical(ctx, s.User); {
		case errors.Is(err, login.ErrUnknownUser):
			tell("there is no user %q on this host", s.User)
		case err != nil:
			tell("user %q can't be looked up: %v", s.User, err)
			return lines
		case name != s.User:
			tell("user %q is never met, since the host writes %q", s.User, name)
		}
		for _, service := range s.Services {
			if !isService(service) {
				tell("there is no service %q: no such file in %s", service, strings.Join(pamDirs, ", "))
			}
		}
	}
	for i, r := range cfg.Rules {
		tell := func(format string, args ...any) {
			lines = append(lines, fmt.Sprintf("totpd.toml line %d, rule %d: ", r.Line, i+1)+fmt.Sprintf(format, args...))
		}
		for _, user := range r.Users {
			switch name, err := names.Canonical(ctx, user); {
			case errors.Is(err, login.ErrUnknownUser):
				tell("there is no user %q on this host", user)
			case err != nil:
				tell("user %q can't be looked up: %v", user, err)
				return lines
			case name != user:
				tell("user %q is never met, since the host writes %q", user, name)
			}
		}
		for _, group := range r.Groups {
			switch has, err := names.HasGroup(ctx, group); {
			case err != nil:
				tell("group %q can't be looked up: %v", group, err)
				return lines
			case !has:
				tell("there is no group %q on this host, so nobody can tell who is in it, and the strictest of this rule and those after it holds for all", group)
			}
		}
	}
	return lines
}

// pamDirs are where libpam looks for the file of a service.
var pamDirs = []string{"/etc/pam.d", "/usr/lib/pam.d", "/usr/etc/pam.d"}

// isService tells whether PAM has a file for a service. Where none of the directories can be seen, nothing is said
// against it.
func isService(name string) bool {
	seen := false
	for _, dir := range pamDirs {
		_, err := os.Stat(dir)
		seen = seen || err == nil
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return !seen
}

// tellStrangers tells them in the journal.
func (d *daemon) tellStrangers(cfg config.Config) {
	for _, line := range strangers(context.Background(), cfg, d.names) {
		d.log.Print(line)
	}
}

// check explains the settings, or where a table is named, tests the rules against it.
func check(cfg config.Config, table string, out io.Writer, l *log.Logger) error {
	names := server.NewNames()
	for _, line := range strangers(context.Background(), cfg, names) {
		l.Print(line)
	}
	if table == "" {
		return cfg.Explain(out)
	}
	expected, err := config.LoadExpectations(table)
	if err != nil {
		return err
	}
	failed := 0
	for _, e := range expected {
		text, err := compare(e, cfg.Rules, names)
		if err != nil {
			return fmt.Errorf("%s:%d: %w", table, e.Line, err)
		}
		if text == "" {
			continue
		}
		failed++
		if _, err := fmt.Fprintf(out, "%s:%d: %s", table, e.Line, text); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d expectations are not met", failed, len(expected))
	}
	return nil
}

// compare returns how a decision differs from what is expected.
func compare(e config.Expectation, rules policy.Rules, names *server.Names) (string, error) {
	q := policy.Question{User: e.User, Groups: e.Groups, Service: e.Service, Source: e.Source(), Now: e.On}
	if e.On.IsZero() {
		q.Now = time.Now()
	}
	if e.Asks {
		var err error
		q, err = rules.WithGroups(q, func(among []string) (in, unknown []string, err error) {
			return names.GroupsOf(context.Background(), e.User, among)
		})
		if err != nil {
			return "", fmt.Errorf("find the groups of %s: %w; name them: groups = [...]", e.User, err)
		}
	}
	d := policy.Decide(rules, q)
	difference := e.Difference(d)
	if difference == "" {
		return "", nil
	}
	by := d.Reason
	if d.Doubt != "" {
		by += "; " + d.Doubt
	}
	return fmt.Sprintf("%s: by %s\n%s", e, by, difference), nil
}
