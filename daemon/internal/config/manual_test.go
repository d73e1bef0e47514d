package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// manual is totpd.toml(5), as far as it is held to the code.
type manual struct {
	settings string            // the headings of its entries: a file of all settings
	entries  map[string]string // what it says of each, by name
	example  string
}

func readManual(t *testing.T) manual {
	t.Helper()
	source, err := os.ReadFile("../../../packaging/man/totpd.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.NewReplacer(`\(dq`, `"`, `\-`, `-`, `\&`, ``).Replace(string(source))
	m := manual{entries: map[string]string{}}
	var section, entry string
	for line := range strings.Lines(text) {
		macro, rest, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch {
		case macro == ".Ss":
			section, entry = strings.Trim(rest, "[]"), ""
			m.settings += rest + "\n"
		case macro == ".Sh", macro == ".El":
			entry = ""
		case macro == ".It" && section != "" && strings.HasPrefix(rest, "Ic "):
			setting := strings.TrimPrefix(rest, "Ic ")
			m.settings += setting + "\n"
			key, _, _ := strings.Cut(setting, " ")
			entry = section + "." + key
		case entry != "":
			m.entries[entry] += strings.TrimPrefix(line, ".Ic ")
		}
	}
	_, examples, _ := strings.Cut(text, "\n.Sh EXAMPLES\n")
	_, examples, _ = strings.Cut(examples, "\n.Bd -literal -offset indent\n")
	m.example, _, _ = strings.Cut(examples, ".Ed\n")
	return m
}

// TestManual holds totpd.toml(5) to the code: it has an entry for every setting and for no other, with
// the default as its heading, and says the limits that the code has.
func TestManual(t *testing.T) {
	m := readManual(t)
	c, err := parse("totpd.toml(5)", m.settings)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Code.Issuer = "web1" // for the host's name
	if !reflect.DeepEqual(bare(c), want) {
		t.Errorf("its defaults: %+v\nwant %+v", bare(c), want)
	}
	for _, s := range settings {
		if c.lines[s.name()] == 0 {
			t.Errorf("%s is missing", s.name())
		} else if limits := limitsOf(s); !strings.Contains(m.entries[s.name()], limits) {
			t.Errorf("%s: no word of %s:\n%s", s.name(), limits, m.entries[s.name()])
		}
	}
	for _, clash := range clashes {
		other := regexp.MustCompile(`[a-z]+\.[a-z_]+$`).FindString(clash.must)
		if !strings.Contains(m.entries[clash.name], other) {
			t.Errorf("%s: no word of %s:\n%s", clash.name, other, m.entries[clash.name])
		}
	}
}

// limitsOf are a setting's limits in the words of its error.
func limitsOf(s setting) string {
	var outside any = -1
	if _, ok := s.at(new(Config)).(*string); ok {
		outside = ""
	}
	return regexp.MustCompile(`^must (be from|be|have) `).ReplaceAllString(s.check(outside), "")
}

func TestManualsExample(t *testing.T) {
	m := readManual(t)
	if _, err := parse("the example", m.example); err != nil || !strings.Contains(m.example, "[code]") {
		t.Errorf("%q: %v", m.example, err)
	}
}
