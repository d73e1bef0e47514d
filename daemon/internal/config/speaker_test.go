package config

import (
	"reflect"
	"strings"
	"testing"
)

const twoSpeakers = "[[speaker]]\nuser = 'freerad'\nservices = ['radiusd', 'vpn']\n\n[[rule]]\nrequire = 'optional'\n[[speaker]]\nservices = ['postgresql']\nuser = 'postgres'\n"

// TestSpeakers: they are read, and what Explain writes has the same effect.
func TestSpeakers(t *testing.T) {
	c, err := parse("FILE", twoSpeakers)
	if err != nil {
		t.Fatal(err)
	}
	want := []Speaker{{1, "freerad", []string{"radiusd", "vpn"}}, {7, "postgres", []string{"postgresql"}}}
	if !reflect.DeepEqual(c.Speakers, want) {
		t.Errorf("%+v, want %+v", c.Speakers, want)
	}
	var b strings.Builder
	if err := c.Explain(&b); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), "# speaker 2, line 7\nuser = \"postgres\"\nservices = [\"postgresql\"]\n") {
		t.Errorf("explained as\n%s", &b)
	}
	again, err := parse("FILE", b.String())
	if err != nil || !reflect.DeepEqual(again.SpeaksIn(), c.SpeaksIn()) {
		t.Errorf("explained as %+v, %v", again.SpeaksIn(), err)
	}
}

func TestSpeakerErrors(t *testing.T) {
	const ok = "[[speaker]]\nuser = 'freerad'\nservices = ['radiusd']\n"
	for _, c := range []struct{ name, content, want string }{
		{"no user", "[[speaker]]\nservices = ['radiusd']", "FILE:1:1: speaker must have the key user"},
		{"no services", "[[speaker]]\nuser = 'freerad'", "FILE:1:1: speaker must have the key services"},
		{"unknown key", ok + "from = ['local']", "FILE:4:9: speaker.from is unknown; the keys of [[speaker]] are user, services"},
		{"root", "[[speaker]]\nuser = 'root'\nservices = ['a']", "FILE:2:9: speaker.user must be another user than root"},
		{"several users", "[[speaker]]\nuser = ['a', 'b']\nservices = ['a']", "FILE:2:9: speaker.user must have 1 to 256 bytes"},
		{"no name", "[[speaker]]\nuser = 'a:b'\nservices = ['a']", "FILE:2:9: speaker.user must not hold"},
		{"every service", "[[speaker]]\nuser = 'a'\nservices = []", "FILE:3:13: speaker.services must be a list of 1 to"},
		{"a path", "[[speaker]]\nuser = 'a'\nservices = ['/etc/pam.d/x']", "speaker.services is a list of names, and each must not hold"},
		{"capitals", "[[speaker]]\nuser = 'a'\nservices = ['RADIUSD']", "must be in lower case"},
		{"a service twice", "[[speaker]]\nuser = 'a'\nservices = ['b', 'c', 'b']", `FILE:3:13: speaker.services has "b" twice`},
		{"a user twice", ok + ok, "FILE:5:9: speaker.user is that of line 1 too: put all services of a user into one [[speaker]]"},
		{"a table", "[speaker]\nuser = 'a'", "FILE:1:1: speaker must be written [[speaker]]"},
		{"too many", strings.Repeat("[[speaker]]\n", speakersMax+1), "speaker must be there 100 times at most"},
	} {
		path := write(t, c.content)
		got, err := Load(path)
		if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), path, "FILE"), c.want) {
			t.Errorf("%s: error is  %v\nwant with %s", c.name, err, c.want)
		}
		if !reflect.DeepEqual(got, Config{}) {
			t.Errorf("%s: an error together with settings", c.name)
		}
	}
	// Beside an error nobody speaks for others.
	if c, err := Salvage(write(t, ok+"[login]\ntires = 3\n")); err == nil || len(c.Speakers) != 0 {
		t.Errorf("salvaged: %+v, %v", c.Speakers, err)
	}
}
