package sshd

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func hostWith(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestWords(t *testing.T) {
	for line, want := range map[string][]string{
		"UsePAM yes":                        {"UsePAM", "yes"},
		"  UsePAM=yes # why":                {"UsePAM", "yes"},
		"UsePAM = \"yes\"":                  {"UsePAM", "yes"},
		"Match User \"a b\",c host d#e":     {"Match", "User", "a b,c", "host", "d#e"},
		`Banner '/etc/a \'b' c\ d "\\"`:     {"Banner", "/etc/a 'b", "c d", `\`},
		"AuthenticationMethods":             {"AuthenticationMethods"},
		"# UsePAM yes":                      nil,
		"\t":                                nil,
		"AcceptEnv LANG LC_* \r":            {"AcceptEnv", "LANG", "LC_*"},
		`AuthenticationMethods "a,b" "c`:    {"AuthenticationMethods", "a,b", "c"},
		"KbdInteractiveAuthentication\tyes": {"KbdInteractiveAuthentication", "yes"},
	} {
		keyword, args := words(line + "\n")
		var got []string
		if keyword != "" {
			got = append([]string{keyword}, args...)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", line, got, want)
		}
	}
}

func TestWhichLineSetsWhat(t *testing.T) {
	root := hostWith(t, map[string]string{
		"etc/ssh/sshd_config": `Include /etc/ssh/sshd_config.d/*.conf
ChallengeResponseAuthentication no
UsePAM yes
Match User backup
	PasswordAuthentication yes
	Include extra/*
Match all
PasswordAuthentication no
`,
		"etc/ssh/sshd_config.d/20-b.conf":     "KbdInteractiveAuthentication no\nMatch Group admins\nAuthenticationMethods any\n",
		"etc/ssh/sshd_config.d/10-a.conf":     "kbdinteractiveauthentication yes\n",
		"etc/ssh/sshd_config.d/30-c.disabled": "UsePAM no\n",
		"etc/ssh/extra/x":                     "PubkeyAuthentication no\nMatch Address 10.0.0.0/8\nPubkeyAuthentication yes\n",
	})
	c, err := ReadConfig(root, ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	shown := func(all []Directive) (lines []string) {
		for _, d := range all {
			lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s %s %s", strings.TrimPrefix(d.Place.String(), "/etc/ssh/"), d.String(), d.Match)))
		}
		return lines
	}
	for keyword, want := range map[string][2][]string{
		"ChallengeResponseAuthentication": {{
			"sshd_config.d/10-a.conf:1 kbdinteractiveauthentication yes",
			"sshd_config.d/20-b.conf:1 kbdinteractiveauthentication no",
			"sshd_config:2 kbdinteractiveauthentication no"}, nil},
		"UsePAM":                 {{"sshd_config:3 usepam yes"}, nil},
		"PasswordAuthentication": {{"sshd_config:8 passwordauthentication no"}, {"sshd_config:5 passwordauthentication yes User backup"}},
		"AuthenticationMethods":  {nil, {"sshd_config.d/20-b.conf:3 authenticationmethods any Group admins"}},
		"PubkeyAuthentication": {nil, {"extra/x:1 pubkeyauthentication no User backup",
			"extra/x:3 pubkeyauthentication yes User backup, Address 10.0.0.0/8"}},
	} {
		everybody, conditional := c.Setting(keyword)
		if got := [2][]string{shown(everybody), shown(conditional)}; !reflect.DeepEqual(got, want) {
			t.Errorf("%s:\n got %q\nwant %q", keyword, got, want)
		}
	}
	if len(c.Files) != 4 {
		t.Errorf("files %v", c.Files)
	}
}

// sshd goes by "Match all" before what stands in no block.
func TestMatchAllCountsFirst(t *testing.T) {
	root := hostWith(t, map[string]string{"etc/ssh/sshd_config": "AuthenticationMethods yes\nMatch User x\nAuthenticationMethods no\nMatch all\nAuthenticationMethods no\n"})
	c, err := ReadConfig(root, ConfigFile)
	if err != nil {
		t.Fatal(err)
	}
	if everybody, _ := c.Setting("AuthenticationMethods"); len(everybody) != 2 || everybody[0].Line != 5 {
		t.Errorf("%v", everybody)
	}
}

func TestConfigThatCannotBeRead(t *testing.T) {
	root := hostWith(t, map[string]string{"etc/ssh/sshd_config": "Include sshd_config\n", "etc/ssh/twice": "Include twice\nInclude twice\n"})
	for _, name := range []string{ConfigFile, "/etc/ssh/twice"} {
		if _, err := ReadConfig(root, name); !errors.Is(err, ErrTooDeep) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := ReadConfig(root, "/etc/ssh/none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("Include a b\nMatch User \"x\\\" y\nUsePAM=yes#\n'"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for _, d := range Parse("x", text) {
			if d.Line < 1 || d.Keyword != strings.ToLower(d.Keyword) {
				t.Fatalf("%+v", d)
			}
		}
	})
}

// A copy means the same, with what is to become of it, and only reads what is in it.
func TestCopy(t *testing.T) {
	files := map[string]string{
		"etc/ssh/sshd_config":          "# head\nInclude /etc/ssh/sshd_config.d/*.conf\nPort 22\nMatch User x\nInclude none/*\n",
		"etc/ssh/sshd_config.d/b.conf": "Include sshd_config.d/deeper\nUsePAM no\n",
		"etc/ssh/sshd_config.d/deeper": "PubkeyAuthentication no\n",
		"etc/ssh/sshd_config.d/c.conf": "UsePAM no\n",
	}
	root, dir := hostWith(t, files), t.TempDir()
	laid := map[string][]byte{"/etc/ssh/sshd_config.d/a.conf": []byte("UsePAM yes\n"), "/etc/ssh/sshd_config.d/c.conf": nil}
	c, err := MakeCopy(root, ConfigFile, dir, laid)
	if err != nil {
		t.Fatal(err)
	}
	show := func(config *Config, err error) (lines []string) {
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range config.Directives {
			if d.Keyword != "include" {
				lines = append(lines, fmt.Sprint(c.Original(d.Place.String()+" "), d, " ", d.Match))
			}
		}
		return lines
	}
	want := show(ReadConfigWith(root, ConfigFile, laid))
	if got := show(ReadConfig("/", c.Path)); !reflect.DeepEqual(got, want) || len(want) != 5 {
		t.Errorf("\n got %q\nwant %q", got, want)
	}
	said := c.Original("error: " + c.Path + " line 3: bad; " + c.Path + ": no")
	if said != "error: /etc/ssh/sshd_config line 3: bad; /etc/ssh/sshd_config: no" {
		t.Errorf("%q", said)
	}
}
