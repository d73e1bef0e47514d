package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// expectFile is the table that policy test goes by.
const expectFile = "/etc/totpd/expect.toml"

func newPolicy(c *command) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "policy COMMAND [OPTIONS]",
		Short: "Show or test the rules that say who needs a code",
		Long: `Show what the rules of totpd.toml(5) say about a login, or test new rules
before they are put in place.`,
		Example:               "  totpctl policy explain --service sudo",
		DisableFlagsInUseLine: true,
		Args:                  noVerb,
		RunE:                  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPolicyExplain(c), newPolicyTest(c))
	return cmd
}

func newPolicyExplain(c *command) *cobra.Command {
	var r control.PolicyRequest
	cmd := &cobra.Command{
		Use:   "explain [USER] [OPTIONS]",
		Short: "Show which rule decides about a login, and why",
		Long: `Show which rule of totpd.toml(5) decides whether a login is asked for a code,
which conditions of those before it are not met, and what comes of it: whether
a code is asked for, until when one need not be set up, and whether that can be
done inside the login.

Without USER it is your own login; that of somebody else is for root to see, and
for whom polkit allows org.totpd.manage.status.

Some conditions can't be evaluated: the network of a host that is known by its
name only, or a group that this host doesn't know. Then the strictest rule of
those that may match decides. --from NAME shows what that comes to.

--json prints one object: user, service, from, rules up to the one that decides
(each with line, unmet, its conditions that are not met, and unknown, those that
can't be evaluated), require, doubt (why the strictest rule decides),
must_enrol, enrolled, enrol_here, asks, remember (days), grace (minutes) and,
enrol_by and days_left.`,
		Example:           "  totpctl policy explain --service sshd --from 192.0.2.7",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			if r.From == "" || strings.ContainsAny(r.From, "/ \t\n") {
				return &misuse{fmt.Sprintf("--from is an address, the name of a host, or local, not %q", r.From), "totpctl help policy explain"}
			}
			r.User = userOf(args)
			return c.explainPolicy(cmd.Context(), r)
		},
	}
	cmd.Flags().StringVar(&r.Service, "service", "sshd", "through the PAM service `NAME`")
	cmd.Flags().StringVar(&r.From, "from", "local", "from `HOST`: an address, a name, or local")
	return c.withPolkit(c.withJSON(cmd))
}

func (c *command) explainPolicy(ctx context.Context, r control.PolicyRequest) error {
	const verb = "policy explain"
	var p control.Policy
	err := c.forUser(ctx, r.User, toLook, func(ctx context.Context, client *control.Client) (err error) {
		p, err = client.Policy(ctx, r)
		return err
	})
	if err != nil {
		return failed(verb, r.User, err)
	}
	if c.json {
		return failed(verb, r.User, c.printJSON(p))
	}
	var text strings.Builder
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(table, "%s:\t%s\n", name, printable(fmt.Sprintf(format, args...)))
	}
	row("login", "%s through %s, %s", p.User, p.Service, origin(p.From))
	decided := false
	for i, rule := range p.Rules {
		name := fmt.Sprintf("rule %d, line %d", i+1, rule.Line)
		decided = len(rule.Unmet)+len(rule.Unknown) == 0
		switch {
		case len(rule.Unmet) > 0:
			row(name, "doesn't match: %s", conditionsIn(whyNot, rule.Unmet, p))
		case !decided:
			row(name, "may match: %s", conditionsIn(whyUnknown, rule.Unknown, p))
		case p.Doubt != "":
			row(name, "matches")
		default:
			row(name, "decides: %s", demand(p))
		}
	}
	switch {
	case p.Doubt != "" && !decided:
		row("strictest", "of these rules and the default decides: %s", demand(p))
	case p.Doubt != "":
		row("strictest", "of these rules decides: %s", demand(p))
	case !decided:
		row("default", "decides: %s", demand(p))
	}
	if p.MustEnrol {
		row("reset", "by root: it must be set up again")
	}
	row("set up", "%s", yesNo(p.Enrolled))
	row("asks for", "%s", asksFor(p))
	if p.Asks == control.AsksCode || p.Asks == control.AsksToEnrol {
		row("remember", "%s", upTo(p.Remember, "day", "a computer"))
		row("grace", "%s", upTo(p.Grace, "minute", "a terminal session"))
	}
	table.Flush()
	_, err = fmt.Fprint(c.out, text.String())
	return failed(verb, r.User, err)
}

func origin(from string) string {
	if from == "local" {
		return "on this host"
	}
	return "from " + from
}

// whyNot says in words that a login doesn't meet a condition.
func whyNot(key string, p control.Policy) string {
	return map[string]string{
		"users":    p.User + " is none of its users",
		"groups":   p.User + " is in none of its groups",
		"services": p.Service + " is none of its services",
		"from":     "it isn't for logins " + origin(p.From),
	}[key]
}

// whyUnknown says in words that nobody can tell whether a login meets a condition.
func whyUnknown(key string, _ control.Policy) string {
	return map[string]string{
		"users":    "one of its users differs in upper and lower case only",
		"groups":   "this host doesn't know one of its groups",
		"services": "one of its services differs in upper and lower case only",
		"from":     "a name doesn't tell the address of a host",
	}[key]
}

// conditionsIn puts conditions in words.
func conditionsIn(words func(string, control.Policy) string, keys []string, p control.Policy) string {
	var all []string
	for _, key := range keys {
		all = append(all, cmp.Or(words(key, p), key))
	}
	return strings.Join(all, "; ")
}

// demand is what was decided.
func demand(p control.Policy) string {
	switch p.Require {
	case "exempt":
		return "nobody is asked for a code"
	case "optional":
		return "whoever has set up a second factor is asked for a code"
	case "required":
		if p.EnrolBy.IsZero() {
			return "a code is required"
		}
		return fmt.Sprintf("a code is required from %s on, in %s", p.EnrolBy.Local().Format(time.DateOnly), counted(p.DaysLeft, "day"))
	}
	return p.Require
}

func asksFor(p control.Policy) string {
	switch p.Asks {
	case control.AsksNothing:
		return "no code"
	case control.AsksCode:
		return "a code"
	case control.AsksToEnrol:
		return "setting it up, inside the login"
	case control.AsksTooMuch:
		return "a code, without which nobody gets in; it can't be set up in such a login"
	}
	return string(p.Asks)
}

func upTo(n int, unit, what string) string {
	if n == 0 {
		return "no"
	}
	return what + " for up to " + counted(n, unit)
}

func newPolicyTest(c *command) *cobra.Command {
	var table string
	cmd := &cobra.Command{
		Use:   "test FILE [OPTIONS]",
		Short: "Test a new configuration against expected decisions",
		Long: `Test a configuration before it is put in place: whether it has errors, and
whether its rules decide as a table expects. For each expectation that is not
met, lines with "-" say what is expected and lines with "+" what would be
decided, and the exit status is 1. No daemon is needed, and none is changed.

The table has entries such as this one; see totpd.toml(5):

  [[expect]]
  user = "backup"
  groups = ["service-accounts"]
  from = "10.1.2.3"
  require = "exempt"`,
		Example: "  totpctl policy test new.toml --table expect.toml",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return &misuse{fmt.Sprintf("one configuration is tested at a time, not %d", len(args)), "totpctl policy test FILE"}
			}
			return nil
		},
		DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.testPolicy(cmd.Context(), args[0], table)
		},
	}
	cmd.Flags().StringVar(&table, "table", expectFile, "the `FILE` of expectations")
	return cmd
}

// testPolicy has the daemon's program test, which alone knows what rules mean.
func (c *command) testPolicy(ctx context.Context, file, table string) error {
	var talk strings.Builder
	test := exec.CommandContext(ctx, offlineProgram, "-check", "-config", file, "-expect", table)
	test.Stdout, test.Stderr = c.out, &talk
	err := test.Run()
	var lines []string
	for line := range strings.Lines(talk.String()) {
		lines = append(lines, printable(strings.TrimPrefix(strings.TrimSpace(line), "totpd: ")))
	}
	failure := &failure{verb: "policy test", user: file, err: err, hint: "correct it, or the table where that is wrong, and test again"}
	if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 1 && len(lines) > 0 {
		last := len(lines) - 1
		failure.err, lines = errors.New(lines[last]), lines[:last]
	} else if err != nil {
		failure.hint = "install totpd again: " + offlineProgram + " is to test it"
	}
	for _, line := range lines {
		c.say("%s", line)
	}
	if err != nil {
		return failure
	}
	c.say("All is as %s expects.", printable(table))
	return nil
}
