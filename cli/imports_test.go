package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The command knows the daemon by its management API alone.
func TestImports(t *testing.T) {
	const ours = "github.com/totpd/totpd/"
	allowed := regexp.MustCompile(`^(cli/internal/[a-z]+|daemon/control(/qr|/otpauth)?)$`)
	for name, imports := range importsOf(t, "./...") {
		for _, path := range imports {
			if own, is := strings.CutPrefix(path, ours); is && !allowed.MatchString(own) {
				t.Errorf("%s imports %s", name, own)
			}
		}
	}
}

// Reading what others keep of people's secrets is done on bytes, at a time that is given.
func TestForeignIsPure(t *testing.T) {
	const dir = "internal/foreign"
	for name, imports := range importsOf(t, "./"+dir) {
		for _, path := range []string{"os", "net", "log", "io/fs", "syscall", "context"} {
			if slices.Contains(imports, path) {
				t.Errorf("%s imports %s", name, path)
			}
		}
	}
	files, err := filepath.Glob(dir + "/*.go")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if now := regexp.MustCompile(`\btime\.(Now|Since|Until|Sleep|After)\(`).Find(text); now != nil && !strings.HasSuffix(name, "_test.go") {
			t.Errorf("%s calls %s", name, now)
		}
	}
}

// importsOf are the imports of each package, without its tests'.
func importsOf(t *testing.T, pattern string) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, pattern).Output()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		words := strings.Fields(line)
		all[words[0]] = words[1:]
	}
	return all
}
