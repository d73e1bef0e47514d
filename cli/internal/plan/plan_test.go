package plan

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/stack"
)

// hostOf makes a host of a txtar file, with more files laid over; "-> " begins a link, "-" takes away.
func hostOf(t *testing.T, archive string, more map[string]string) *Host {
	t.Helper()
	root := t.TempDir()
	a, err := txtar.ParseFile("testdata/" + archive + ".txtar")
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, f := range a.Files {
		files[f.Name] = string(f.Data)
	}
	if archive == "fedora" {
		for _, name := range []string{"system-auth", "password-auth", "postlogin"} {
			files["etc/pam.d/"+name] = "-> /etc/authselect/" + name
		}
	}
	for name, text := range more {
		files[name] = text
	}
	for name, text := range files {
		name = filepath.Join(root, name)
		if text == "-" {
			continue
		}
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if target, link := strings.CutPrefix(text, "-> "); link {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(text), 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	j, err := change.Open(root)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return &Host{Root: root, Tree: stack.Open(root), Journal: j, Scratch: t.TempDir()}
}

// make works out a plan that must not be refused, and checks what always holds.
func makePlan(t *testing.T, h *Host, services ...string) *Plan {
	t.Helper()
	p := Make(context.Background(), h, Want{Services: services})
	for _, r := range p.Refusals {
		t.Fatalf("refused: %v (hint: %s)", r, r.Hint)
	}
	for _, s := range p.Services {
		entries, err := p.Tree(h).Stack(s.Name, stack.Auth)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range stack.Judge(entries) {
			if _, bad := weigh(entries, f); bad != "" {
				t.Errorf("%s: %s", s.Name, bad)
			}
		}
	}
	for _, f := range p.Files {
		if again, err := change.Apply(f.Base, f.Edits); err != nil || string(again) != string(f.After) {
			t.Errorf("%s: its edits make %q, %v", f.Path, again, err)
		}
	}
	return p
}

// after returns what becomes of a file.
func after(t *testing.T, p *Plan, path string) string {
	t.Helper()
	for _, f := range p.Files {
		if f.Path == path {
			return string(f.After)
		}
	}
	t.Fatalf("%s is left as it is", path)
	return ""
}

func names(p *Plan) (all []string) {
	for _, s := range p.Services {
		all = append(all, s.Name)
	}
	return all
}

func TestDebianServices(t *testing.T) {
	h := hostOf(t, "debian", map[string]string{"etc/sudoers": "%sudo ALL=(ALL:ALL) ALL\n", "etc/sudoers.d/x": "# NOPASSWD\na ALL=(ALL) NOPASSWD: ALL\n"})
	p := makePlan(t, h, "login", "su", "sudo")
	if got := names(p); !slices.Equal(got, []string{"login", "su", "su-l", "sudo", "sudo-i"}) {
		t.Errorf("services %v", got)
	}
	ours := "@include common-auth\n" + remark + "\n" + codeLine + "\n"
	for _, path := range []string{"/etc/pam.d/login", "/etc/pam.d/su", "/etc/pam.d/sudo", "/etc/pam.d/sudo-i"} {
		if text := after(t, p, path); strings.Count(text, ours) != 1 || strings.Count(text, "pam_totpd") != 1 {
			t.Errorf("%s:\n%s", path, text)
		}
	}
	want := []string{
		"su, su-l: root is let in without password and code, as before",
		"su-l asks for the code too, by /etc/pam.d/su",
		"ssh is left as it is: --service sshd turns the code on there",
		"sudo asks for neither password nor code where a rule says NOPASSWD: /etc/sudoers.d/x:2",
	}
	for _, note := range want {
		if !slices.Contains(p.Notes, note) {
			t.Errorf("no note %q in %q", note, p.Notes)
		}
	}
	if got := Offered(h); !slices.Equal(got, []string{"sshd", "login", "su", "sudo"}) {
		t.Errorf("offered: %v", got)
	}
}

func TestDebianKeyBeforeTheCode(t *testing.T) {
	h := hostOf(t, "debian", nil)
	p := &Plan{}
	p.addService(h, "sshd", way{withKey: true})
	if len(p.Refusals) > 0 {
		t.Fatal(p.Refusals[0])
	}
	want := strings.Join(keyLines, "\n") + "\n@include common-auth\n" + remark + "\n" + codeLine + "\n"
	if text := after(t, p, "/etc/pam.d/sshd"); !strings.Contains(text, want) {
		t.Errorf("%s", text)
	}
}

func TestFedoraServices(t *testing.T) {
	h := hostOf(t, "fedora", nil)
	p := makePlan(t, h, "sshd", "login", "su", "sudo")
	if got := names(p); !slices.Equal(got, []string{"sshd", "login", "su", "su-l", "sudo", "sudo-i"}) {
		t.Errorf("services %v", got)
	}
	const derived = `auth required pam_env.so
auth required pam_faildelay.so delay=2000000
auth [success=ok ignore=ignore default=1] pam_usertype.so isregular
auth [success=ok ignore=ignore default=1] pam_localuser.so
auth [success=3 new_authtok_reqd=3 default=ignore] pam_unix.so nullok
auth [success=ok ignore=ignore default=1] pam_usertype.so isregular
auth [success=1 new_authtok_reqd=1 default=ignore] pam_sss.so forward_pass
auth requisite pam_deny.so
auth required pam_permit.so
auth required pam_totpd.so
`
	for _, name := range []string{"password-auth", "system-auth"} {
		text := after(t, p, "/etc/pam.d/totpd-"+name)
		if !strings.HasSuffix(text, "\n"+derived) || !strings.Contains(text, "from "+name) {
			t.Errorf("totpd-%s:\n%s", name, text)
		}
		if now, err := Derived(h.Tree, name); err != nil || string(now) != text {
			t.Errorf("derived again: %v\n%s", err, now)
		}
	}
	if text := after(t, p, "/etc/pam.d/sshd"); !strings.Contains(text, "\nauth  include  totpd-password-auth\nauth       include      postlogin\n") || strings.Contains(text, "\nauth       substack") {
		t.Errorf("sshd:\n%s", text)
	}
	key := &Plan{}
	key.addService(h, "sshd", way{withKey: true})
	if text := after(t, key, "/etc/pam.d/sshd"); len(key.Refusals) > 0 || !strings.Contains(text, keyLine) {
		t.Errorf("%v\n%s", key.Refusals, text)
	}
}

// One prompt stands before the password, also where that is jumped to.
func TestOnePrompt(t *testing.T) {
	one := strings.Join(combinedLines, "\n") + "\n"
	for name, c := range map[string]struct {
		archive, text, want string
	}{
		"Debian":          {"debian", "@include common-auth\n@include common-account\n", one + "@include common-auth\n@include common-account\n"},
		"a Debian su":     {"debian", "auth sufficient pam_rootok.so\n@include common-auth\n", "auth sufficient pam_rootok.so\n" + one + "@include common-auth\n"},
		"Fedora":          {"fedora", "auth substack password-auth\n", one + "auth substack password-auth\n"},
		"a copied Fedora": {"fedora", "auth sufficient pam_unix.so\nauth required pam_deny.so\n", one + "auth sufficient pam_unix.so\nauth required pam_deny.so\n"},
		"jumped over": {"debian", "auth [default=1 success=ok] pam_localuser.so\nauth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so use_first_pass\nauth requisite pam_deny.so\nauth required pam_permit.so\n",
			one + "auth [default=1 success=ok] pam_localuser.so\nauth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so use_first_pass\nauth requisite pam_deny.so\nauth required pam_permit.so\n"},
		"asks again": {"debian", "auth requisite pam_sss.so prompt_always\n", ""},
	} {
		h := hostOf(t, c.archive, map[string]string{"etc/pam.d/locker": c.text})
		p := Make(context.Background(), h, Want{Services: []string{"locker"}, OnePrompt: true})
		if c.want == "" {
			if len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0].Hint, combinedLine[len("auth  required  "):]) {
				t.Errorf("%s: %v", name, p.Refusals)
			}
			continue
		}
		if len(p.Refusals) > 0 {
			t.Errorf("%s: %v", name, p.Refusals[0])
			continue
		}
		if got := after(t, p, "/etc/pam.d/locker"); got != c.want || !p.Services[0].OnePrompt {
			t.Errorf("%s: %+v\n%s", name, p.Services, got)
		}
	}
}

// Applied, everything is there already; taken back, nothing is left.
func TestAgain(t *testing.T) {
	for _, archive := range []string{"debian", "fedora"} {
		h := hostOf(t, archive, nil)
		j := h.Journal.(*change.Journal)
		p := makePlan(t, h, "sshd", "su", "sudo")
		if err := j.Apply(change.Change{Files: p.Files, Why: "test"}); err != nil {
			t.Fatal(err)
		}
		again := makePlan(t, h, "sshd", "su", "sudo")
		if again.Changes() || len(again.Services) != 5 {
			t.Errorf("%s: %v %+v", archive, names(again), again.Files)
		}
		more := makePlan(t, h, "login")
		if !more.Changes() || len(more.Files) > 2 {
			t.Errorf("%s: login after the others: %+v", archive, more.Files)
		}
		files, stuck := j.Undo()
		if len(stuck) > 0 {
			t.Fatal(stuck)
		}
		if err := j.Apply(change.Change{Files: files, Why: "undo"}); err != nil {
			t.Fatal(err)
		}
		fresh := hostOf(t, archive, nil)
		names, _ := fresh.Tree.Services()
		now, _ := h.Tree.Services()
		if !slices.Equal(names, now) || !j.Empty() {
			t.Errorf("%s: left over: %v, %v", archive, now, j.Records())
		}
	}
}

func TestRefusals(t *testing.T) {
	const ours = "auth required pam_totpd.so\n"
	for _, c := range []struct {
		name, service string
		files         map[string]string
		where, why    string
	}{
		{"no such service", "nope", nil, "nope", "there is no PAM service"},
		{"totpd itself", "totpd", nil, "totpd", "it is how totpd checks a password"},
		{"a shared file", "common-auth", nil, "common-auth", "--service all"},
		{"a path", "../x", nil, "../x", "no service"},
		{"the password check includes ours", "sshd", map[string]string{"etc/pam.d/totpd": "@include mine\n", "etc/pam.d/mine": ours},
			"/etc/pam.d/mine:1, included at /etc/pam.d/totpd:1", "must not be in the service totpd"},
		{"a link", "sshd", map[string]string{"etc/pam.d/sshd": "-> login"}, "/etc/pam.d/sshd", "symbolic link to login"},
		{"Ansible's", "sshd", map[string]string{"etc/pam.d/sshd": "# Ansible managed\n@include common-auth\n"}, "/etc/pam.d/sshd", "undone by the next run"},
		{"a broken line", "sshd", map[string]string{"etc/pam.d/sshd": "@include common-auth\nauth reqired pam_x.so\n"}, "/etc/pam.d/sshd:2", "is no control"},
		{"a missing include", "sshd", map[string]string{"etc/pam.d/sshd": "@include common-author\n"}, "/etc/pam.d/sshd:1", "can't be read"},
		{"no auth lines", "sshd", map[string]string{"etc/pam.d/sshd": "account required pam_unix.so\n"}, "/etc/pam.d/sshd", "no auth lines"},
		{"no password", "sshd", map[string]string{"etc/pam.d/sshd": "auth required pam_mystery.so\n"}, "/etc/pam.d/sshd", "known to ask for a password"},
		{"ours stands too early", "sshd", map[string]string{"etc/pam.d/sshd": ours + "@include common-auth\n"}, "/etc/pam.d/sshd:1", "already, but not so that it holds: the code would be asked for after a wrong password"},
		{"ours is optional", "sshd", map[string]string{"etc/pam.d/sshd": "@include common-auth\nauth optional pam_totpd.so\n"}, "/etc/pam.d/sshd:2", "although the code was wrong"},
		{"a wrong password goes on", "sshd", map[string]string{"etc/pam.d/sshd": "auth required pam_unix.so\nauth required pam_group.so\n"}, "/etc/pam.d/sshd:3", "after a wrong password"},
		{"jumps to the end", "sshd", map[string]string{"etc/pam.d/sshd": "auth [success=2 default=ignore] pam_unix.so\nauth required pam_deny.so\nauth required pam_group.so\nauth required pam_permit.so\n"}, "/etc/pam.d/sshd:1", "without a code"},
		{"open to everybody", "sshd", map[string]string{"etc/pam.d/sshd": "auth sufficient pam_permit.so\n@include common-auth\n"}, "/etc/pam.d/sshd:1", "without a password"},
		{"no common stack", "all", nil, "--service all", "neither pam-auth-update nor authselect"},
	} {
		p := Make(context.Background(), hostOf(t, "debian", c.files), Want{Services: []string{c.service}})
		if len(p.Refusals) == 0 {
			t.Errorf("%s: not refused", c.name)
			continue
		}
		r := p.Refusals[0]
		if !strings.Contains(r.Where, c.where) || !strings.Contains(r.Why, c.why) || r.Hint == "" {
			t.Errorf("%s: %v (hint: %s)", c.name, r, r.Hint)
		}
	}
}

// A file with attributes against changes is named before anything is tried. Not every file system has them.
func TestImmutableFile(t *testing.T) {
	h := hostOf(t, "debian", nil)
	file := filepath.Join(h.Root, "etc/pam.d/sudo")
	if out, err := exec.Command("chattr", "+i", file).CombinedOutput(); err != nil {
		t.Logf("not tried: %s", out)
		return
	}
	defer exec.Command("chattr", "-i", file).Run()
	p := Make(context.Background(), h, Want{Services: []string{"sudo"}})
	if len(p.Refusals) != 1 || !strings.Contains(p.Refusals[0].Hint, "chattr -ia /etc/pam.d/sudo") {
		t.Errorf("%v", p.Refusals)
	}
}

// The line finds its place where the file is not as the distribution has it.
func TestPlaces(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"pam_unix in the file itself": {"auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\nauth required pam_permit.so\nauth optional pam_cap.so\n",
			"auth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n" + remark + "\n" + codeLine + "\nauth required pam_permit.so\nauth optional pam_cap.so\n"},
		"requisite":       {"auth requisite pam_unix.so\n", "auth requisite pam_unix.so\n" + remark + "\n" + codeLine + "\n"},
		"continued":       {"auth requisite \\\n  pam_unix.so\naccount required pam_unix.so", "auth requisite \\\n  pam_unix.so\n" + remark + "\n" + codeLine + "\naccount required pam_unix.so\n"},
		"fingerprint":     {"auth sufficient pam_fprintd.so\n@include common-auth\n", "auth sufficient pam_fprintd.so\n@include common-auth\n" + remark + "\n" + codeLine + "\n"},
		"ours by hand":    {"@include common-auth\nauth required /lib/security/pam_totpd.so timeout=5\n", "@include common-auth\nauth required /lib/security/pam_totpd.so timeout=5\n"},
		"two includes":    {"@include common-auth\n@include common-account\n", "@include common-auth\n" + remark + "\n" + codeLine + "\n@include common-account\n"},
		"a copied Fedora": {"auth sufficient pam_unix.so\nauth required pam_deny.so\n", ""},
		"module twice":    {"auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so use_first_pass\nauth requisite pam_deny.so\n", "auth [success=2 default=ignore] pam_unix.so\nauth [success=1 default=ignore] pam_sss.so use_first_pass\nauth requisite pam_deny.so\n" + remark + "\n" + codeLine + "\n" + permitLine + "\n"},
	} {
		h := hostOf(t, "debian", map[string]string{"etc/pam.d/locker": c.text})
		if c.want == "" {
			if p := Make(context.Background(), h, Want{Services: []string{"locker"}}); len(p.Refusals) != 1 {
				t.Errorf("%s: not refused", name)
			}
			continue
		}
		p := makePlan(t, h, "locker")
		if got := after(t, p, "/etc/pam.d/locker"); got != c.want {
			t.Errorf("%s:\n%s", name, got)
		}
	}
}

// A service that the distribution keeps below /usr gets a file of its own in /etc.
func TestVendorDirectory(t *testing.T) {
	h := hostOf(t, "debian", map[string]string{"usr/lib/pam.d/locker": "@include common-auth\n"})
	p := makePlan(t, h, "locker")
	f := p.Files[0]
	if f.Path != "/etc/pam.d/locker" || f.Now != nil || f.Base != nil || string(f.After) != "@include common-auth\n"+remark+"\n"+codeLine+"\n" {
		t.Errorf("%+v", f)
	}
}

// A service that is named twice, or is named and goes with another one, is in the plan once.
func TestServiceOnce(t *testing.T) {
	p := makePlan(t, hostOf(t, "debian", nil), "sudo", "sudo-i", "su-l", "su", "su")
	seen := map[string]int{}
	for _, s := range p.Services {
		seen[s.Name]++
	}
	for _, f := range p.Files {
		seen[f.Path]++
	}
	for _, want := range []string{"sudo", "sudo-i", "su", "su-l", "/etc/pam.d/sudo", "/etc/pam.d/sudo-i", "/etc/pam.d/su"} {
		if seen[want] != 1 {
			t.Errorf("%s is there %d times: %v", want, seen[want], seen)
		}
	}
}
