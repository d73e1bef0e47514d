package main

import (
	"os"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

// Every verb has a help that fits a terminal and ends with an example, which the story examples runs.
func TestHelpFitsAndEndsWithAnExample(t *testing.T) {
	story, err := os.ReadFile("testdata/examples.txtar")
	if err != nil {
		t.Fatal(err)
	}
	root := newRoot(&command{out: os.Stdout, err: os.Stderr})
	root.InitDefaultHelpCmd()
	for _, cmd := range append([]*cobra.Command{root}, inside(root)...) {
		var text strings.Builder
		cmd.SetOut(&text)
		if err := cmd.Help(); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(text.String()) {
			if len(line) > 81 {
				t.Errorf("help of %s: %d columns: %s", pathOf(cmd), len(line)-1, line)
			}
		}
		if cmd.Example == "" || !strings.HasSuffix(text.String(), "\nExample:\n"+cmd.Example+"\n") {
			t.Errorf("help of %s doesn't end with an example", cmd.Name())
		}
		name := pathOf(cmd)
		if cmd == root || strings.Contains(name, " ") {
			name = "'" + name + "'"
		}
		// Some are run at a terminal, by a person.
		if !strings.Contains(string(story), "example "+name) && !strings.Contains(string(story), "help "+strings.Trim(name, "'")+" |") {
			t.Errorf("the example of %s isn't run", name)
		}
	}
}
