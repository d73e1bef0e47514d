package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/tools/txtar"
)

// What the stories about setup need besides: the module, and a command that runs totpctl on a tree.
func equipSetup() error {
	if out, err := exec.Command("make", "-s", "-C", "..", "build/pam_totpd.so").CombinedOutput(); err != nil {
		return fmt.Errorf("build the module: %w\n%s", err, out)
	}
	text, err := os.ReadFile("../build/pam_totpd.so")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(bin, "pam_totpd.so"), text, 0o644); err != nil {
		return err
	}
	const script = "#!/bin/sh\nexec totpctl setup --root \"$ROOT\" --module \"$MODULE\" \"$@\"\n"
	return os.WriteFile(filepath.Join(bin, "setup"), []byte(script), 0o755)
}

// cmdTree is: tree debian | fedora. It makes a host's files below $ROOT, from what the tests of package plan
// have, with an sshd that says what its settings come to: the real one.
func cmdTree(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: tree debian | fedora")
	}
	root := ts.MkAbs("root")
	ts.Check(os.RemoveAll(root))
	a, err := txtar.ParseFile(filepath.Join("internal/plan/testdata", args[0]+".txtar"))
	ts.Check(err)
	for _, f := range append(a.Files, hostFiles(args[0])...) {
		write(ts, filepath.Join(root, f.Name), string(f.Data), 0o644)
	}
	if args[0] == "fedora" {
		for _, name := range []string{"system-auth", "password-auth", "postlogin"} {
			ts.Check(os.Symlink("/etc/authselect/"+name, filepath.Join(root, "etc/pam.d", name)))
		}
	}
	ts.Check(os.MkdirAll(filepath.Join(root, "etc/ssh/sshd_config.d"), 0o755))
	writeSSHD(ts, root)
}

// hostFiles are what both kinds of host have.
func hostFiles(kind string) []txtar.File {
	config := "Include /etc/ssh/sshd_config.d/*.conf\nKbdInteractiveAuthentication no\nUsePAM yes\nX11Forwarding yes\n"
	if kind == "fedora" {
		config = "Include /etc/ssh/sshd_config.d/*.conf\nAuthorizedKeysFile .ssh/authorized_keys\n"
	}
	return []txtar.File{
		{Name: "etc/os-release", Data: []byte("PRETTY_NAME=\"Test " + kind + "\"\n")},
		{Name: "etc/ssh/sshd_config", Data: []byte(config)},
		{Name: "etc/passwd", Data: []byte("root:x:0:0::/root:/bin/bash\nann:x:1000:1000::/home/ann:/bin/bash\nbea:x:1001:1001::/home/bea:/bin/bash\nnobody:x:65534:65534::/:/usr/sbin/nologin\n")},
		{Name: "etc/shadow", Data: []byte("root:*:1::::::\nann:$y$x:1::::::\nbea:!:1::::::\nnobody:*:1::::::\n")},
		{Name: "home/bea/.ssh/authorized_keys", Data: []byte("ssh-ed25519 AAAA\n")},
	}
}

// writeSSHD makes a program of the real sshd, which is unpacked below build/. It wants a user and a
// directory that this machine may lack: it gets them in a mount namespace of its own.
func writeSSHD(ts *testscript.TestScript, root string) {
	top, err := filepath.Abs("..")
	ts.Check(err)
	if out, err := exec.Command(filepath.Join(top, "packaging/world/debs.sh")).CombinedOutput(); err != nil {
		ts.Fatalf("unpack sshd: %v\n%s", err, out)
	}
	key := filepath.Join(root, "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		ts.Fatalf("%v\n%s", err, out)
	}
	passwd, err := os.ReadFile("/etc/passwd")
	ts.Check(err)
	text := string(passwd)
	if !strings.Contains(text, "\nsshd:") {
		text += "sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin\n"
	}
	write(ts, filepath.Join(root, "passwd"), text, 0o644)
	write(ts, filepath.Join(root, "usr/sbin/sshd"), fmt.Sprintf(`#!/bin/sh
export LD_LIBRARY_PATH=%[1]s/usr/lib/x86_64-linux-gnu:%[1]s/usr/lib/aarch64-linux-gnu
exec unshare -m sh -c 'mount --bind %[2]s/passwd /etc/passwd && mount -t tmpfs none /run && mkdir /run/sshd && exec "$0" -h %[2]s/key "$@"' %[1]s/usr/sbin/sshd "$@"
`, filepath.Join(top, "build/debs"), root), 0o755)
}

func write(ts *testscript.TestScript, name, text string, mode os.FileMode) {
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o755))
	ts.Check(os.WriteFile(name, []byte(text), mode))
}

// updateStacks has the story about contrib/stacks write them, instead of comparing.
var updateStacks = flag.Bool("update-stacks", false, "write contrib/stacks")

// cmdStacks is: stacks debian | fedora MODE|one-prompt. It turns a mode on in the tree, compares what has become
// of the files with contrib/stacks, and takes it back.
func cmdStacks(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: stacks debian | fedora MODE|one-prompt")
	}
	onePrompt := args[1] == "one-prompt"
	options := []string{"--service", "sshd,login,su,sudo", "--ssh", args[1], "--yes"}
	if onePrompt {
		options = []string{"--service", "sshd,sudo", "--ssh", "password+code", "--one-prompt", "--yes"}
	}
	ts.Check(ts.Exec("setup", options...))
	all, mode := filepath.Join("../contrib/stacks", args[0]), filepath.Join("../contrib/stacks", args[0], args[1])
	examples := map[string]string{
		"etc/ssh/sshd_config.d/00-totpd.conf": mode, "etc/pam.d/sshd": mode,
		"etc/pam.d/login": all, "etc/pam.d/su": all, "etc/pam.d/sudo": all,
	}
	switch {
	case onePrompt:
		examples = map[string]string{"etc/ssh/sshd_config.d/00-totpd.conf": mode, "etc/pam.d/sshd": mode, "etc/pam.d/sudo": mode}
	case args[0] == "fedora":
		examples["etc/pam.d/totpd-password-auth"], examples["etc/pam.d/totpd-system-auth"] = all, all
	}
	for name, dir := range examples {
		text := ts.ReadFile(filepath.Join("root", name))
		example := filepath.Join(dir, filepath.Base(name))
		if *updateStacks {
			write(ts, example, text, 0o644)
			continue
		}
		want, err := os.ReadFile(example)
		ts.Check(err)
		if text != string(want) {
			ts.Fatalf("%s is not what setup makes:\n%s", example, text)
		}
	}
	ts.Check(ts.Exec("setup", "--undo", "--yes"))
}
