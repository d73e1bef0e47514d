package sshd

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// realServer returns the sshd that the throwaway world is made with. It runs as nobody: as root it would
// want a user of its own on this machine.
func realServer(t *testing.T, config string) *Server {
	t.Helper()
	top, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(top, "build/debs/usr/sbin/sshd")
	if _, err := os.Stat(program); err != nil {
		t.Skip("no sshd: run packaging/world/debs.sh")
	}
	dir := hostWith(t, map[string]string{"sshd_config": config})
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", dir+"/key").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	wrapper := "#!/bin/sh\nexport LD_LIBRARY_PATH=" + top + "/build/debs/usr/lib/x86_64-linux-gnu:" + top + "/build/debs/usr/lib/aarch64-linux-gnu\n"
	if os.Getuid() == 0 {
		if err := errors.Join(os.Chown(dir+"/key", 65534, 65534), os.Chmod(filepath.Dir(dir), 0o755), os.Chmod(dir, 0o755)); err != nil {
			t.Fatal(err)
		}
		wrapper += "exec setpriv --reuid 65534 --regid 65534 --clear-groups " + program + ` "$@"` + "\n"
	} else {
		wrapper += "exec " + program + ` "$@"` + "\n"
	}
	if err := os.WriteFile(dir+"/sshd", []byte(wrapper), 0o755); err != nil {
		t.Fatal(err)
	}
	return &Server{Program: dir + "/sshd", Config: dir + "/sshd_config", Args: []string{"-h", dir + "/key"}}
}

func TestEffectiveSettings(t *testing.T) {
	s := realServer(t, `UsePAM yes
PasswordAuthentication no
AuthenticationMethods publickey,keyboard-interactive hostbased
Match User backup
	AuthenticationMethods publickey password
	PermitRootLogin no
`)
	ctx := context.Background()
	got, err := s.Effective(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	got.all = nil
	want := &Settings{UsePAM: true, KbdInteractive: true, Pubkey: true, LoginGrace: 2 * time.Minute, RootLogin: "prohibit-password",
		Methods: [][]string{{"publickey", "keyboard-interactive"}, {"hostbased"}}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	got, err = s.Effective(ctx, &Connection{User: "backup", Host: "localhost", Addr: "127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Methods) != 2 || got.RootLogin != "no" {
		t.Errorf("for backup: %+v", got)
	}
	if want := [][]string{{"publickey"}}; !reflect.DeepEqual(got.Ways(), want) {
		t.Errorf("ways: %v, want %v", got.Ways(), want)
	}
	if _, err := s.Effective(ctx, &Connection{User: "a,b"}); err == nil {
		t.Error("a comma in a name was taken")
	}
	if major, minor, err := s.Version(ctx); err != nil || major < 9 || minor < 0 {
		t.Errorf("version %d.%d, %v", major, minor, err)
	}
}

func TestBadSettings(t *testing.T) {
	s := realServer(t, "UsePAM yes\nNoSuchThing yes\n")
	failure := new(Failure)
	if err := s.Check(context.Background()); !errors.As(err, &failure) || !strings.Contains(failure.Said, "sshd_config: line 2: Bad configuration option: NoSuchThing") {
		t.Errorf("%v", err)
	}
	s.Program += "-absent"
	if err := s.Check(context.Background()); !errors.Is(err, ErrNone) {
		t.Errorf("no program: %v", err)
	}
}

// What older servers print.
func TestParseSettings(t *testing.T) {
	const rest = "passwordauthentication yes\npubkeyauthentication no\n"
	for text, want := range map[string]Settings{
		rest + "permitrootlogin no\nlogingracetime 90\n":                                                                            {Password: true, KbdInteractive: true, RootLogin: "no", LoginGrace: 90 * time.Second},
		rest + "permitrootlogin yes\nauthenticationmethods any\n":                                                                   {Password: true, KbdInteractive: true, RootLogin: "yes"},
		rest + "usepam yes\nkbdinteractiveauthentication yes\nchallengeresponseauthentication no\npermitrootlogin without-password": {Password: true, UsePAM: true, RootLogin: "prohibit-password"},
	} {
		got, err := ParseSettings([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got.all = nil
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("%q: %+v", text, got)
		}
	}
	if _, err := ParseSettings([]byte("port 22\n")); err == nil {
		t.Error("half an answer was taken")
	}
}

func TestWays(t *testing.T) {
	s := &Settings{UsePAM: true, KbdInteractive: true, Pubkey: true}
	for methods, want := range map[string]string{
		"":                     "publickey|keyboard-interactive",
		"keyboard-interactive": "keyboard-interactive",
		"password":             "",
		"publickey,password publickey,keyboard-interactive:pam": "publickey,keyboard-interactive:pam",
	} {
		s.Methods = nil
		for _, way := range strings.Fields(methods) {
			s.Methods = append(s.Methods, strings.Split(way, ","))
		}
		var got []string
		for _, way := range s.Ways() {
			got = append(got, strings.Join(way, ","))
		}
		if strings.Join(got, "|") != want {
			t.Errorf("%q: %v, want %s", methods, got, want)
		}
	}
}

func TestFind(t *testing.T) {
	root := hostWith(t, map[string]string{
		"usr/sbin/sshd":     "",
		"etc/default/ssh":   "# x\nSSHD_OPTS='-o X=y'\n",
		"etc/ssh/unrelated": "",
	})
	s, err := Find(root)
	if err != nil || s.Program != root+"/usr/sbin/sshd" || !reflect.DeepEqual(s.Args, []string{"-o", "X=y"}) {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err := Find(t.TempDir()); !errors.Is(err, ErrNone) {
		t.Errorf("nowhere: %v", err)
	}
}

func FuzzParseSettings(f *testing.F) {
	f.Add([]byte("passwordauthentication yes\npubkeyauthentication yes\npermitrootlogin no\nauthenticationmethods a,b c\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := ParseSettings(text)
		if (s == nil) == (err == nil) {
			t.Fatal(s, err)
		}
		if s != nil {
			s.Ways()
		}
	})
}
