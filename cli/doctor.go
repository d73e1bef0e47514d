package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/user"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/doctor"
	"github.com/totpd/totpd/cli/internal/stack"
	"github.com/totpd/totpd/daemon/control"
)

// errUnwell says that doctor found errors or warnings, which it has told.
var errUnwell = errors.New("the host has errors or warnings")

func newDoctor(c *command) *cobra.Command {
	var quiet, list bool
	var load string
	cmd := &cobra.Command{
		Use:   "doctor [OPTIONS]",
		Short: "Look at this host and say what is wrong",
		Long: `Look at everything that the second factor of this host's logins depends on: the
PAM module and the stacks it is in, sshd's settings, the daemon with its units,
sockets, settings, store and key, the clock, SELinux and AppArmor, and who has a
second factor or is locked out. Nothing is changed; as root, the daemon is asked
to try what each login needs: to write to its accounts, to look up names, and to
judge a login that is only tried and leaves no trace.

Each finding has a severity, an id, mostly a place, and a remedy to type:
  error    logins fail, or let in without a code where one should be asked for,
           now or after the next restart
  warning  it works, but not as it should or not for long
  note     good to know; nothing need be done
Then come the things that are fine, and those that could not be looked at. Run
it as root: others see less.

Exit status: 0 no error and no warning, 1 at least one, 2 wrong usage.

--json prints one object:
  findings  array of id, severity, topic, text, place and remedy
  fine      array of topic and text
  unseen    array of topic and text: what could not be looked at
  facts     what was learnt: versions, module, services, sshd, units, sockets,
            config, store, key, clock, selinux, apparmor, people
The ids stay from version to version; --list prints them all.`,
		Example: "  totpctl doctor --json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case load != "":
				return failed("doctor", "", doctor.TryModule(load))
			case list:
				return failed("doctor", "", c.doctorKinds())
			case quiet && c.json:
				return &misuse{"--quiet is for people, --json prints for scripts", "leave --quiet out: totpctl doctor --json"}
			}
			return c.doctor(cmd.Context(), quiet)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print errors and warnings only")
	cmd.Flags().BoolVar(&list, "list", false, "print the ids of all findings that there are")
	cmd.Flags().StringVar(&load, "load", "", "load a PAM `FILE`: doctor runs itself so")
	cmd.Flags().MarkHidden("load")
	return c.withJSON(cmd)
}

// examined is this host. Stories put a directory tree in its place.
var examined = doctor.Host{
	Lookup:      user.Lookup,
	Load:        loadModule,
	Ours:        doctor.IsModule,
	Space:       doctor.StatSpace,
	KernelClock: doctor.KernelClock,
}

func (c *command) doctor(ctx context.Context, quiet bool) error {
	host := examined
	helpers := helpers{err: io.Discard} // what they complain about shows as what can't be found out
	defer helpers.wait()
	host.Offline = func() *control.Client { return control.NewClientOn(offlineProgram+" -offline", helpers.dial) }
	host.Control = cmp.Or(c.socket, c.env("TOTPD_SOCKET"))
	host.Version, host.UID, host.Now = version, os.Geteuid(), c.now()
	if host.Root == "" {
		host.Login = c.tryLogin
	}
	report := doctor.Examine(ctx, host)
	if ctx.Err() != nil {
		return failed("doctor", "", ctx.Err())
	}
	var err error
	if c.json {
		err = c.printJSON(report)
	} else {
		err = c.printReport(&report, quiet)
	}
	if err == nil && report.Count(doctor.Error)+report.Count(doctor.Warning) > 0 {
		return errUnwell
	}
	return failed("doctor", "", err)
}

// tryLogin has the module, alone in a stack, ask the daemon about a login of somebody without a second factor.
func (c *command) tryLogin(ctx context.Context, service string) error {
	s := &setup{command: c, root: "/"}
	var err error
	if s.scratch, err = os.MkdirTemp("", "totpctl-doctor-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.scratch)
	t, err := s.trial(ctx, stack.Open("/"))
	if err != nil {
		return err
	}
	if check := t.Daemon(ctx, service); !check.OK {
		return errors.New(check.Cause)
	}
	return nil
}

// loadModule has another process of this program load a PAM module, which a broken one may end.
func loadModule(ctx context.Context, path string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, self, "doctor", "--load", path).CombinedOutput()
	if err == nil {
		return nil
	}
	line, _, _ := strings.Cut(string(out), "\n")
	if said, found := strings.CutPrefix(line, "totpctl: doctor: "); found {
		return errors.New(said)
	}
	return fmt.Errorf("loading it ends the process: %w", err)
}

// doctorKinds prints what findings there are.
func (c *command) doctorKinds() error {
	if c.json {
		return c.printJSON(doctor.Kinds)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	for _, k := range doctor.Kinds {
		fmt.Fprintf(table, "%s\t%s\t%s\n", k.ID, k.Severity, k.Meaning)
	}
	return table.Flush()
}
