package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// Speaker is a program that doesn't run as root and may speak for other users all the same.
type Speaker struct {
	Line     int      // of the configuration, where it begins
	User     string   // whom the program runs as
	Services []string // of PAM, in which it may
}

// speakerSection is the name of the tables that are speakers.
const speakerSection = "speaker"

const speakersMax = 100

// speakers reads all speakers.
func (r *reader) speakers(content string, p toml.Primitive) {
	keys := []string{"user", "services"}
	for _, t := range r.tables(content, speakerSection, speakersMax, p) {
		s := Speaker{Line: t.at.Line}
		before := len(r.problems)
		r.take(t, keys, keys, s.read)
		if len(r.problems) > before {
			continue
		}
		if i := slices.IndexFunc(r.config.Speakers, func(other Speaker) bool { return other.User == s.User }); i >= 0 {
			r.reportAt(t.place(t.keys["user"]), speakerSection+".user",
				fmt.Sprintf("is that of line %d too: put all services of a user into one [[speaker]]", r.config.Speakers[i].Line))
			continue
		}
		r.config.Speakers = append(r.config.Speakers, s)
	}
}

// read stores a value of the file, and returns what it must be where it is something else.
func (s *Speaker) read(key string, value any) (must string) {
	if key == "user" {
		if must := text(1, nameMax, ":/")(value); must != "" {
			return must
		}
		if s.User = value.(string); s.User == "root" {
			return "must be another user than root, who may speak for everybody anyway"
		}
		return ""
	}
	if s.Services, must = listOf(value); must != "" {
		return must
	}
	for i, name := range s.Services {
		if wrong := service(name); wrong != "" {
			return fmt.Sprintf("is a list of names, and each %s; %q isn't right", wrong, name)
		}
		if slices.Contains(s.Services[:i], name) {
			return fmt.Sprintf("has %q twice: leave it out once", name)
		}
	}
	return ""
}

// SpeaksIn are the services in which each user may speak for others.
func (c Config) SpeaksIn() map[string][]string {
	all := map[string][]string{}
	for _, s := range c.Speakers {
		all[s.User] = s.Services
	}
	return all
}

// explainSpeakers is Explain for the speakers.
func (c Config) explainSpeakers(b *strings.Builder) {
	for i, s := range c.Speakers {
		fmt.Fprintf(b, "\n%-42s # speaker %d, line %d\nuser = %s\nservices = %s\n", "[[speaker]]", i+1, s.Line, shown(&s.User), shownList(s.Services))
	}
}
