package stack

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// hostWith makes a root directory of these files. A text that begins with "-> " makes a symbolic link.
func hostWith(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		name = filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(text, "-> "); link {
			err = os.Symlink(target, name)
		} else {
			err = os.WriteFile(name, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// shown are entries in one form: level, place, text or problem.
func shown(entries []Entry) []string {
	var all []string
	for _, e := range entries {
		text := e.String()
		switch {
		case e.Problem != "":
			text = "! " + e.Problem
		case e.Sub:
			text = "{ " + e.Module
		}
		all = append(all, fmt.Sprintf("%d %s %s", e.Level, e.Place, text))
	}
	return all
}

func checkStack(t *testing.T, tree *Tree, service string, typ Type, want ...string) []Entry {
	t.Helper()
	got, err := tree.Stack(service, typ)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(shown(got), want) {
		t.Errorf("%s %s:\n got %s\nwant %s", service, typ, strings.Join(shown(got), "\n     "), strings.Join(want, "\n     "))
	}
	return got
}

func TestStackOfDebian(t *testing.T) {
	tree := Open(hostWith(t, map[string]string{
		"etc/pam.d/sshd":           "@include common-auth\naccount required pam_nologin.so\n@include common-account\n",
		"etc/pam.d/common-auth":    "# c\nauth [success=1 default=ignore] pam_unix.so\nauth requisite pam_deny.so\n",
		"etc/pam.d/common-account": "account required pam_unix.so\n",
	}))
	auth := checkStack(t, tree, "sshd", Auth,
		"0 /etc/pam.d/common-auth:2 auth [success=1 default=ignore] pam_unix.so",
		"0 /etc/pam.d/common-auth:3 auth requisite pam_deny.so")
	if got, want := auth[0].Where(), "/etc/pam.d/common-auth:2, included at /etc/pam.d/sshd:1"; got != want {
		t.Errorf("where: %q, want %q", got, want)
	}
	checkStack(t, tree, "sshd", Account,
		"0 /etc/pam.d/sshd:2 account required pam_nologin.so",
		"0 /etc/pam.d/common-account:1 account required pam_unix.so")
}

// Links with absolute targets, as authselect makes them, are followed within the root.
func TestStackOfFedora(t *testing.T) {
	tree := Open(hostWith(t, map[string]string{
		"etc/pam.d/sshd":               "auth substack password-auth\nauth include postlogin\n",
		"etc/pam.d/password-auth":      "-> /etc/authselect/password-auth",
		"etc/authselect/password-auth": "auth sufficient pam_unix.so\nauth required pam_deny.so\n",
		"etc/pam.d/postlogin":          "session optional pam_lastlog.so\n",
	}))
	auth := checkStack(t, tree, "sshd", Auth,
		"0 /etc/pam.d/sshd:1 { password-auth",
		"1 /etc/pam.d/password-auth:1 auth sufficient pam_unix.so",
		"1 /etc/pam.d/password-auth:2 auth required pam_deny.so")
	if !auth[0].Sub || auth[1].Name() != "pam_unix" || auth[0].Name() != "" {
		t.Errorf("%+v", auth)
	}
}

func TestStackFallsBackToOtherByType(t *testing.T) {
	tree := Open(hostWith(t, map[string]string{
		"etc/pam.d/tool":      "auth required pam_permit.so\n",
		"usr/lib/pam.d/other": "auth required pam_deny.so\nsession required pam_deny.so\n",
		"usr/lib/pam.d/tool":  "auth required pam_never.so\n",
	}))
	checkStack(t, tree, "tool", Auth, "0 /etc/pam.d/tool:1 auth required pam_permit.so")
	session := checkStack(t, tree, "Tool", Session, "0 /usr/lib/pam.d/other:2 session required pam_deny.so")
	if session[0].Service != Other {
		t.Errorf("service %q", session[0].Service)
	}
	checkStack(t, tree, "unheard-of", Auth, "0 /usr/lib/pam.d/other:1 auth required pam_deny.so")
	if names, err := tree.Services(); err != nil || !reflect.DeepEqual(names, []string{"other", "tool"}) {
		t.Errorf("services %v, %v", names, err)
	}
}

func TestStackOfPamConf(t *testing.T) {
	root := hostWith(t, map[string]string{"etc/pam.conf": "login auth required pam_unix.so\nother auth required pam_deny.so\n"})
	tree := Open(root)
	checkStack(t, tree, "login", Auth, "0 /etc/pam.conf:1 auth required pam_unix.so")
	checkStack(t, tree, "sshd", Auth, "0 /etc/pam.conf:2 auth required pam_deny.so")
	if names, err := tree.Services(); err != nil || !reflect.DeepEqual(names, []string{"login", "other"}) {
		t.Errorf("services %v, %v", names, err)
	}
	// The directory alone makes libpam pass over pam.conf.
	if err := os.MkdirAll(filepath.Join(root, "etc/pam.d"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := tree.Stack("login", Auth); !errors.Is(err, ErrNoService) {
		t.Errorf("beside pam.d: %v", err)
	}
}

func TestStackThatCannotBeFollowed(t *testing.T) {
	files := map[string]string{
		"etc/pam.d/loop":   "auth required pam_a.so\nauth include loop2\nauth required pam_b.so\n",
		"etc/pam.d/loop2":  "@include /etc/pam.d/loop\n",
		"etc/pam.d/absent": "auth substack nowhere\n",
		"etc/pam.d/link":   "-> link",
		"etc/pam.d/broken": "auth include link\nauth requird pam_x.so\n",
		"etc/pam.d/out":    "auth include ../../../../../../etc/hostname\n",
	}
	for i := range 20 {
		files[fmt.Sprintf("etc/pam.d/deep%d", i)] = fmt.Sprintf("auth include deep%d\n", i+1)
		files[fmt.Sprintf("etc/pam.d/twice%d", i)] = strings.Repeat(fmt.Sprintf("auth include twice%d\n", i+1), 2)
	}
	files["etc/pam.d/twice13"] = "auth required pam_x.so\n"
	tree := Open(hostWith(t, files))
	for service, want := range map[string]string{
		"loop":   "/etc/pam.d/loop2:1: /etc/pam.d/loop includes itself",
		"absent": "/etc/pam.d/absent:1: the file to include can't be read: /etc/pam.d/nowhere: file does not exist",
		"broken": "/etc/pam.d/broken:1: the file to include can't be read: /etc/pam.d/link: file does not exist",
		"out":    "can't be read",
		"deep0":  "/etc/pam.d/deep15:1: more than 16 files include each other",
		"twice0": "the stack has more than 4096 lines",
	} {
		entries, err := tree.Stack(service, Auth)
		if err != nil {
			t.Fatal(err)
		}
		bad := Problems(entries)
		if len(bad) == 0 || !strings.Contains(bad[0].Place.String()+": "+bad[0].Problem, want) {
			t.Errorf("%s: %v, want %s", service, shown(bad), want)
		}
	}
	if _, err := tree.Stack("unheard-of", Auth); !errors.Is(err, ErrNoService) {
		t.Errorf("without other: %v", err)
	}
}

func TestTreeOfOneDirectory(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "x"), []byte("auth required pam_permit.so\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	tree := OpenDir(dir)
	checkStack(t, tree, "x", Auth, "0 "+dir+"/x:1 auth required pam_permit.so")
	if _, err := tree.Stack("login", Auth); !errors.Is(err, ErrNoService) {
		t.Errorf("another directory was looked at: %v", err)
	}
}

func TestTreeWithFilesLaidOver(t *testing.T) {
	tree := Open(hostWith(t, map[string]string{
		"etc/pam.d/a": "auth include b\n",
		"etc/pam.d/b": "auth required pam_unix.so\n",
		"etc/pam.d/c": "",
	})).With(map[string][]byte{"/etc/pam.d/b": []byte("auth include d\n"), "/etc/pam.d/c": nil}).
		With(map[string][]byte{"/etc/pam.d/d": []byte("auth required pam_deny.so\n")})
	checkStack(t, tree, "a", Auth, "0 /etc/pam.d/d:1 auth required pam_deny.so")
	if names, err := tree.Services(); err != nil || !reflect.DeepEqual(names, []string{"a", "b", "d"}) {
		t.Errorf("services %v, %v", names, err)
	}
}
