package main

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/totpd/totpd/daemon/control"
)

func newExport(c *command) *cobra.Command {
	var to, output string
	cmd := &cobra.Command{
		Use:   "export USER [OPTIONS]",
		Short: "Hand out somebody's keys for another system",
		Long: `Write the keys of USER's devices as otpauth links, a line each, for another
system to take over. Whoever has them has USER's codes, so that it takes two:
root, who runs this, and USER, who consents with a code of a device or a
recovery code. Both systems then let in with the same codes; delete the file
once it was read.

The links are written to a terminal, or to the file of --output (mode 0600,
never overwritten). --json prints user and devices, each with name and uri,
wherever standard output goes. When standard input isn't a terminal, its first
line is the code.`,
		Example:           "  totpctl export --to otpauth alice --output alice.otpauth",
		ValidArgsFunction: c.completeUser,
		Args:              oneUser("name the user whose keys are handed out"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if to != "otpauth" {
				return &misuse{"--to otpauth says in what form the keys are written", "totpctl export --to otpauth " + quote(args[0])}
			}
			return c.export(cmd.Context(), args[0], output)
		},
	}
	cmd.Flags().StringVar(&to, "to", "", "in which `FORM`: otpauth")
	cmd.Flags().StringVar(&output, "output", "", "write the links to a new `FILE`")
	cmd.RegisterFlagCompletionFunc("to", cobra.FixedCompletions([]string{"otpauth"}, cobra.ShellCompDirectiveNoFileComp))
	return c.withJSON(cmd)
}

func (c *command) export(ctx context.Context, user, output string) (err error) {
	out := io.Writer(c.out)
	var file *newFile
	switch {
	case output != "" && c.json:
		return &misuse{"--output writes links, --json prints to standard output", "leave one of them out"}
	case output == "" && !c.json && !term.IsTerminal(int(c.out.Fd())):
		return &misuse{"keys are shown on a terminal only, and standard output is none", "--output FILE writes them to a file; --json prints them all the same"}
	case output != "":
		if file, err = createFile(output); err != nil {
			return &failure{verb: "export", user: user, err: err, hint: newFileHint}
		}
		out = file
		defer func() { file.doneWith(err) }()
	}
	r := control.ExportRequest{User: user}
	if os.Geteuid() == 0 { // nobody else gets that far
		c.say("This hands the keys of %s out. %s consents with a code.", printable(user), printable(user))
		if r.Code, err = c.code(ctx, codePrompt); err != nil {
			return failed("export", user, err)
		}
	}
	all, err := c.client().Export(context.WithoutCancel(ctx), r)
	if err != nil {
		return failed("export", user, err)
	}
	if c.json {
		return failed("export", user, c.printJSON(all))
	}
	for _, d := range all.Devices {
		if _, err := fmt.Fprintln(out, printable(string(d.URI))); err != nil {
			return failed("export", user, err)
		}
	}
	if file != nil {
		if err := file.keep(); err != nil {
			return failed("export", user, err)
		}
	}
	c.say("Done: keys of %s of %s. Whoever has them has the codes.", counted(len(all.Devices), "device"), printable(all.User))
	return nil
}
