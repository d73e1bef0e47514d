package main

import (
	"bytes"
	"fmt"
	"io"

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
				return failed("completion", "", bashCompletion(root, c.out))
			case "zsh":
				return failed("completion", "", root.GenZshCompletion(c.out))
			case "fish":
				return failed("completion", "", root.GenFishCompletion(c.out, true))
			}
			return fmt.Errorf("there is no completion for %q: name bash, zsh or fish", args[0])
		},
	}
}

// bashCompletion writes cobra's script, which calls a function of the package bash-completion, with one
// that does as well where that isn't loaded.
func bashCompletion(root *cobra.Command, to io.Writer) error {
	var script bytes.Buffer
	if err := root.GenBashCompletionV2(&script, true); err != nil {
		return err
	}
	script.WriteString(`
if ! declare -F _get_comp_words_by_ref >/dev/null; then
    _get_comp_words_by_ref()
    {
        words=("${COMP_WORDS[@]}")
        cword=$COMP_CWORD
        cur=${words[cword]}
        prev=${words[cword - 1]}
    }
fi
`)
	_, err := script.WriteTo(to)
	return err
}
