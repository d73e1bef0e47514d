package main

import "github.com/spf13/cobra"

// newHelp replaces cobra's own, which calls an unknown verb a success.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:                   "help [COMMAND]",
		DisableFlagsInUseLine: true,
		Short:                 "Show the help of a command",
		Long:                  "Show what a command does, its options and an example.",
		Example:               "  totpctl help enrol",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var names []string
			for _, verb := range cmd.Root().Commands() {
				if len(args) == 0 && verb.IsAvailableCommand() {
					names = append(names, verb.Name()+"\t"+verb.Short)
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			verb, rest, _ := cmd.Root().Find(args)
			if err := noVerb(verb, rest); err != nil {
				return err
			}
			return verb.Help()
		},
	}
}
