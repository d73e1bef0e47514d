package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// parse reads the content of the file called name. An error returns nothing else.
func parse(name, content string) (Config, error) {
	c, err := salvage(name, content)
	if err != nil {
		return Config{}, err
	}
	return c, nil
}

// salvage is parse with the settings that are right, and defaults for the others, beside an error.
func salvage(name, content string) (Config, error) {
	var top map[string]toml.Primitive
	md, err := toml.Decode(content, &top)
	if err != nil {
		return unknown(), notTOML(name, err)
	}
	r := reader{file: name, md: md, config: Default()}
	r.config.file = name
	r.config.lines = map[string]int{}
	for section, p := range top {
		if section != ruleSection && section != speakerSection {
			r.section(section, p)
		}
	}
	if p, ok := top[ruleSection]; ok { // after the limits that are set elsewhere
		r.rules(content, p)
	}
	if p, ok := top[speakerSection]; ok {
		r.speakers(content, p)
	}
	if len(r.problems) == 0 { // else a clash may be with what was meant
		r.clashes()
	}
	if len(r.problems) > 0 {
		r.config.Rules, r.config.Speakers = undecided(), nil
		return r.config, r.errors()
	}
	return r.config, nil
}

// notTOML is the library's error about the file called name.
func notTOML(name string, err error) error {
	var p toml.ParseError
	if errors.As(err, &p) {
		return problem{name, p.Position, "", p.Message}
	}
	return problem{file: name, text: err.Error()}
}

// reader takes the settings out of a parsed file.
type reader struct {
	file     string
	md       toml.MetaData
	config   Config
	problems []problem
	places   map[string]toml.Position
}

// errors are the problems, in the order of the file.
func (r *reader) errors() error {
	slices.SortFunc(r.problems, func(a, b problem) int { return a.at.Start - b.at.Start })
	errs := make([]error, len(r.problems))
	for i, p := range r.problems {
		errs[i] = p
	}
	return errors.Join(errs...)
}

// problem is one error of the file.
type problem struct {
	file string
	at   toml.Position // its Line is 0 where nobody knows
	name string        // of the setting, or ""
	text string
}

func (p problem) Error() string {
	place := p.file
	if p.at.Line > 0 {
		place += ":" + strconv.Itoa(p.at.Line)
		if p.at.Col > 0 {
			place += ":" + strconv.Itoa(p.at.Col)
		}
	}
	if p.name != "" {
		return place + ": " + p.name + " " + p.text
	}
	return place + ": " + p.text
}

func (r *reader) section(section string, p toml.Primitive) {
	keys := keysOf(section)
	if keys == nil {
		r.report(p, shownKey(section), "is unknown; the sections are "+list(sections()))
		return
	}
	var inside map[string]toml.Primitive
	err := r.md.PrimitiveDecode(p, &inside)
	if err != nil || inside == nil { // nil: the library says nothing of a value that is no table
		r.report(p, section, fmt.Sprintf("must be a section, written [%s] on a line of its own", section))
		return
	}
	for key, p := range inside {
		i := slices.IndexFunc(settings, func(s setting) bool { return s.section == section && s.key == key })
		if i < 0 {
			r.report(p, section+"."+shownKey(key), fmt.Sprintf("is unknown; the keys of [%s] are %s", section, list(keys)))
			continue
		}
		r.setting(settings[i], p)
	}
}

func (r *reader) setting(s setting, p toml.Primitive) {
	var value any
	if err := r.md.PrimitiveDecode(p, &value); err != nil {
		r.report(p, s.name(), "can't be read: "+err.Error())
		return
	}
	if must := s.assign(&r.config, value); must != "" {
		r.report(p, s.name(), must)
		return
	}
	at := r.place(p)
	r.config.lines[s.name()] = at.Line
	if r.places == nil {
		r.places = map[string]toml.Position{}
	}
	r.places[s.name()] = at
}

func (r *reader) clashes() {
	for _, c := range clashes {
		if c.bad(r.config) {
			r.problems = append(r.problems, problem{r.file, r.places[c.name], c.name, c.must})
		}
	}
}

func (r *reader) report(p toml.Primitive, name, text string) {
	r.reportAt(r.place(p), name, text)
}

func (r *reader) reportAt(at toml.Position, name, text string) {
	r.problems = append(r.problems, problem{r.file, at, name, text})
}

func (r *reader) place(p toml.Primitive) toml.Position { return placeIn(r.md, p) }

// placeIn returns where the value of a key stands. The library tells it only in the error of a type that
// refuses.
func placeIn(md toml.MetaData, p toml.Primitive) toml.Position {
	var refused toml.ParseError
	errors.As(md.PrimitiveDecode(p, new(refusing)), &refused)
	return refused.Position
}

type refusing struct{}

func (*refusing) UnmarshalTOML(any) error { return errors.New("refused") }

func sections() []string {
	var names []string
	for _, s := range settings {
		if !slices.Contains(names, s.section) {
			names = append(names, s.section)
		}
	}
	return append(names, ruleSection, speakerSection)
}

func keysOf(section string) []string {
	var names []string
	for _, s := range settings {
		if s.section == section {
			names = append(names, s.key)
		}
	}
	return names
}

func list(names []string) string { return strings.Join(names, ", ") }

// shownKey is a key as the file may spell it.
func shownKey(key string) string {
	if key == "" || strings.ContainsFunc(key, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-')
	}) {
		return strconv.Quote(key)
	}
	return key
}
