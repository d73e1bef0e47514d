package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
)

// The manual page has every command and every option that people see, and no other.
func TestManualIsComplete(t *testing.T) {
	root := newRoot(&command{out: os.Stdout, err: os.Stderr})
	root.InitDefaultHelpCmd()
	m := manual{root, time.Now()}
	page := m.Synopsis() + m.Commands() + m.Options()
	has := func(line string) bool { return strings.Contains("\n"+page, "\n"+line+"\n") }
	verbs := root.Commands()
	for _, v := range verbs {
		verbs = append(verbs, v.Commands()...)
	}
	for _, v := range verbs {
		name := strings.ReplaceAll(pathOf(v), "-", `\-`)
		if has(".Ss "+name) == v.Hidden || has(`.Cm "`+name+`"`) == (v.Hidden || isGroup(v)) {
			t.Errorf("%s: hidden %v", name, v.Hidden)
		}
		_, own, _ := strings.Cut(page, "\n.Ss "+name+"\n")
		own, _, _ = strings.Cut(own, "\n.Ss ")
		v.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			there := strings.Contains(own, "Fl Fl "+strings.ReplaceAll(f.Name, "-", `\-`))
			if f.Name != "help" && !v.Hidden && there == f.Hidden {
				t.Errorf("%s --%s: hidden %v, there %v", name, f.Name, f.Hidden, there)
			}
		})
	}
	for _, option := range []string{".It Fl h , Fl Fl help", ".It Fl Fl offline", ".It Fl Fl socket Ar PATH"} {
		if !has(option) {
			t.Errorf("no entry %q", option)
		}
	}
}

func TestManualHasTheEnvironment(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\benv\("(\w+)"\)`).FindAllSubmatch(source, -1) {
			read++
			if name := string(m[1]); name != "SOURCE_DATE_EPOCH" && !regexp.MustCompile(`\bEv (\w+ , )*`+name+`\b`).MatchString(manTemplate) {
				t.Errorf("totpctl(1) says nothing of %s, which %s reads", name, file)
			}
		}
	}
	if read < 5 {
		t.Errorf("only %d variables are read?", read)
	}
}
