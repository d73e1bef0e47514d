package manners

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// all returns what the first group of the expression finds, each once, in order.
func all(expression, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// section of the page, without its heading.
func section(t *testing.T, page, name string) string {
	t.Helper()
	_, text, found := strings.Cut(page, "\n.Sh "+name+"\n")
	if !found {
		t.Fatalf("pam_totpd(8) has no section %s", name)
	}
	text, _, _ = strings.Cut(text, "\n.Sh ")
	return text
}

// TestManual holds pam_totpd(8) to the module: the arguments that it takes, with their defaults and limits,
// and what it returns to PAM are all there, and nothing else is.
func TestManual(t *testing.T) {
	page := read(t, "../../packaging/man/pam_totpd.8")
	options, source := read(t, "../options.c"), read(t, "../module.c")+read(t, "../opening.c")

	arguments := section(t, page, "ARGUMENTS")
	said, taken := all(`(?m)^\.It Cm ([^ \n]+)`, arguments), all(`\bstrn?cmp\(arg, "([^"]+)"`, options)
	if len(taken) < 3 || !slices.Equal(said, taken) {
		t.Errorf("arguments %q, the module takes %q", said, taken)
	}
	sockets := all(`#define (?:DEFAULT|PASSWORD)_SOCKET "(.*)"`, options)
	timeout := all(`\.timeout = ([0-9]+)`, options)
	most := all(`return n <= ([0-9]+) \?`, options)
	if len(sockets) != 2 || len(timeout) != 1 || len(most) != 1 {
		t.Fatal("options.c has changed: where are the defaults and the limit?")
	}
	for _, want := range []string{".Pa " + sockets[0] + " .", ".Pa " + sockets[1] + "\n", "1 to " + most[0] + ", by default " + timeout[0] + "."} {
		if !strings.Contains(arguments, want) {
			t.Errorf("the arguments say nothing of %s", want)
		}
	}

	const codes = `\b(PAM_(?:[A-Z_]+_(?:ERR|UNAVAIL|UNKNOWN)|SUCCESS|IGNORE))\b`
	said, returned := all(codes, section(t, page, "RESULTS")), all(codes, source+read(t, "../step.go"))
	if len(returned) < 8 || !slices.Equal(said, returned) {
		t.Errorf("results %q, the module returns %q", said, returned)
	}
}
