package config

import (
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "totpd.toml")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestEveryKey(t *testing.T) {
	path := write(t, `
# a comment
code.digits = 8
code.period = 60
[listen]
login = "/l"
control = "/c"
password = '/p'
[store]
path = "/s \"x\" \\ y"
[key]
file = "/k"
[login]
prompt = "Cödé: "
tries = 1
[throttle]
free = 0
first_wait = 1
longest_wait = 86_400
lock = 1
[remember]
longest = 365
[log]
keep = 1
max = 10_000_000
`)
	// Dotted keys and a section of one name don't mix in TOML; the rest of [code] has its own file.
	got, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	host := Default().Code.Issuer
	want := Config{
		Listen: Listen{Login: "/l", Control: "/c", Password: "/p"},
		Store:  Store{Path: `/s "x" \ y`}, Key: Key{File: "/k"},
		Code:     Code{Issuer: host, Digits: 8, Period: 60, Algorithm: "SHA1", Skew: 1},
		Login:    Login{Prompt: "Cödé: ", Tries: 1},
		Throttle: Throttle{Free: 0, FirstWait: time.Second, LongestWait: 24 * time.Hour, Lock: 1},
		Remember: Remember{Longest: 365},
		Log:      Log{Keep: 1, Max: 10_000_000},
	}
	if !reflect.DeepEqual(bare(got), want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got, err = Load(write(t, "[code]\nissuer='example.org (lab)'\nalgorithm='SHA512'\nskew=0\n"))
	if want := (Code{"example.org (lab)", 6, 30, "SHA512", 0}); err != nil || got.Code != want {
		t.Errorf("got %+v, %v", got.Code, err)
	}
}

// bare is the settings without where they come from.
func bare(c Config) Config {
	c.file, c.lines = "", nil
	c.Rules = slices.Clone(c.Rules)
	for i := range c.Rules {
		c.Rules[i].Line = 0
	}
	return c
}

func TestDefaultsAreWithinTheirLimits(t *testing.T) {
	got, err := Load(write(t, ""))
	if err != nil || !reflect.DeepEqual(bare(got), Default()) {
		t.Errorf("an empty file gives %+v, %v", got, err)
	}
	var b strings.Builder
	if err := Default().Explain(&b); err != nil {
		t.Fatal(err)
	}
	if _, err := parse("defaults", b.String()); err != nil {
		t.Error(err)
	}
}

func TestErrors(t *testing.T) {
	for _, c := range []struct{ name, content, want string }{
		{"unknown section", "\n[logn]\ntries=3", "FILE:2:2: logn is unknown; the sections are listen, store, key, code, login, throttle"},
		{"unknown key", "[login]\ntires = 3", "FILE:2:9: login.tires is unknown; the keys of [login] are prompt, tries"},
		{"unknown key that looks like another", "[login]\n  TRIES = 3", "FILE:2:11: login.TRIES is unknown"},
		{"strange key", "[login]\n\"a\\nb\" = 3", `FILE:2:10: login."a\nb" is unknown`},
		{"not a section", "login = 3", "FILE:1:9: login must be a section, written [login]"},
		{"list of sections", "[[login]]\ntries = 3", "FILE:1:1: login must be a section"},
		{"key in a key", "[login.tries]\nx = 3", "FILE:1:1: login.tries must be a whole number"},
		{"text for a number", "[login]\ntries = '3'", "FILE:2:10: login.tries must be a whole number, without quotes"},
		{"fraction", "[login]\ntries = 3.0", "FILE:2:9: login.tries must be a whole number"},
		{"number for a text", "[login]\nprompt = 3", `FILE:2:10: login.prompt must be a text in quotes`},
		{"too small", "[login]\ntries = 0", "FILE:2:9: login.tries must be from 1 to 10"},
		{"too large", "[login]\ntries = 11", "must be from 1 to 10"},
		{"larger than an int32", "[login]\ntries = 4294967297", "must be from 1 to 10"},
		{"seven digits", "[code]\ndigits = 7", "code.digits must be 6 or 8"},
		{"period", "[code]\nperiod = 31", "code.period must be 30 or 60"},
		{"algorithm", "[code]\nalgorithm = 'sha1'", `must be "SHA1" or "SHA256" or "SHA512"`},
		{"issuer with a colon", "[code]\nissuer = 'a:b'", `must not hold any of ":"`},
		{"empty prompt", "[login]\nprompt = ''", "must have 1 to 128 bytes"},
		{"prompt of two lines", `login.prompt = "a\nb"`, "must have printable characters only"},
		{"terminal control", `login.prompt = "a\u001b[2J"`, "must have printable characters only"},
		{"relative path", "[store]\npath = 'totpd.db'", "must be a whole path"},
		{"path that climbs", "[store]\npath = '/a/../b'", "must be a whole path"},
		{"long socket", "[listen]\nlogin = '/" + strings.Repeat("x", 107) + "'", "must have 1 to 107 bytes"},
		{"one socket for two", "[listen]\nlogin = '/a'\ncontrol = '/a'", "FILE:3:12: listen.control must not be the same"},
		{"key in the store", "[store]\npath = '/a'\n[key]\nfile='/a'", "key.file must not be the same"},
		{"waits the wrong way round", "[throttle]\nfirst_wait = 1000", "FILE: throttle.longest_wait must not be shorter than throttle.first_wait"},
		{"lock within the free ones", "[throttle]\nlock = 3", "FILE:2:8: throttle.lock must be more than throttle.free"},
		{"lock beyond NIST's", "[throttle]\nlock = 101", "must be from 1 to 100"},
		{"a key twice", "[login]\ntries = 3\ntries = 3", "FILE:3:"},
		{"no TOML", "[login]\ntries: 3", "FILE:2:"},
		{"not UTF-8", "[login]\nprompt = \"\xff\"", "FILE:2:"},
		{"a NUL", "[login]\nprompt = \"\x00\"", "FILE:2:"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := write(t, c.content)
			got, err := Load(path)
			if err == nil || !strings.Contains(strings.ReplaceAll(err.Error(), path, "FILE"), c.want) {
				t.Errorf("error is  %v\nwant with %s", err, c.want)
			}
			if !reflect.DeepEqual(got, Config{}) {
				t.Error("an error together with settings")
			}
		})
	}
}

func TestAllErrorsAtOnceInOrder(t *testing.T) {
	path := write(t, "[login]\ntries = 0\ntires = 3\n[code]\ndigits = 7\n[nothing]\n")
	_, err := Load(path)
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(strings.ReplaceAll(err.Error(), path, ""), "\n")
	if len(lines) != 4 || lines[0][:3] != ":2:" || lines[1][:3] != ":3:" || lines[2][:3] != ":5:" || lines[3][:3] != ":6:" {
		t.Error(err)
	}
}

func TestFile(t *testing.T) {
	dir := t.TempDir()
	_, err := Load(filepath.Join(dir, "missing.toml"))
	if err == nil || !strings.Contains(err.Error(), "no such file: make it") {
		t.Error(err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a directory was read")
	}
	open := write(t, "")
	if err := os.Chmod(open, 0o646); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(open); err == nil || !strings.Contains(err.Error(), "chmod o-w") {
		t.Error(err)
	}
	if _, err := Load(write(t, strings.Repeat("# more\n", sizeMax/7+1))); err == nil || !strings.Contains(err.Error(), "larger than 1 MB") {
		t.Error(err)
	}
	if _, err := os.Stat(DefaultFile); err != nil {
		if got, err := Load(""); err != nil || !reflect.DeepEqual(got, Default()) {
			t.Errorf("without any file: %+v, %v", got, err)
		}
	}
}

// Of a broken file, root's help takes what is right in it, and has all errors told.
func TestSalvage(t *testing.T) {
	for name, tt := range map[string]struct{ content, path, err string }{
		"another key is wrong":   {"[login]\ntires = 3\n[store]\npath = \"/srv/totpd.db\"\n", "/srv/totpd.db", "login.tires is unknown"},
		"the path is wrong":      {"[store]\npath = \"totpd.db\"\n", "", "store.path must be a whole path"},
		"two settings clash":     {"[store]\npath = \"/srv/x\"\n[key]\nfile = \"/srv/x\"\n", "/srv/x", "key.file must not be"},
		"it is no configuration": {"[store]\npath = /srv/totpd.db\n", "", ":2:"},
		"nothing is wrong":       {"[store]\npath = \"/srv/totpd.db\"\n", "/srv/totpd.db", ""},
	} {
		want := Default()
		if tt.path != "" {
			want.Store.Path = tt.path
		}
		c, err := Salvage(write(t, tt.content))
		if c.Store != want.Store || c.Throttle != want.Throttle {
			t.Errorf("%s: %+v", name, c)
		}
		if (err == nil) != (tt.err == "") || err != nil && !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	want := Default()
	want.Rules = undecided()
	if c, err := Salvage("/nowhere/totpd.toml"); !reflect.DeepEqual(c, want) || err == nil {
		t.Errorf("no file: %+v, %v", c, err)
	}
}

func TestExplain(t *testing.T) {
	c, err := Load(write(t, "[code]\n\ndigits = 8\n[throttle]\nfirst_wait = 7\n"))
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	if err := c.Explain(&b); err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(b.String()) {
		key, rest, _ := strings.Cut(line, " = ")
		lines[key] = strings.Join(strings.Fields(rest), " ")
	}
	for key, want := range map[string]string{
		"digits":       "8 # line 3; ",
		"period":       "30 # default; ",
		"first_wait":   "7 # line 5; seconds",
		"longest_wait": "900 # default; seconds",
		"prompt":       `"One-time code: " # default; `,
	} {
		if !strings.HasPrefix(lines[key], want) {
			t.Errorf("%s is explained as %q", key, lines[key])
		}
	}
}

// FuzzParse: what parses is within the limits and explains itself as a file of the same effect; an
// error names the file and returns nothing else.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "[login]\ntries = 3\n", "code.digits = 8", "[code]\nissuer = \"a\\\"\\\\b\"\n", "[[rule]]\n",
		"login = {prompt = '''x''', tries = 2}", "[throttle]\nlock = 0x10\n", "[login]\nprompt = \"\"\"a\\\n b\"\"\"",
		"listen.login = \"/\u00e9\"", "[a.b.c]\nd.e = [[1], [{f = 1979-05-27T07:32:00Z}]]", "\ufeff[login]\n",
	} {
		f.Add(seed)
	}
	for _, rules := range append(trickyRules,
		"[[rule]]\nusers=['a', 'b\"c']\ngroups=['g']\nservices=['sshd']\nfrom=['::1', '10.0.0.0/8', 'local']\nrequire='required'\n"+
			"enrol_by=2026-12-31\nenrol_from=['local']\nremember=30\ngrace=5\n[[rule]]\nrequire='optional'\nenrol_at_login=false\n",
		"rule = [{require='exempt'}]", "[rule]\nx=1", "[[rule]]\nrequire='exempt'\n[login]\n[rule.x]\n", "rule=[]",
	) {
		f.Add(rules)
	}
	f.Fuzz(func(t *testing.T, content string) {
		c, err := parse("FILE", content)
		if err != nil {
			if !strings.HasPrefix(err.Error(), "FILE:") || !reflect.DeepEqual(c, Config{}) {
				t.Fatalf("error %q with %+v", err, c)
			}
			return
		}
		var b strings.Builder
		if err := c.Explain(&b); err != nil {
			t.Fatal(err)
		}
		again, err := parse("again", b.String())
		if err != nil || !reflect.DeepEqual(bare(again), bare(c)) {
			t.Fatalf("%+v\nis explained as\n%s\nwhich is\n%+v, %v", c, &b, again, err)
		}
	})
}
