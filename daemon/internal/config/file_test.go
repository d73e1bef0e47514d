package config

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestPackagedFile holds the file that the packages install to the code: as it is, it changes nothing;
// with its settings taken out of their comments, every key is there, with its default.
func TestPackagedFile(t *testing.T) {
	content, err := os.ReadFile("../../../packaging/totpd.toml")
	if err != nil {
		t.Fatal(err)
	}
	if c, err := parse("totpd.toml", string(content)); err != nil || !reflect.DeepEqual(bare(c), Default()) || len(c.lines) > 0 {
		t.Errorf("as it is: %+v, %v", c, err)
	}
	// A setting has no space after its "#"; a remark has one.
	bared := regexp.MustCompile(`(?m)^#(\S)`).ReplaceAllString(string(content), "$1")
	c, err := parse("totpd.toml", bared)
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Code.Issuer = "web1" // for the host's name
	if !reflect.DeepEqual(bare(c), want) {
		t.Errorf("with its settings: %+v\nwant %+v", bare(c), want)
	}
	for _, s := range settings {
		if c.lines[s.name()] == 0 {
			t.Errorf("%s is not in it", s.name())
		}
	}
	// The rules and the speaker that it shows, without their remarks.
	_, shown, _ := strings.Cut(string(content), "#\n")
	rules, speakers, _ := strings.Cut(shown, "\n\n")
	_, speakers, _ = strings.Cut(speakers, "#\n")
	c, err = parse("totpd.toml", strings.ReplaceAll("\n"+rules+"\n"+speakers, "\n#", "\n"))
	if err != nil || len(c.Rules) != 2 || len(c.Speakers) != 1 {
		t.Errorf("its tables: %+v, %v", c, err)
	}
}
