package plan

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/msteinert/pam/v2"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/stack"
)

// The lines of other programs go, as their manuals have them, and ours come to stand where they are sound.
func TestOtherProgramsGiveWay(t *testing.T) {
	const ours, unix = "auth  required  pam_totpd.so", "auth required pam_unix.so"
	for _, tt := range []struct {
		name, file string
		want       string // the lines of auth afterwards; or why it is refused, after "!"
		onePrompt  bool
		note       string
	}{
		{name: "google-authenticator after the password", file: "@include common-auth\nauth required pam_google_authenticator.so nullok\n",
			want: "@include common-auth; " + ours, note: "takes the place of pam_google_authenticator.so"},
		{name: "of everybody", file: "@include common-auth\nauth required pam_google_authenticator.so\n",
			want: "@include common-auth; " + ours, note: `require = "required"`},
		{name: "before the password", file: "auth required pam_oath.so usersfile=/etc/users.oath window=20\n@include common-auth\n",
			want: "@include common-auth; " + ours},
		{name: "some are let in without", file: "auth [success=1 default=ignore] pam_access.so accessfile=/etc/local.conf\nauth required pam_google_authenticator.so\n@include common-auth\n",
			want: "auth [success=ignore default=ignore] pam_access.so accessfile=/etc/local.conf; @include common-auth; " + ours, note: "pam_access (/etc/pam.d/x:1) let some in without"},
		{name: "two at once, and a jump over both", file: "auth [success=2 default=ignore] pam_succeed_if.so user ingroup x\nauth required pam_yubico.so id=1\nauth required pam_duo.so\n@include common-auth\n",
			want: "auth [success=ignore default=ignore] pam_succeed_if.so user ingroup x; @include common-auth; " + ours},
		{name: "a jump over one and more", file: "auth [success=2 default=ignore] pam_succeed_if.so user ingroup x\nauth required pam_faildelay.so\nauth required pam_oath.so\n@include common-auth\n",
			want: "auth [success=1 default=ignore] pam_succeed_if.so user ingroup x; auth required pam_faildelay.so; @include common-auth; " + ours},
		{name: "with its own refusal", file: "@include common-auth\nauth [success=1 default=ignore] pam_oath.so\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
			want: "@include common-auth; " + ours + "; auth required pam_permit.so"},
		{name: "in place of the password", file: "auth sufficient pam_google_authenticator.so\n@include common-auth\n", want: "@include common-auth; " + ours},
		{name: "that has asked for the password", file: "auth required pam_google_authenticator.so forward_pass\n" + unix + " use_first_pass\nauth required pam_permit.so\n",
			want: "!strangers"},
		{name: "that has asked, before what refuses", file: "auth required pam_google_authenticator.so forward_pass\nauth requisite pam_unix.so use_first_pass\n",
			want: "auth requisite pam_unix.so; " + ours},
		{name: "that has asked, with one prompt", file: "auth required pam_google_authenticator.so forward_pass\nauth requisite pam_unix.so use_first_pass\n", onePrompt: true,
			want: "auth  required  pam_totpd.so prompt=combined; auth requisite pam_unix.so use_first_pass"},
		{name: "continued", file: "@include common-auth\nauth required \\\n\tpam_oath.so \\\n\twindow=5\nauth optional pam_group.so\n", want: "@include common-auth; " + ours + "; auth optional pam_group.so"},
		{name: "both", file: "@include common-auth\nauth required pam_totpd.so\nauth required pam_oath.so\n", want: "@include common-auth; auth required pam_totpd.so"},
		{name: "the password jumps over it", file: "auth [success=2 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth requisite pam_oath.so\nauth required pam_permit.so\n",
			want: "auth [success=1 default=ignore] pam_unix.so; auth requisite pam_deny.so; " + ours + "; auth required pam_permit.so"},
		{name: "in what others include", file: "@include inner\n", want: "!other services include"},
		{name: "security keys stay", file: "auth sufficient pam_u2f.so\n@include common-auth\n", want: "auth sufficient pam_u2f.so; @include common-auth; " + ours},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := hostOf(t, "debian", map[string]string{"etc/pam.d/x": tt.file + "account required pam_permit.so\n", "etc/pam.d/inner": "@include common-auth\nauth required pam_oath.so\n"})
			p := Make(context.Background(), h, Want{Services: []string{"x"}, OnePrompt: tt.onePrompt})
			if why, refused := strings.CutPrefix(tt.want, "!"); refused {
				if len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0].Why, why) {
					t.Fatalf("%+v", p.Refusals)
				}
				return
			}
			for _, r := range p.Refusals {
				t.Fatal(r, r.Hint)
			}
			var got []string
			for _, l := range stack.Parse("/etc/pam.d/x", "x", []byte(after(t, p, "/etc/pam.d/x"))).Lines {
				if l.Type == stack.Auth || l.Type == stack.AnyType {
					got = append(got, l.String())
				}
			}
			if want := strings.Join(strings.Fields(tt.want), " "); strings.Join(got, "; ") != want {
				t.Errorf("%s\nwant %s", strings.Join(got, "; "), want)
			}
			if !strings.Contains(strings.Join(p.Notes, "\n"), tt.note) {
				t.Errorf("notes %q", p.Notes)
			}
			i := slices.IndexFunc(p.Files, func(f change.File) bool { return f.Path == "/etc/pam.d/x" })
			if back, err := change.Revert(p.Files[i].After, p.Files[i].Edits); err != nil || string(back) != string(p.Files[i].Now) {
				t.Errorf("taken back: %q, %v", back, err)
			}
		})
	}
}

// To libpam, a stack without some lines, and with its jumps corrected, is the one in which these lines have no
// opinion: whatever the stack.
func TestTakenOutLinesAreAsIfSilent(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	dir := t.TempDir()
	ask := func(text string) bool {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "svc"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		tx, err := pam.StartConfDir("svc", "root", pam.ConversationFunc(func(pam.Style, string) (string, error) { return "", nil }), dir)
		if err != nil {
			t.Fatal(err)
		}
		defer tx.End()
		return tx.Authenticate(0) == nil
	}
	answers := []string{"success", "success", "auth_err", "ignore"}
	actions := []string{"ok", "done", "bad", "die", "ignore", "1", "2", "3", "1"}
	pick := func(all []string) string { return all[random.IntN(len(all))] }
	tried, accepted := 0, 0
	for tried < 500 {
		var inner, text, silent strings.Builder
		for range 1 + random.IntN(3) {
			fmt.Fprintf(&inner, "auth %s pam_debug.so auth=%s\n", pick([]string{"required", "sufficient", "optional"}), pick(answers))
		}
		if err := os.WriteFile(filepath.Join(dir, "inner"), []byte(inner.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		n := 2 + random.IntN(6)
		var out []int // lines
		for line := 1; line <= n; line++ {
			control := pick([]string{"required", "requisite", "sufficient", "optional", "[]", "[]", "[]"})
			if control == "[]" {
				control = fmt.Sprintf("[success=%s ignore=%s default=%s]", pick(actions), pick(actions), pick(actions))
			}
			row, quiet := fmt.Sprintf("auth %s pam_debug.so auth=%s\n", control, pick(answers)), ""
			switch random.IntN(5) {
			case 0:
				row = "auth " + pick([]string{"include", "substack"}) + " " + dir + "/inner\n"
			case 1, 2:
				out = append(out, line)
				quiet = "auth [default=ignore] pam_debug.so auth=success\n"
			}
			text.WriteString(row)
			if quiet == "" {
				quiet = row
			}
			silent.WriteString(quiet)
		}
		if len(out) == 0 || len(out) == n {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "svc"), []byte(text.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		entries, err := stack.OpenDir(dir).Stack("svc", stack.Auth)
		if err != nil {
			t.Fatal(err)
		}
		gone := map[int]bool{}
		for i, e := range entries {
			gone[i] = len(e.Via) == 0 && !e.Sub && slices.Contains(out, e.Place.Line)
		}
		edits, r := takeOut([]byte(text.String()), entries, gone, false, func(stack.Entry) {})
		if r != nil {
			t.Fatal(r)
		}
		cleaned, err := change.Apply([]byte(text.String()), edits)
		if err != nil {
			t.Fatal(err)
		}
		tried++
		got, want := ask(string(cleaned)), ask(silent.String())
		if got != want {
			t.Fatalf("%v in place of %v:\n%s\nwas\n%s\nwith\n%s", got, want, cleaned, silent.String(), inner.String())
		}
		if got {
			accepted++
		}
	}
	if accepted < 50 || accepted > 450 {
		t.Errorf("%d of %d accepted: the stacks try too little", accepted, tried)
	}
}
