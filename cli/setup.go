package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/cli/internal/sshd"
	"github.com/totpd/totpd/cli/internal/stack"
)

// setup is one run of the verb.
type setup struct {
	*command
	services []string
	ssh      string
	one      bool // prompt
	dryRun   bool
	undo     bool
	asks     bool // whether all is in place
	watchful bool // have the daemon tell what isn't: for the unit
	removal  bool // take back only if nothing else needs the module then
	yes      bool

	root   string // for tests and for trees that are no host yet: "/" is this host
	module string // for tests: our module, where libpam wouldn't find it

	wanted  plan.Want // by options and answers
	journal *change.Journal
	host    *plan.Host
	scratch string
	who     string // as whom logins are tried
}

func newSetup(c *command) *cobra.Command {
	s := &setup{command: c}
	cmd := &cobra.Command{
		Use:   "setup [OPTIONS]",
		Short: "Turn the second factor on for the logins of this host (root)",
		Long: `Turn the second factor on: look at the host, show the exact changes to PAM's and
sshd's files, try them on a copy, ask, keep a backup, apply. Users who
have not enrolled get in as before, unless a [[rule]] of totpd.toml says
otherwise.

Services are ssh (sshd), the console (login), su, sudo and others below
/etc/pam.d; "all" is every service that shares the common stack, by
pam-auth-update or authselect. What includes a changed file is named and tried;
programs that can't ask for a code are left out, with the reason. What ssh
asks for:

  any+code              a key or the password, and then a code
  password+code         the password and a code; no longer a key alone
  key+code              a key and a code; no longer the password
  key-or-password+code  a key alone, or the password and a code

With --one-prompt the password is typed with a code right behind it, for
programs that show only one prompt: sshd's password method, display managers,
Ansible's become.

On a terminal, what isn't said is asked. Keep a root shell open, and try a
second login right afterwards. --undo takes everything back.

--check tells whether all is in place that setup has done or, with --service and
--ssh, would do. It changes nothing and prints what differs: for configuration
management, and for totpd-check.timer, which setup turns on. Exit status: 0 all
is in place, 1 something differs, 2 wrong usage. With --json it prints in_place,
wanted (array of commands) and differences (where, what, remedy, diff).

--json prints one object: applied, services (name, already), changes (path, by,
diff), notes, checks (service, what, ok, cause, hint, warning) and refusals
(where, why, hint).`,
		Example: "  totpctl setup --service sshd,sudo --ssh any+code --dry-run",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return s.run(cmd.Context(), cmd.Flags().Changed("service"))
		},
	}
	f := cmd.Flags()
	f.StringSliceVar(&s.services, "service", []string{"sshd"}, "the services, as `NAME`,NAME or all")
	f.StringVar(&s.ssh, "ssh", "", "what ssh asks for, as `MODE`: any+code, password+code, ...")
	f.BoolVar(&s.one, "one-prompt", false, "have password and code typed together")
	f.BoolVarP(&s.dryRun, "dry-run", "n", false, "show and try the changes, and apply nothing")
	f.BoolVar(&s.undo, "undo", false, "take back what setup has changed")
	f.BoolVar(&s.asks, "check", false, "tell whether all is in place, and change nothing")
	f.BoolVar(&s.watchful, "report", false, "with --check: have the daemon tell what differs")
	f.BoolVarP(&s.yes, "yes", "y", false, "apply without asking")
	f.StringVar(&s.root, "root", "/", "the host's root directory")
	f.StringVar(&s.module, "module", "", "where pam_totpd.so is")
	f.BoolVar(&s.removal, "before-removal", false, "with --undo: refuse where other lines name the module")
	for _, name := range []string{"root", "module", "before-removal", "report"} {
		if err := f.MarkHidden(name); err != nil {
			panic(err)
		}
	}
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	s.complete(cmd, "ssh", func() []string { return strings.Split(modes(), ", ") })
	s.complete(cmd, "service", func() []string {
		return append(plan.Offered(&plan.Host{Root: s.root, Tree: stack.Open(s.root)}), plan.All)
	})
	return c.withJSON(cmd)
}

// complete offers words for an option's value.
func (s *setup) complete(cmd *cobra.Command, option string, words func() []string) {
	offer := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words(), cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc(option, offer); err != nil {
		panic(err)
	}
}

// errRefused ends a verb after it has said why.
var errRefused = errors.New("nothing was changed")

func (s *setup) run(ctx context.Context, named bool) error {
	if err := s.checkUse(); err != nil {
		return err
	}
	if os.Geteuid() != 0 && s.root == "/" {
		what := "it changes files of /etc"
		if s.asks {
			what = "it looks at files that root alone may read"
		}
		return s.fail(errors.New(what), "as root: sudo totpctl setup")
	}
	if s.undo && !change.Exists(s.root) {
		if !s.yes {
			s.say("There is nothing to take back: totpctl setup has changed nothing here.")
		}
		return s.report(nil)
	}
	if err := s.open(); err != nil {
		hint := ""
		if s.undo && !errors.Is(err, change.ErrBusy) {
			hint = "by hand: take out the lines that /usr/libexec/totpd/pam-lines shows, and remove " + plan.DropIn + "; the files as they were before are in " + backups
		}
		return s.fail(err, hint)
	}
	defer s.close()
	switch {
	case s.undo:
		return s.takeBack(ctx)
	case s.asks:
		return s.check(ctx, named)
	}
	return s.turnOn(ctx, named)
}

// checkUse refuses options that don't go together.
func (s *setup) checkUse() error {
	switch {
	case s.asks && (s.undo || s.dryRun || s.yes):
		return &misuse{"--check changes nothing and asks nothing, so --undo, --dry-run and --yes have no meaning with it", "totpctl setup --check"}
	case s.watchful && !s.asks:
		return &misuse{"--report is for --check", "totpctl setup --check"}
	case s.undo && (s.ssh != ""):
		return &misuse{"--undo takes back everything, so --ssh has no meaning with it", "totpctl setup --undo"}
	case s.undo && s.one:
		return &misuse{"--undo takes back everything, so --one-prompt has no meaning with it", "totpctl setup --undo"}
	case s.one && slices.Contains(s.services, plan.All):
		return &misuse{"--one-prompt is for services that are named: what all of them share asks in two steps", "totpctl setup --one-prompt --service sshd,sudo"}
	case s.one && plan.Mode(s.ssh) == plan.KeyCode:
		return &misuse{"with a key and a code there is no password to type the code with", "leave --one-prompt out, or --ssh " + string(plan.AnyCode)}
	case s.dryRun && s.yes:
		return &misuse{"--dry-run applies nothing, so there is nothing to say --yes to", "leave one of them out"}
	case s.json && !s.dryRun && !s.yes && !s.asks:
		return &misuse{"with --json nobody is asked", "add --dry-run or --yes"}
	case s.ssh != "" && plan.Mode(s.ssh).Says() == "":
		return &misuse{fmt.Sprintf("%q is nothing that ssh can ask for", printable(s.ssh)), "--ssh takes one of " + modes()}
	case !s.in.terminal && !s.dryRun && !s.yes && !s.asks:
		what := "totpctl setup"
		if s.undo {
			what += " --undo"
		}
		return &misuse{"setup: nobody can be asked, standard input is no terminal", "to look: " + what + " --dry-run; to do it without asking: " + what + " --yes"}
	}
	return nil
}

func modes() string {
	var all []string
	for _, m := range plan.Modes {
		all = append(all, string(m))
	}
	return strings.Join(all, ", ")
}

// open looks at the host and takes the record of changes for itself.
func (s *setup) open() (err error) {
	if s.scratch, err = plan.NewScratch(); err != nil && !s.undo {
		return err
	}
	journal := change.Open
	if s.dryRun || s.asks {
		journal = change.Look
	}
	if s.journal, err = journal(s.root); err != nil {
		os.RemoveAll(s.scratch)
		return err
	}
	s.host = &plan.Host{Root: s.root, Tree: stack.Open(s.root).Among(stack.FindModules(s.root, loadModule)), Journal: s.journal, Scratch: s.scratch}
	if s.host.SSHD, err = sshd.Find(s.root); errors.Is(err, sshd.ErrNone) {
		err = nil
	}
	return err
}

func (s *setup) close() {
	s.journal.Close()
	os.RemoveAll(s.scratch)
}

// say is talk, and with --json there is none.
func (s *setup) say(format string, args ...any) {
	if !s.json {
		s.command.say(format, args...)
	}
}

func (s *setup) fail(err error, hint string) error {
	return &failure{verb: "setup", err: err, hint: hint}
}
