package world

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
)

// settle makes the machine's own settings those of a plain Debian host without people: local users
// only, PAM files of totpd and of the world alone.
func settle(name string) error {
	// The one that totpd's installation brings; the machine's own go.
	installed, err := os.ReadFile("/etc/pam.d/totpd")
	if err != nil {
		return err
	}
	for _, d := range []string{LogDir, runDir, "/run/sshd", "/run/lock", "/run/totpd", "/etc/totpd", "/var/lib/totpd"} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	for _, f := range []string{"/etc/nologin", "/etc/securetty", "/etc/pam.d", "/etc/environment", "/etc/sudoers.d"} {
		if err := os.RemoveAll(f); err != nil {
			return err
		}
	}
	files := []struct {
		path, text string
		mode       os.FileMode
	}{
		{"/etc/nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n", 0o644},
		{"/etc/hosts", "127.0.0.1 localhost " + name + "\n", 0o644},
		{"/etc/pam.d/totpd", string(installed), 0o644},
		{"/etc/hostname", name + "\n", 0o644},
		{"/etc/environment", "", 0o644},
		{"/etc/sudoers", "Defaults env_reset, timestamp_timeout=0\nroot ALL=(ALL) ALL\n", 0o440},
		{"/var/log/lastlog", "", 0o644},
		{"/var/log/wtmp", "", 0o644},
		{"/var/log/btmp", "", 0o600},
		{"/run/utmp", "", 0o644},
	}
	for _, f := range files {
		if err := WriteFile(f.path, f.text, f.mode); err != nil {
			return err
		}
	}
	// The tree that sudo comes from has no setuid bit on the machine; here, nobody else can reach it.
	if _, err := os.Stat("/usr/bin/sudo"); err == nil {
		if err := os.Chmod("/usr/bin/sudo", 0o755|os.ModeSetuid); err != nil {
			return err
		}
	}
	// As Debian has it, whatever the machine does: unix_chkpwd reads it for whoever isn't root.
	if err := os.Chmod("/etc/shadow", 0o640); err != nil {
		return err
	}
	// Before the first useradd, which asks PAM too.
	for _, service := range []string{"other", "chpasswd", "useradd", "passwd"} {
		if err := WritePAM(service, PasswordOnly); err != nil {
			return err
		}
	}
	return addSystemUser("sshd")
}

// WriteFile writes a whole file with this mode, whatever the umask.
func WriteFile(path, text string, mode os.FileMode) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	// A new file, never one of the machine's layers opened again.
	if err := os.Remove(path); err != nil && !os.IsNotExist(err) {
		return err
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

const pamRest = `account required pam_unix.so
password required pam_unix.so
session required pam_unix.so
`

// The PAM stacks of the world.
const (
	// PasswordOnly asks for the password.
	PasswordOnly = "auth required pam_unix.so nodelay\n" + pamRest
	// PasswordThenCode is the stack that totpd recommends. The password is requisite: who fails it is
	// never asked for a code, so that a stranger can't use up its owner's attempts.
	PasswordThenCode = "auth requisite pam_unix.so nodelay\nauth required pam_totpd.so\n" + pamRest
	// CodeOnly is for sshd after a public key. pam_permit stands for the key: without it a stack whose
	// only module is ignored, for a user without a second factor, would refuse.
	CodeOnly = "auth required pam_permit.so\nauth required pam_totpd.so\n" + pamRest
)

// WritePAM gives a service its stack.
func WritePAM(service, stack string) error {
	return WriteFile("/etc/pam.d/"+service, stack, 0o644)
}

// Person is a user of the world.
type Person struct {
	Name, Password string
}

// AddPerson makes a user with a home and a random password. Random, because a user of the demo can be
// reached over the machine's own loopback interface.
func (w *World) AddPerson(name string) (Person, error) {
	if _, err := user.Lookup(name); err == nil { // one of the machine's; here, it can go
		if _, err := run("userdel", "-f", name); err != nil {
			return Person{}, err
		}
	}
	if _, err := run("useradd", "-m", "-U", "-s", "/bin/bash", name); err != nil {
		return Person{}, err
	}
	p := Person{Name: name, Password: strings.ToLower(rand.Text()[:12])}
	if _, err := runWithInput(p.Name+":"+p.Password+"\n", "chpasswd"); err != nil {
		return Person{}, err
	}
	// No message of the day, nothing of the skeleton: what a terminal shows is then the story's alone.
	return p, WriteFile("/home/"+name+"/.hushlogin", "", 0o644)
}

func addSystemUser(name string) error {
	if _, err := user.Lookup(name); err == nil {
		return nil
	}
	_, err := run("useradd", "-r", "-d", "/run/"+name, "-s", "/usr/sbin/nologin", name)
	return err
}

// run runs a command of the machine to its end and returns what it printed.
func run(name string, arg ...string) (string, error) { return runWithInput("", name, arg...) }

func runWithInput(input, name string, arg ...string) (string, error) {
	cmd := exec.Command(name, arg...)
	cmd.Stdin = strings.NewReader(input)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return string(out), fmt.Errorf("%s: %w: %s", filepath.Base(name), err, strings.TrimSpace(string(out)))
	}
	return string(out), nil
}
