package stack

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
)

// Files of Debian 12 and Fedora 40, without comments.
var distributions = map[string]string{
	"etc/pam.d/common-auth": `auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
auth optional pam_cap.so
`,
	"etc/pam.d/common-sss": `auth [success=2 default=ignore] pam_unix.so nullok
auth [success=1 default=ignore] pam_sss.so use_first_pass
auth requisite pam_deny.so
auth required pam_permit.so
`,
	"etc/pam.d/common-faillock": `auth required pam_faillock.so preauth
auth [success=2 default=ignore] pam_unix.so
auth [default=die] pam_faillock.so authfail
auth requisite pam_deny.so
auth required pam_permit.so
`,
	"etc/pam.d/password-auth": `auth required pam_env.so
auth required pam_faildelay.so delay=2000000
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth [default=1 ignore=ignore success=ok] pam_localuser.so
auth sufficient pam_unix.so nullok
auth [default=1 ignore=ignore success=ok] pam_usertype.so isregular
auth sufficient pam_sss.so forward_pass
auth required pam_deny.so
`,
	"etc/pam.d/postlogin": "session optional pam_lastlog.so\n",
}

func judged(t *testing.T, text string) string {
	t.Helper()
	files := map[string]string{"etc/pam.d/svc": text}
	for name, text := range distributions {
		files[name] = text
	}
	entries, err := Open(hostWith(t, files)).Stack("svc", Auth)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, f := range Judge(entries) {
		where := ""
		if f.Entry >= 0 {
			where = " " + strings.TrimPrefix(entries[f.Entry].Place.String(), "/etc/pam.d/")
		}
		all = append(all, fmt.Sprint(f.Kind, where))
	}
	return strings.Join(all, "; ")
}

func TestJudge(t *testing.T) {
	const ours = "auth required pam_totpd.so\n"
	const both = "auth required pam_totpd.so prompt=combined\n"
	const keyFirst = "auth [success=done ignore=ignore default=die] pam_totpd.so with_key\n"
	for _, c := range []struct{ name, text, want string }{
		{"Debian", "@include common-auth\n" + ours, ""},
		{"Debian with sssd", "@include common-sss\n" + ours, ""},
		{"Debian with faillock", "@include common-faillock\n" + ours, ""},
		{"Debian before", "@include common-auth\n", "no code; bypass common-auth:1"},
		{"Debian with a key first", keyFirst + "@include common-auth\n" + ours, ""},
		{"the code before the password", ours + "@include common-auth\n", "early svc:1"},
		{"the code alone", ours, "early svc:1"},
		{"the code optional", "@include common-auth\nauth optional pam_totpd.so\n", "overruled svc:2"},
		{"the code sufficient", "auth sufficient pam_totpd.so\n@include common-auth\n", "early svc:1; overruled common-auth:1"},
		{"the code twice", "@include common-auth\n" + ours + ours, "twice svc:3"},
		{"a Debian su", "auth sufficient pam_rootok.so\n@include common-auth\n" + ours, "trust svc:1"},
		{"a su with trusted wheel", "auth sufficient pam_wheel.so trust\n@include common-auth\n" + ours, "trust svc:1"},
		{"a su for wheel only", "auth required pam_wheel.so\n@include common-auth\n" + ours, ""},
		{"a fingerprint instead", "auth sufficient pam_fprintd.so\n@include common-auth\n" + ours, "bypass svc:1"},
		{"who needs no password", "auth sufficient pam_succeed_if.so user ingroup nopasswdlogin\n@include common-auth\n" + ours, "no proof svc:1"},
		{"Debian with one prompt", both + "@include common-auth\n", ""},
		{"Debian with sssd and one prompt", both + "@include common-sss\n", ""},
		{"Debian with faillock and one prompt", both + "@include common-faillock\n", ""},
		{"Fedora with one prompt", both + "auth substack password-auth\n", ""},
		{"Fedora with one prompt, included", both + "auth include password-auth\n", ""},
		{"one prompt, requisite", "auth requisite pam_totpd.so prompt=combined\n@include common-auth\n", ""},
		{"one prompt with a key first", keyFirst + both + "@include common-auth\n", ""},
		{"a su with one prompt", "auth sufficient pam_rootok.so\n" + both + "@include common-auth\n", "trust svc:1"},
		{"one prompt after the password", "@include common-auth\n" + both, "behind svc:2"},
		{"one prompt alone", both, "no proof svc:1"},
		{"one prompt without the password", both + "auth required pam_permit.so\n", "no proof svc:1"},
		{"one prompt, optional", "auth optional pam_totpd.so prompt=combined\n@include common-auth\n", "overruled common-auth:1"},
		{"one prompt, sufficient", "auth sufficient pam_totpd.so prompt=combined\n@include common-auth\n", "no proof svc:1; overruled common-auth:1"},
		{"one prompt and a second", both + "@include common-auth\n" + ours, "twice svc:3"},
		{"one prompt twice", both + both + "@include common-auth\n", "twice svc:2"},
		{"one prompt, and the password again", both + "auth [success=ok default=die] pam_krb5.so\n", "again svc:2"},
		{"one prompt for a directory", both + "auth [success=ok default=die] pam_krb5.so use_first_pass\n", ""},
		{"one prompt for a sssd that asks", both + "auth required pam_sss.so prompt_always\n", "again svc:2"},
		{"one prompt before a token", "auth required pam_u2f.so\n" + both + "@include common-auth\n", ""},
		{"an unknown module", "auth sufficient pam_mystery.so\n@include common-auth\n" + ours, "no proof svc:1"},
		{"a jump over ours", "auth [success=3 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n" + ours + "auth optional pam_cap.so\nauth required pam_permit.so\n", "bypass svc:1"},
		{"Fedora, ours after the substack", "auth substack password-auth\n" + ours + "auth include postlogin\n", "early svc:2"},
		{"Fedora, ours after an include", "auth include password-auth\n" + ours, "bypass password-auth:5; bypass password-auth:7; early svc:2"},
		{"Debian's password, requisite", "auth requisite pam_unix.so\n" + ours, ""},
		{"sssd's, requisite", "auth sufficient pam_localuser.so\nauth requisite pam_sss.so\n" + ours, "no proof svc:1"},
		{"sssd's, which may say ignore", "auth requisite pam_sss.so ignore_unknown_user\n" + ours, "early svc:2"},
		{"a wrong password goes on", "auth required pam_unix.so\n" + ours, "early svc:2"},
		{"nothing says yes but the code", "auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n" + ours, "mute svc:3"},
		{"nobody gets in", "auth requisite pam_deny.so\n" + ours, "closed"},
		{"a broken line", "@include common-auth\nauth requird pam_totpd.so\n", "closed; broken svc:2"},
	} {
		if got := judged(t, c.text); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

func TestRoles(t *testing.T) {
	seen := map[string]Role{}
	for role, names := range roles {
		for _, name := range strings.Fields(names) {
			if other, twice := seen[name]; twice {
				t.Errorf("%s is %v and %v", name, other, role)
			}
			seen[name] = role
		}
	}
	for text, want := range map[string]Role{
		"auth required pam_totpd.so debug":                         Code,
		"auth required /usr/lib/security/pam_totpd.so with_key":    WithKey,
		"auth required pam_wheel.so group=a trust":                 Trusts,
		"auth required pam_wheel.so":                               Neutral,
		"auth sufficient /lib/security/pam_unix.so try_first_pass": Knows,
		"auth sufficient pam_what.so":                              Unknown,
	} {
		if got := Parse("", "", []byte(text)).Lines[0].Role(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: role %v, want %v", text, got, want)
		}
	}
}
