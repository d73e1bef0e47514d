package stack

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A host whose libpam has the modules of this one, and some that can't be loaded.
func TestUnloadable(t *testing.T) {
	root := t.TempDir()
	dir := moduleDir("/")
	if dir == "" {
		t.Fatal("this host has no modules of libpam")
	}
	here := filepath.Join(root, dir)
	if err := os.MkdirAll(here, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pam_permit.so", "pam_unix.so", "pam_deny.so", "pam_succeed_if.so"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(here, name), text, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(here, "pam_text.so"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, text, why string
		closed          bool
	}{
		{"sound", "auth required pam_unix.so\n", "", false},
		{"absent", "auth required pam_corpdir.so\nauth required pam_unix.so\n", "there is no " + dir + "/pam_corpdir.so", true},
		{"absent, and not logged", "-auth required pam_corpdir.so\nauth required pam_unix.so\n", "there is no", true},
		{"absent, by its path", "auth requisite /opt/pam_corpdir.so\n", "there is no /opt/pam_corpdir.so", true},
		{"absent, for another architecture's directory", "auth required $ISA/pam_corpdir.so\n", "there is no", true},
		{"no shared object", "auth required pam_unix.so\nauth required pam_text.so\n", "it is no shared object", true},
		{"not needed", "auth sufficient pam_corpdir.so\nauth optional pam_text.so\nauth required pam_unix.so\n", "", false},
		{"said to be ignored", "auth [success=ok module_unknown=ignore default=bad] pam_corpdir.so\nauth required pam_unix.so\n", "", false},
		{"on one way only", "auth [success=1 default=ignore] pam_succeed_if.so user = root\nauth required pam_corpdir.so\nauth required pam_unix.so\n", "there is no", false},
		{"in a substack", "auth substack inner\nauth required pam_permit.so\n", "there is no", true},
		{"ours", "auth required pam_totpd.so\n", "", false},
	} {
		dir := t.TempDir()
		for name, text := range map[string]string{"svc": c.text, "inner": "auth required pam_corpdir.so\n"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := OpenDir(dir).Among(FindModules(root, nil)).Stack("svc", Auth)
		if err != nil {
			t.Fatal(err)
		}
		refusing, closed := Unloadable(entries)
		if closed != c.closed || (len(refusing) > 0) != (c.why != "") || c.why != "" && !strings.Contains(refusing[0].Missing, c.why) {
			t.Errorf("%s: %v, closed %v", c.name, refusing, closed)
		}
	}
}

// On this host each module is tried once, as a login program loads it.
func TestModulesAreLoaded(t *testing.T) {
	tried := 0
	m := FindModules("/", func(_ context.Context, path string) error {
		tried++
		if filepath.Base(path) == "pam_unix.so" {
			return errors.New("libnsl.so.2: cannot open shared object file")
		}
		return nil
	})
	for range 2 {
		if why := m.Problem(Line{Module: "pam_unix.so"}); !strings.HasSuffix(why, "can't be loaded: libnsl.so.2: cannot open shared object file") {
			t.Error(why)
		}
		if why := m.Problem(Line{Module: "pam_permit.so"}); why != "" {
			t.Error(why)
		}
	}
	if tried != 2 {
		t.Errorf("%d were tried", tried)
	}
}
