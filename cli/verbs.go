package main

import "github.com/spf13/cobra"

// groups are all verbs, in the order in which help lists them. Those of the last one, without a title,
// are hidden.
var groups = []struct {
	id, title string
	verbs     []func(*command) *cobra.Command
}{
	{"own", "Your second factor", []func(*command) *cobra.Command{
		newEnrol,
		newStatus,
		newDevices,
		newRecoveryCodes,
		newRemembered,
		newForget,
		newDisable,
		newLog,
		newEvents,
	}},
	{"admin", "For administrators", []func(*command) *cobra.Command{
		newUsers,
		newShow,
		newUnlock,
		newReset,
		newAdopt,
		newPolicy,
		newBypass,
		newExport,
		newImport,
	}},
	{"host", "This host", []func(*command) *cobra.Command{
		newSetup,
		newDoctor,
		newBackup,
		newRestore,
		newAcceptLoss,
		newVersion,
		newCompletion,
	}},
	{"", "", []func(*command) *cobra.Command{
		newTrial,
		newMan,
	}},
}

// addVerbs gives the root all its verbs.
func addVerbs(root *cobra.Command, c *command) {
	cobra.EnableCommandSorting = false
	for _, g := range groups {
		if g.id != "" {
			root.AddGroup(&cobra.Group{ID: g.id, Title: g.title + ":"})
		}
		for _, verb := range g.verbs {
			cmd := verb(c)
			cmd.GroupID = g.id
			root.AddCommand(cmd)
		}
	}
	root.SetHelpCommand(newHelp())
	root.SetHelpCommandGroupID("host")
}
