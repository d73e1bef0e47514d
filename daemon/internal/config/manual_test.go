package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// manual is totpd.toml(5), as far as it is held to the code.
type manual struct {
	settings string            // the headings of its entries: a file of all settings
	entries  map[string]string // what it says of each, by name
	example  string
	rules    string // its section on them
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
		case macro == ".Sh":
			section, entry = "", ""
		case macro == ".El":
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
	_, m.rules, _ = strings.Cut(text, "\n.Sh RULES\n")
	m.rules, _, _ = strings.Cut(m.rules, "\n.Sh ")
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

// The section on rules has an entry for every key and for no other, its limits, and an example that parses.
func TestManualsRules(t *testing.T) {
	m := readManual(t)
	var said []string
	for _, entry := range regexp.MustCompile(`(?m)^\.It Ic (\w+) = (.*)$`).FindAllStringSubmatch(m.rules, -1) {
		said = append(said, entry[1])
		value, _, _ := strings.Cut(entry[2], " | ")
		rule := "[[rule]]\n" + entry[1] + " = " + value + "\n"
		if entry[1] != "require" {
			rule += "require = \"required\"\n"
		}
		if _, err := parse("the entry", rule); err != nil {
			t.Error(err)
		}
	}
	if is := keysOfRule(); !slices.Equal(said, is) {
		t.Errorf("its keys: %q\nwant %q", said, is)
	}
	for _, limit := range []string{"1 to 1000", "up to 1000", "0\nto 60", "0 to\n.Ic remember.longest"} {
		if !strings.Contains(m.rules, limit) {
			t.Errorf("no word of %q", limit)
		}
	}
	examples := regexp.MustCompile(`(?s)\.Bd -literal -offset indent\n(.*?)\.Ed`).FindAllStringSubmatch(m.rules, -1)
	if len(examples) != 2 {
		t.Fatalf("%d examples", len(examples))
	}
	if c, err := parse("the example", examples[0][1]); err != nil || len(c.Rules) != 4 {
		t.Errorf("%+v, %v", c.Rules, err)
	}
}
