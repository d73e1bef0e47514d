package main

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"text/template"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/totpd/totpd/cli/internal/mdoc"
)

//go:embed totpctl.1.tmpl
var manTemplate string

// newMan is for the build, not for people, and so in no help.
func newMan(c *command) *cobra.Command {
	return &cobra.Command{
		Use:    "man",
		Hidden: true,
		Short:  "Print the manual page",
		Long: `Print totpctl(1), made from the help of all commands. Its date is that of
$SOURCE_DATE_EPOCH, in seconds, or today.`,
		Example: "  totpctl man >totpctl.1",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			date := c.now()
			if epoch := c.env("SOURCE_DATE_EPOCH"); epoch != "" {
				seconds, err := strconv.ParseInt(epoch, 10, 64)
				if err != nil {
					return failed("man", "", fmt.Errorf("SOURCE_DATE_EPOCH: %w", err))
				}
				date = time.Unix(seconds, 0)
			}
			return failed("man", "", template.Must(template.New("").Parse(manTemplate)).Execute(c.out, manual{cmd.Root(), date.UTC()}))
		},
	}
}

// manual is what the template takes from the commands.
type manual struct {
	root *cobra.Command
	date time.Time
}

// Date is as mdoc(7) spells it.
func (m manual) Date() string { return m.date.Format("January 2, 2006") }

// verbs are the commands that people see, and after one that has others inside, those.
func (m manual) verbs() []*cobra.Command { return inside(m.root) }

func inside(cmd *cobra.Command) []*cobra.Command {
	var all []*cobra.Command
	for _, v := range cmd.Commands() {
		if !v.Hidden {
			all = append(append(all, v), inside(v)...)
		}
	}
	return all
}

// Synopsis has a line for each verb.
func (m manual) Synopsis() string {
	var b strings.Builder
	for _, v := range m.verbs() {
		if !isGroup(v) {
			b.WriteString(synopsis(v))
		}
	}
	return b.String()
}

// isGroup says whether a command does nothing without another one behind it.
func isGroup(v *cobra.Command) bool { return strings.Contains(v.Use, " COMMAND") }

func synopsis(v *cobra.Command) string {
	text := fmt.Sprintf(".Nm\n.Cm %s\n", mdoc.Word(pathOf(v)))
	_, arguments, _ := strings.Cut(v.Use, " ")
	arguments, options := strings.CutSuffix(arguments, "[OPTIONS]")
	switch a := strings.TrimSpace(arguments); {
	case strings.HasPrefix(a, "{"):
		text += ".Brq Cm " + mdoc.Escape(strings.Trim(a, "{}")) + "\n"
	case a != "" && !strings.HasPrefix(a, "["):
		text += ".Ar " + mdoc.Escape(a) + "\n"
	case a != "":
		text += ".Op Ar " + mdoc.Escape(strings.Trim(a, "[]")) + "\n"
	}
	if !options {
		return text
	}
	for _, f := range flags(v.LocalFlags()) {
		if f.Name != "help" {
			text += ".Op " + spelled(f, " | ") + "\n"
		}
	}
	return text
}

// Description is the help of totpctl by itself, without what has a section of its own.
func (m manual) Description() string {
	text, _, _ := strings.Cut(m.root.Long, "\n\nExit status:")
	return mdoc.Text(text)
}

// Commands has a subsection for each verb.
func (m manual) Commands() string {
	var b strings.Builder
	for _, v := range m.verbs() {
		fmt.Fprintf(&b, ".Ss %s\n%s", mdoc.Escape(pathOf(v)), mdoc.Text(v.Long))
		if own := flags(v.LocalNonPersistentFlags()); len(own) > 0 {
			b.WriteString(options(own))
		}
		b.WriteString(".Pp\nExample:\n" + mdoc.Literal(strings.TrimSpace(v.Example)))
	}
	return b.String()
}

// Options are those of all commands.
func (m manual) Options() string { return options(flags(m.root.PersistentFlags())) }

// flags are those that people see.
func flags(set *pflag.FlagSet) []*pflag.Flag {
	var all []*pflag.Flag
	set.VisitAll(func(f *pflag.Flag) {
		if !f.Hidden && (f.Name != "help" || f.Shorthand == "h") {
			all = append(all, f)
		}
	})
	return all
}

func options(all []*pflag.Flag) string {
	text := ".Bl -tag -width Ds\n"
	for _, f := range all {
		_, about := pflag.UnquoteUsage(f)
		about = strings.ToUpper(about[:1]) + strings.TrimSuffix(about[1:], ".") + "."
		text += ".It " + spelled(f, " , ") + "\n" + mdoc.Prose(about)
	}
	return text + ".El\n"
}

// spelled is an option and its argument as macros.
func spelled(f *pflag.Flag, between string) string {
	text := "Fl Fl " + mdoc.Escape(f.Name)
	if f.Shorthand != "" {
		text = "Fl " + f.Shorthand + between + text
	}
	if argument, _ := pflag.UnquoteUsage(f); argument != "" {
		text += " Ar " + mdoc.Escape(strings.ToUpper(argument))
	}
	return text
}
