package main

import (
	"fmt"

	"github.com/spf13/cobra"
)

func newCompletion(c *command) *cobra.Command {
	return &cobra.Command{
		Use:   "completion {bash | zsh | fish}",
		Short: "Print the completion script of a shell",
		Long: `Print a script that lets a shell complete totpctl's verbs and options. To have
it in every session, write it where the shell looks for it:

  bash  ~/.local/share/bash-completion/completions/totpctl
  zsh   a directory of $fpath, as _totpctl
  fish  ~/.config/fish/completions/totpctl.fish`,
		Example:               "  . <(totpctl completion bash)",
		ValidArgs:             []string{"bash", "zsh", "fish"},
		DisableFlagsInUseLine: true,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one shell: bash, zsh or fish")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch root := cmd.Root(); args[0] {
			case "bash":
				return failed("completion", "", root.GenBashCompletionV2(c.out, true))
			case "zsh":
				return failed("completion", "", root.GenZshCompletion(c.out))
			case "fish":
				return failed("completion", "", root.GenFishCompletion(c.out, true))
			}
			return fmt.Errorf("there is no completion for %q: name bash, zsh or fish", args[0])
		},
	}
}
