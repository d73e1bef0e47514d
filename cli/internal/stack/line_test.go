package stack

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseLines(t *testing.T) {
	for _, c := range []struct {
		text    string
		want    string // as Line.String has it; "" for no line
		problem string
	}{
		{"auth required pam_unix.so", "auth required pam_unix.so", ""},
		{"\t AUTH\tRequired   pam_unix.so nullok\ttry_first_pass # why", "auth required pam_unix.so nullok try_first_pass", ""},
		{"-session optional pam_systemd.so", "-session optional pam_systemd.so", ""},
		{"auth [success=1 default=ignore] pam_unix.so", "auth [success=1 default=ignore] pam_unix.so", ""},
		{"auth [ success = done  new_authtok_reqd=ok default=die ] /x/y.so", "auth [success=done new_authtok_reqd=ok default=die] /x/y.so", ""},
		{"auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular", "auth [success=ok ignore=ignore default=1] pam_usertype.so isregular", ""},
		{"auth include system-auth", "auth include system-auth", ""},
		{"auth substack password-auth", "auth substack password-auth", ""},
		{"@include common-auth", "@include common-auth", ""},
		{"auth required pam_exec.so /bin/sh -c [echo [a\\] b]", "auth required pam_exec.so /bin/sh -c [echo [a\\] b]", ""},
		{"auth required pam_x.so []", "auth required pam_x.so []", ""},
		{"# auth required pam_unix.so", "", ""},
		{" \t ", "", ""},
		{"authh required pam_unix.so", "auth required pam_unix.so", `"authh" is no type`},
		{"auth", "", "the control is missing"},
		{"auth required", "", "the module is missing"},
		{"auth include", "", "the file to include is missing"},
		{"@include", "", "the file to include is missing"},
		{"auth requird pam_unix.so", "", `"requird" is no control`},
		{"auth [success=0] pam_unix.so", "", `"0" is no action`},
		{"auth [success=99999] pam_unix.so", "", `"99999" is no action`},
		{"auth [succes=ok] pam_unix.so", "", "is no control"},
		{"auth [success ok] pam_unix.so", "", "is no control"},
		{"auth required pam_\x00nix.so", "", "NUL"},
	} {
		f := Parse("/etc/pam.d/x", "x", []byte(c.text+"\n"))
		if len(f.Lines) == 0 {
			if c.want != "" || c.problem != "" {
				t.Errorf("%q: no line", c.text)
			}
			continue
		}
		l := f.Lines[0]
		switch {
		case c.problem == "" && l.Problem != "", !strings.Contains(l.Problem, c.problem):
			t.Errorf("%q: problem %q, want %q", c.text, l.Problem, c.problem)
		case c.want != "" && l.String() != c.want:
			t.Errorf("%q: %q, want %q", c.text, l.String(), c.want)
		case c.want == "" && c.problem == "":
			t.Errorf("%q: %q, want no line", c.text, l.String())
		}
	}
}

func TestContinuedLines(t *testing.T) {
	f := Parse("/etc/pam.d/x", "x", []byte(`#%PAM-1.0
auth required \
# passed over

   pam_unix.so  \
 nullok
account required pam_a.so # ends here \
session required pam_b.so
auth required pam_c.so \`))
	type at struct {
		first, last int
		text        string
	}
	var got []at
	for _, l := range f.Lines {
		got = append(got, at{l.Place.Line, l.Last, l.String()})
	}
	want := []at{
		{2, 6, "auth required pam_unix.so nullok"},
		{7, 7, "account required pam_a.so"},
		{8, 8, "session required pam_b.so"},
		{9, 9, "auth required pam_c.so"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if p := f.Lines[3].Problem; !strings.Contains(p, "backslash") {
		t.Errorf("a line without its continuation: problem %q", p)
	}
}

func TestControlActions(t *testing.T) {
	for control, want := range map[string]map[string]Action{
		"required":                           {"success": OK, "ignore": Ignore, "auth_err": Bad},
		"requisite":                          {"success": OK, "ignore": Ignore, "auth_err": Die},
		"sufficient":                         {"success": Done, "ignore": Ignore, "auth_err": Ignore},
		"optional":                           {"success": OK, "ignore": Ignore, "auth_err": Ignore},
		"[success=2 default=ignore]":         {"success": 2, "auth_err": Ignore},
		"[default=die success=ok]":           {"success": OK, "auth_err": Die},
		"[success=ok]":                       {"success": OK, "auth_err": Bad},
		"[default=die default=ok]":           {"auth_err": Die},
		"[success=ok success=reset]":         {"success": Reset},
		"[success=done\tnew_authtok_reqd=1]": {"success": Done, "new_authtok_reqd": 1},
	} {
		l := Parse("", "", []byte("auth "+control+" pam_x.so")).Lines[0]
		if l.Problem != "" {
			t.Errorf("%s: %s", control, l.Problem)
		}
		for value, action := range want {
			if got := l.Control.Action(value); got != action {
				t.Errorf("%s: %s does %v, want %v", control, value, got, action)
			}
		}
	}
}

func TestConfLines(t *testing.T) {
	f := ParseConf("/etc/pam.conf", []byte("sshd auth required pam_unix.so\nOTHER -auth required pam_deny.so\nalone\n"))
	if len(f.Lines) != 3 || f.Lines[0].Service != "sshd" || f.Lines[0].String() != "auth required pam_unix.so" ||
		f.Lines[1].Service != "OTHER" || !f.Lines[1].Silent || f.Lines[2].Problem != "the type is missing" {
		t.Errorf("%+v", f.Lines)
	}
}

// What is read and written down again reads as the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"auth required pam_unix.so nullok", "-auth [success=1 default=ignore] x [a b\\] c]", "@include common-auth",
		"auth \\\n# no\nsubstack y", "auth [a", "[auth] [] []", "auth required [pam x] [[] []", "a\x00", "auth include a\\",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		ParseConf("/etc/pam.conf", text)
		lines := 1 + strings.Count(string(text), "\n")
		last := 0
		for _, l := range Parse("/etc/pam.d/x", "x", text).Lines {
			if l.Place.Line <= last || l.Last < l.Place.Line || l.Last > lines {
				t.Fatalf("line %d to %d after %d, of %d", l.Place.Line, l.Last, last, lines)
			}
			last = l.Last
			if l.Problem != "" || strings.ContainsAny(l.Module, " \t[]\\") || l.Module == "" || strings.ContainsAny(strings.Join(l.Args, ""), "\\") {
				continue
			}
			again := Parse("/etc/pam.d/x", "x", []byte(l.String())).Lines
			if len(again) != 1 || again[0].String() != l.String() {
				t.Fatalf("%q reads back as %v", l.String(), again)
			}
		}
	})
}
