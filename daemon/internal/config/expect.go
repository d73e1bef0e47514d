package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/source"
)

const (
	expectSection = "expect"
	expectsMax    = 10000
)

// Expectation is what a table expects of the rules for one login.
type Expectation struct {
	Line    int
	User    string
	Groups  []string // that the user is in
	Asks    bool     // Groups aren't given: the name service has them
	Service string
	From    string    // an address, the name of a host, or "local"
	On      time.Time // a noon; zero: now

	want map[string]string // key to value, as TOML spells it
}

// Source is where the login comes from.
func (e Expectation) Source() source.Source {
	if e.From == "local" {
		return source.Source{}
	}
	return source.Of(e.User, e.From, "")
}

// String names the login.
func (e Expectation) String() string {
	text := fmt.Sprintf("%s, %s from %s", e.User, e.Service, e.From)
	if !e.On.IsZero() {
		text += ", on " + e.On.Format(time.DateOnly)
	}
	return text
}

// Difference returns a line for each key that is otherwise than expected, "-" with what is expected and
// "+" with what is.
func (e Expectation) Difference(d policy.Decision) string {
	var text strings.Builder
	for _, k := range expectKeys {
		if want, ok := e.want[k.key]; ok {
			if is := k.is(d); is != want {
				fmt.Fprintf(&text, "- %s = %s\n+ %s = %s\n", k.key, want, k.key, is)
			}
		}
	}
	return text.String()
}

// expectKey is a key of a table that is compared.
type expectKey struct {
	key  string
	read func(value any) (want, must string)
	is   func(policy.Decision) string
}

// viaRule reads and shows a key as rules have it. none is shown where there is no value.
func viaRule(key, none string, of func(policy.Decision) policy.Rule) expectKey {
	k := ruleKeys[slices.IndexFunc(ruleKeys, func(k ruleKey) bool { return k.key == key })]
	shown := func(r policy.Rule) string {
		if text := k.shown(r); text != "" {
			return text
		}
		return none
	}
	return expectKey{key, func(value any) (string, string) {
		var r policy.Rule
		must := k.read(&r, value)
		return shown(r), must
	}, func(d policy.Decision) string { return shown(of(d)) }}
}

var expectKeys = []expectKey{
	viaRule("require", "nothing", func(d policy.Decision) policy.Rule { return policy.Rule{Require: d.Kind} }),
	viaRule("enrol_by", "none", func(d policy.Decision) policy.Rule { return policy.Rule{EnrolBy: d.EnrolBy} }),
	{"enrol_here", func(value any) (string, string) {
		may, ok := value.(bool)
		if !ok {
			return "", "must be true or false, without quotes"
		}
		return fmt.Sprint(may), ""
	}, func(d policy.Decision) string { return fmt.Sprint(d.EnrolHere) }},
	viaRule("remember", "0", func(d policy.Decision) policy.Rule { return policy.Rule{Remember: d.Remember} }),
	viaRule("grace", "0", func(d policy.Decision) policy.Rule { return policy.Rule{Grace: d.Grace} }),
}

// LoadExpectations reads the table at path. An error returns nothing else.
func LoadExpectations(path string) ([]Expectation, error) {
	content, err := read(path)
	if err != nil {
		return nil, fmt.Errorf("read table %s: %w", path, err)
	}
	return parseExpectations(path, content)
}

func parseExpectations(name, content string) ([]Expectation, error) {
	var top map[string]toml.Primitive
	md, err := toml.Decode(content, &top)
	if err != nil {
		return nil, notTOML(name, err)
	}
	r := reader{file: name, md: md}
	for section, p := range top {
		if section != expectSection {
			r.report(p, shownKey(section), "is unknown; a table has [[expect]] only")
		}
	}
	var all []Expectation
	if p, ok := top[expectSection]; ok {
		for _, t := range r.tables(content, expectSection, expectsMax, p) {
			all = append(all, r.expectation(t))
		}
	}
	if len(r.problems) > 0 {
		return nil, r.errors()
	}
	if len(all) == 0 {
		return nil, errors.New(name + ": has no [[expect]], so that nothing would be tested")
	}
	return all, nil
}

func (r *reader) expectation(t table) Expectation {
	e := Expectation{Line: t.at.Line, Asks: true, Service: "sshd", From: "local", want: map[string]string{}}
	known := []string{"user", "groups", "service", "from", "on"}
	for _, k := range expectKeys {
		known = append(known, k.key)
	}
	r.take(t, known, []string{"user", "require"}, func(key string, value any) (must string) {
		textual, _ := value.(string)
		switch key {
		case "user":
			e.User = textual
			return text(1, nameMax, ":/")(value)
		case "groups":
			e.Asks = false
			if values, ok := value.([]any); ok && len(values) == 0 {
				return "" // in none
			}
			e.Groups, must = listOf(value)
			return must
		case "service":
			e.Service = textual
			return service(value)
		case "from":
			e.From = textual
			if !source.CanBe(textual) {
				return `must be one address, the name of one host, or "local"`
			}
			return ""
		case "on":
			var date time.Time
			date, must = dateOf(value)
			e.On = endOf(date, time.Local).Add(-day / 2)
			return must
		}
		k := expectKeys[slices.IndexFunc(expectKeys, func(k expectKey) bool { return k.key == key })]
		e.want[key], must = k.read(value)
		return must
	})
	return e
}
