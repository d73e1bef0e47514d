// Command totpctl is how people meet totpd: a user enrols a phone and looks at the state of it, root
// helps whoever is locked out. It asks the daemon over its control socket and shows the answer.
//
// It decides nothing: who may do what is up to the daemon, from the kernel's word on who calls. Data
// goes to standard output, talk to standard error. A secret is written to a terminal, to a file that the
// person names, or to standard output when an option asks for exactly that, and nowhere else.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// version is set by the linker: -X main.version=1.2.3.
var version string

// defaultSocket is where the daemon listens unless it is told otherwise.
const defaultSocket = "/run/totpd/control.sock"

// The exit statuses.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2
)

func main() { os.Exit(run(time.Now)) }

// run is main with the clock it reads, and the exit status as its value.
func run(now func() time.Time) int {
	ctx, stop := signal.NotifyContext(context.Background(),
		syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGQUIT)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the command at once
	c := &command{
		in:  newInput(os.Stdin, os.Stderr),
		out: os.Stdout,
		err: os.Stderr,
		now: now,
		env: os.Getenv,
	}
	root := newRoot(c)
	ran, err := root, noSecrets(os.Args[1:])
	if err == nil {
		ran, err = root.ExecuteContextC(ctx)
	}
	c.helpers.wait()
	return explain(c.err, ran, err)
}

// command is what every verb works with.
type command struct {
	in  *input
	out *os.File
	err io.Writer
	now func() time.Time
	env func(string) string

	socket  string // --socket
	offline bool   // --offline
	json    bool   // --json, of the verb that runs
	noAsk   bool   // --no-ask, likewise
	helpers helpers
}

// client is of the daemon that the person means, or of one that stands in for it.
func (c *command) client() *control.Client {
	if c.offline {
		return control.NewClientOn(offlineProgram+" -offline", c.helpers.dial)
	}
	return control.NewClient(cmp.Or(c.socket, c.env("TOTPD_SOCKET"), defaultSocket))
}

// say writes one line of talk.
func (c *command) say(format string, args ...any) {
	fmt.Fprintln(c.err, fold(fmt.Sprintf(format, args...), c.columns()))
}

// printJSON writes v as one line of data.
func (c *command) printJSON(v any) error {
	e := json.NewEncoder(c.out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// newRoot returns the command with all its verbs.
func newRoot(c *command) *cobra.Command {
	root := &cobra.Command{
		Use:   "totpctl",
		Short: "Set up the one-time codes of your logins",
		Long: `totpctl sets up the second factor of your logins on this host: the one-time
code that an authenticator app shows, asked for after your password.

Without a command it shows how things stand with yours, and what you can do.

It talks to the daemon totpd, which decides who may do what: you may do as you
like with your own second factor, root may help everybody, and so may others
whom polkit allows it (actions org.totpd.manage.*).

With --json, times are those of RFC 3339, and a field without a value may be
left out.

Exit status: 0 done, 1 refused or failed, 2 wrong usage.`,
		Example:       "  totpctl",
		Args:          noVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return c.overview(cmd) },
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(c.out)
	root.SetErr(c.err)
	root.SetUsageTemplate(usageTemplate)
	root.PersistentFlags().StringVar(&c.socket, "socket", "",
		"the daemon listens at `PATH` (default $TOTPD_SOCKET,\nelse "+defaultSocket+")")
	root.PersistentFlags().BoolVar(&c.offline, "offline", false,
		"for root: without the daemon, on the accounts themselves\n("+strings.Join(offlineVerbs(), ", ")+")")
	root.PersistentPreRunE = c.checkOffline
	root.SuggestionsMinimumDistance = 2
	root.PersistentFlags().BoolP("help", "h", false, "show this help")
	addVerbs(root, c)
	return root
}

// usageTemplate is cobra's with the example at the end, where the eye comes to rest.
const usageTemplate = `Usage:
  {{if .HasParent}}{{.UseLine}}{{else}}{{.Name}} [COMMAND] [OPTIONS]{{end}}{{if gt (len .Aliases) 0}}

Aliases:
  {{.NameAndAliases}}{{end}}{{if .Groups}}{{$all := .Commands}}{{range $group := .Groups}}

{{.Title}}{{range $all}}{{if and (eq .GroupID $group.ID) .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{else if .HasAvailableSubCommands}}

Commands:{{range .Commands}}{{if .IsAvailableCommand}}
  {{rpad .Name .NamePadding }} {{.Short}}{{end}}{{end}}{{end}}{{if .HasAvailableLocalFlags}}

Options:
{{.LocalFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}{{if .HasAvailableInheritedFlags}}

Options of all commands:
{{.InheritedFlags.FlagUsages | trimTrailingWhitespaces}}{{end}}

Example:
{{.Example}}
`

// withJSON gives a verb the option --json.
func (c *command) withJSON(cmd *cobra.Command) *cobra.Command {
	cmd.DisableFlagsInUseLine = true
	cmd.Flags().BoolVar(&c.json, "json", false, "print JSON for scripts")
	return cmd
}

// ownVersion is of this command.
func ownVersion() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return strings.Trim(info.Main.Version, "()")
	}
	return "devel"
}
