package plan

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/stack"
)

// locker is Debian's /etc/pam.d/i3lock, and swaylock.
const locker = "#\n# PAM configuration file for the i3lock screen locker. By default, it includes\n# the 'login' configuration file (see /etc/pam.d/login)\n#\n\nauth include login\n"

// asks says how a service asks by the plan: "", "code" or "together", and fails where it would ask twice or let in
// somebody unchecked.
func asks(t *testing.T, tree *stack.Tree, service string) string {
	t.Helper()
	entries, err := tree.Stack(service, stack.Auth)
	if err != nil {
		t.Fatalf("%s: %v", service, err)
	}
	how := ""
	for _, e := range entries {
		if e.AsksCode() {
			how += map[bool]string{true: "together", false: "code"}[e.Role() == stack.Combined]
		}
	}
	for _, f := range stack.Judge(entries) {
		if f.Kind != stack.Trust && (f.Kind != stack.NoCode || how != "") && (f.Kind != stack.Bypass || how != "") {
			t.Errorf("%s: %+v in %v", service, f, entries)
		}
	}
	return how
}

// TestReach: whatever includes a file that is changed, in whatever way, asks in the way it can, or not at all.
func TestReach(t *testing.T) {
	faulty := map[string]string{"usr/sbin/vsftpd": "", "usr/sbin/proftpd": ""}
	for name, c := range map[string]struct {
		archive  string
		files    map[string]string
		services []string
		one      bool
		want     map[string]string // by service; "-" for what is left out
	}{
		"i3lock and swaylock": {"debian", map[string]string{"etc/pam.d/i3lock": locker, "etc/pam.d/swaylock": locker}, []string{"login"}, false,
			map[string]string{"login": "code", "i3lock": "together", "swaylock": "together"}},
		"what includes can show two prompts": {"debian", map[string]string{"etc/pam.d/remote": "auth include login\naccount include login\n"}, []string{"login"}, false,
			map[string]string{"login": "code", "remote": "code"}},
		"by @include": {"debian", map[string]string{"etc/pam.d/i3lock": "@include login\n"}, []string{"login"}, false,
			map[string]string{"login": "code", "i3lock": "together"}},
		"by substack": {"debian", map[string]string{"etc/pam.d/i3lock": "auth substack login\nauth required pam_env.so\n"}, []string{"login"}, false,
			map[string]string{"login": "code", "i3lock": "together"}},
		"by its path": {"debian", map[string]string{"etc/pam.d/i3lock": "auth include /etc/pam.d/login\n"}, []string{"login"}, false,
			map[string]string{"login": "code", "i3lock": "together"}},
		"through another": {"debian", map[string]string{"etc/pam.d/desk": "auth required pam_env.so\nauth include login\n", "etc/pam.d/i3lock": "auth include desk\n"}, []string{"login"}, false,
			map[string]string{"login": "code", "desk": "code", "i3lock": "together"}},
		"through a locker": {"debian", map[string]string{"etc/pam.d/i3lock": locker, "etc/pam.d/alock": "auth include i3lock\n"}, []string{"login"}, false,
			map[string]string{"login": "code", "i3lock": "together", "alock": "together"}},
		"through two, by @include": {"debian", map[string]string{"etc/pam.d/desk": "@include login\n", "etc/pam.d/i3lock": "@include desk\n"}, []string{"login"}, false,
			map[string]string{"desk": "code", "i3lock": "together"}},
		"both by name": {"debian", map[string]string{"etc/pam.d/i3lock": locker}, []string{"login", "i3lock"}, false,
			map[string]string{"login": "code", "i3lock": "together"}},
		"the locker first": {"debian", map[string]string{"etc/pam.d/i3lock": locker}, []string{"i3lock", "login"}, false,
			map[string]string{"login": "code", "i3lock": "together"}},
		"the locker alone": {"debian", map[string]string{"etc/pam.d/i3lock": locker}, []string{"i3lock"}, false,
			map[string]string{"login": "", "i3lock": "together"}},
		"login together": {"debian", map[string]string{"etc/pam.d/i3lock": locker}, []string{"login"}, true,
			map[string]string{"login": "together", "i3lock": "together"}},
		"what can't ask": {"debian", with(faulty, "etc/pam.d/vsftpd", "auth required pam_shells.so\n@include login\n"), []string{"login"}, false,
			map[string]string{"login": "code", "vsftpd": "-"}},
		"sshd, included": {"debian", map[string]string{"etc/pam.d/sshd2": "@include sshd\n"}, []string{"sshd"}, false,
			map[string]string{"sshd": "code", "sshd2": "code"}},
		"su, which su-l includes": {"debian", map[string]string{"etc/pam.d/become": "auth include su-l\n"}, []string{"su"}, false,
			map[string]string{"su": "code", "su-l": "code", "become": "code"}},
		"Fedora": {"fedora", map[string]string{"etc/pam.d/i3lock": locker, "etc/pam.d/remote": "auth substack login\n"}, []string{"login"}, false,
			map[string]string{"login": "code", "i3lock": "together", "remote": "code"}},
	} {
		h := hostOf(t, c.archive, c.files)
		p := Make(context.Background(), h, Want{Services: c.services, OnePrompt: c.one})
		for _, r := range p.Refusals {
			t.Errorf("%s: refused: %+v", name, r)
		}
		for service, want := range c.want {
			wanted := want
			if want == "-" {
				wanted = ""
			}
			if got := asks(t, p.Tree(h), service); got != wanted {
				t.Errorf("%s: %s asks %q, want %q", name, service, got, wanted)
			}
			i := slices.IndexFunc(p.Services, func(s Service) bool { return s.Name == service })
			if (i >= 0) != (wanted != "") || i >= 0 && p.Services[i].OnePrompt != (wanted == "together") {
				t.Errorf("%s: %s among those that are tried: %+v", name, service, p.Services)
			}
			if out := slices.Contains(p.LeftOut, service); out != (want == "-") {
				t.Errorf("%s: %s left out: %v", name, service, out)
			}
			named := strings.Contains(strings.Join(p.Notes, "\n"), service)
			if !named && !slices.Contains(c.services, service) && wanted != "" && service != "su-l" {
				t.Errorf("%s: %s is not named in %q", name, service, p.Notes)
			}
		}
		again(t, name, h, p, c.services, c.one)
	}
}

// again applies a plan, makes it once more, and takes it back.
func again(t *testing.T, name string, h *Host, p *Plan, services []string, one bool) {
	t.Helper()
	j := h.Journal.(*change.Journal)
	before := map[string]string{}
	for _, f := range p.Files {
		before[f.Path] = string(f.Now)
	}
	if err := j.Apply(change.Change{Files: p.Files, Why: "test"}); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	if p := Make(context.Background(), h, Want{Services: services, OnePrompt: one}); p.Changes() || len(p.Refusals) > 0 {
		t.Errorf("%s: once more: %+v %+v", name, p.Files, p.Refusals)
	}
	files, stuck := j.Undo()
	if len(stuck) > 0 {
		t.Fatalf("%s: %v", name, stuck)
	}
	if err := j.Apply(change.Change{Files: files, Why: "undo"}); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	for path, was := range before {
		if now, err := j.Read(path); err != nil || string(now) != was {
			t.Errorf("%s: %s after undo: %q, was %q, %v", name, path, now, was, err)
		}
	}
}

func with(files map[string]string, name, text string) map[string]string {
	all := map[string]string{name: text}
	for name, text := range files {
		all[name] = text
	}
	return all
}

// TestReachInOrder: one service after the other, in any order, comes to the same.
func TestReachInOrder(t *testing.T) {
	for _, order := range [][]string{{"login", "i3lock"}, {"i3lock", "login"}, {"i3lock", "login", "i3lock"}, {"login", "i3lock", "login"}} {
		h := hostOf(t, "debian", map[string]string{"etc/pam.d/i3lock": locker})
		j := h.Journal.(*change.Journal)
		for _, service := range order {
			p := Make(context.Background(), h, Want{Services: []string{service}, OnePrompt: service == "i3lock"})
			if len(p.Refusals) > 0 {
				t.Fatalf("%v: %s: %+v", order, service, p.Refusals[0])
			}
			if err := j.Apply(change.Change{Files: p.Files, Why: "test"}); err != nil {
				t.Fatal(err)
			}
		}
		if l, i := asks(t, h.Tree, "login"), asks(t, h.Tree, "i3lock"); l != "code" || i != "together" {
			t.Errorf("%v: login asks %q, i3lock %q", order, l, i)
		}
		files, stuck := j.Undo()
		if err := j.Apply(change.Change{Files: files, Why: "undo"}); err != nil || len(stuck) > 0 || !j.Empty() {
			t.Errorf("%v: undo: %v %v", order, err, stuck)
		}
		if text, _ := j.Read("/etc/pam.d/i3lock"); string(text) != locker {
			t.Errorf("%v: i3lock is %q", order, text)
		}
	}
}

// TestWhatCantAsk is refused by name, with the reason and what helps.
func TestWhatCantAsk(t *testing.T) {
	users := "root:x:0:0::/root:/bin/sh\nfreerad:x:102:103::/:/bin/sh\n"
	h := hostOf(t, "debian", map[string]string{
		"usr/sbin/vsftpd": "", "etc/pam.d/vsftpd": "@include common-auth\n", "etc/pam.d/radiusd": "@include common-auth\n", "etc/passwd": users,
	})
	for service, why := range map[string]string{"vsftpd": "200 MB of address space", "radiusd": "as the user freerad"} {
		p := Make(context.Background(), h, Want{Services: []string{service}, OnePrompt: true})
		if len(p.Refusals) != 1 || p.Refusals[0].Where != service || !strings.Contains(p.Refusals[0].Why, why) || p.Refusals[0].Hint == "" {
			t.Errorf("%s: %+v", service, p.Refusals)
		}
	}
	h = hostOf(t, "debian", map[string]string{
		"etc/pam.d/radiusd": "@include common-auth\n", "etc/passwd": users,
		"etc/totpd/totpd.toml": "[[speaker]]\nuser = \"freerad\"\nservices = [\"radiusd\"]\n",
	})
	p := Make(context.Background(), h, Want{Services: []string{"radiusd"}})
	if len(p.Refusals) > 0 || asks(t, p.Tree(h), "radiusd") != "together" {
		t.Errorf("a speaker: %+v", p.Refusals)
	}
}

// TestKeysAreForSSHDAlone: a service that includes sshd asks for a code as sshd does, but takes no key's word.
func TestKeysAreForSSHDAlone(t *testing.T) {
	h := hostOf(t, "debian", map[string]string{"etc/pam.d/sftp": "@include sshd\n"})
	p := &Plan{}
	p.addService(h, "sshd", way{withKey: true})
	p.reach(h, false)
	if len(p.Refusals) > 0 || asks(t, p.Tree(h), "sftp") != "code" || p.takesKeys(h, "sftp") || !p.takesKeys(h, "sshd") {
		t.Errorf("%+v\n%s", p.Refusals, after(t, p, "/etc/pam.d/sftp"))
	}
	if !slices.ContainsFunc(p.Services, func(s Service) bool { return s.Name == "sftp" && !s.Key }) {
		t.Errorf("%+v", p.Services)
	}
}

// TestCopiesAreMadeAnew: when a file changes that was copied, the next setup of what is copied changes the copy, also
// for a service that is left out.
func TestCopiesAreMadeAnew(t *testing.T) {
	h := hostOf(t, "debian", map[string]string{
		"etc/pam.d/i3lock": locker, "usr/sbin/vsftpd": "", "etc/pam.d/vsftpd": "auth required pam_shells.so\n@include login\n",
	})
	j := h.Journal.(*change.Journal)
	login := func() *Plan {
		p := Make(context.Background(), h, Want{Services: []string{"login"}})
		if len(p.Refusals) > 0 {
			t.Fatalf("%+v", p.Refusals)
		}
		if err := j.Apply(change.Change{Files: p.Files, Why: "test"}); err != nil {
			t.Fatal(err)
		}
		return p
	}
	login()
	const file = "/etc/pam.d/login"
	text, _ := j.Read(file)
	if err := os.WriteFile(filepath.Join(h.Root, file), append([]byte("auth required pam_tally2.so\n"), text...), 0o644); err != nil {
		t.Fatal(err)
	}
	if p := login(); !slices.Equal(p.LeftOut, []string{"vsftpd"}) || !strings.Contains(after(t, p, "/etc/pam.d/totpd-plain-login"), "\nauth required pam_tally2.so\n") {
		t.Errorf("left out %v, copy %q", p.LeftOut, after(t, p, "/etc/pam.d/totpd-plain-login"))
	}
	if now, err := Plain(h.Tree, "login"); err != nil || !strings.Contains(string(now), "pam_tally2") || strings.Contains(string(now), "pam_totpd") {
		t.Errorf("a copy would be %q, %v", now, err)
	}
	if got := asks(t, h.Tree, "i3lock"); got != "together" {
		t.Errorf("i3lock asks %q", got)
	}
}
