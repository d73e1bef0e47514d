package main

import (
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/totpd/totpd/packaging/world"
)

// bench is where the story happens without a world: a folder with copies of what is built, PAM services
// that only programs of the demo use, and a stand-in for the password, since no user can be made.
type bench struct {
	*site
	dir    string
	root   bool
	daemon *world.Daemon
}

// throughLibpam tells the story with the real module in the real libpam, the real daemon and command,
// but without sshd, and with somebody who exists already.
func throughLibpam(top string, hold bool) int {
	fmt.Println(`So the story is told through libpam alone: the real module, daemon and command, in a real terminal.
It can't show sshd and the ssh client, an enrolment inside a login, a user made for the story, or a
password checked by pam_unix: a stand-in knows one password. As in the world, nothing of this machine
changes.`)
	if hold {
		fmt.Println("There is nothing to hold afterwards: without a world, no login of this machine may ask for codes.")
	}
	dir, err := os.MkdirTemp("", "totpd-demo.")
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	terms := world.NewTerminals(dir)
	b := &bench{dir: dir, root: os.Geteuid() == 0, site: &site{story: newStory(), terms: terms, photos: dir}}
	b.log = b.decisions
	defer b.clean()
	b.tell(top)
	return b.end(terms, "--- totpd\n"+b.decisions())
}

// decisions returns the daemon's log.
func (b *bench) decisions() string {
	log, _ := os.ReadFile(b.dir + "/totpd.log")
	return string(log)
}

func (b *bench) tell(top string) {
	b.step("a folder is laid out: copies of what is built, PAM services that refer to them", func() error { return b.layOut(top) })
	if b.err != nil {
		return
	}
	b.login = []string{b.dir + "/locker", "login", b.user.Name, b.dir + "/pam.d"}
	b.welcome = `^welcome, `
	b.step("totpd is started, and says that it is ready", func() (err error) {
		b.daemon, err = world.StartDaemon(b.dir+"/totpd", b.dir+"/totpd.toml", b.dir, b.dir+"/totpd.log")
		return err
	})
	b.step(b.user.Name+" logs in through libpam; not enrolled yet, the password is all that is asked", func() error {
		return b.accepted(b.password())
	})
	var shell *world.Terminal
	b.step("types 'totpctl enrol' in a terminal, and the password", func() (err error) {
		shell, err = b.talk(b.totpctl("enrol"), answer{`Password of .*: ?$`, b.user.Password})
		return err
	})
	b.step("a QR reader reads the code off the terminal's screen, as a phone would", func() error { return b.scan(shell) })
	b.step("types the code that the phone shows, which activates it", func() error { return b.confirm(shell) })
	b.withCode()
	b.withoutPhone()
	b.disable()
	b.step(b.user.Name+" logs in with the password alone", func() error { return b.accepted(b.password()) })
}

// disable is root's help; whoever isn't root can only show the other way.
func (b *bench) disable() {
	if b.root {
		b.step("root helps: totpctl disable "+b.user.Name+" --yes", func() error {
			out, err := exec.Command(b.dir+"/totpctl", "--socket", b.dir+"/control.sock", "disable", b.user.Name, "--yes").CombinedOutput()
			if err != nil {
				return fmt.Errorf("%w: %s", err, out)
			}
			return nil
		})
		return
	}
	b.step("takes the second factor away with password and code (that root can do so too takes root to show)", func() error {
		code, err := b.phone.Code()
		if err != nil {
			return err
		}
		t, err := b.talk(b.totpctl("disable"), answer{`Password of .*: ?$`, b.user.Password}, answer{`Code shown by the app, or a recovery code: ?$`, code})
		if err != nil {
			return err
		}
		_, err = t.Wait(`^Done`, patience)
		return err
	})
}

// totpctl is the command as the user runs it: root becomes that user first.
func (b *bench) totpctl(verb string) []string {
	argv := []string{b.dir + "/totpctl", "--socket", b.dir + "/control.sock", verb}
	if b.root {
		argv = append([]string{"setpriv", "--reuid", b.user.Name, "--clear-groups", "--regid", "nogroup"}, argv...)
	}
	return argv
}

func (b *bench) layOut(top string) error {
	who, err := user.Current()
	if b.root {
		who, err = user.Lookup("nobody")
	}
	if err != nil {
		return err
	}
	b.user = world.Person{Name: who.Username, Password: strings.ToLower(rand.Text()[:12])}
	// Somebody else must reach the command in it.
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	for _, name := range []string{"totpd", "totpd-password", "totpctl", "pam_totpd.so", "locker"} {
		if err := copyFile(filepath.Join(top, "build", name), filepath.Join(b.dir, name)); err != nil {
			return err
		}
	}
	// The password on pam_exec's standard input ends with a NUL.
	check := "#!/bin/sh\ntr -d '\\000' | grep -qxF -- " + b.user.Password + "\n"
	standIn := "auth requisite pam_exec.so quiet expose_authtok " + b.dir + "/password-check\n"
	account := "account required pam_permit.so\n"
	for _, f := range []struct {
		name, text string
		mode       os.FileMode
	}{
		{"password-check", check, 0o700},
		{"pam.d/totpd", standIn + account, 0o644},
		{"pam.d/login", standIn + "auth required " + b.dir + "/pam_totpd.so socket=" + b.dir + "/login.sock\n" + account, 0o644},
		{"totpd.toml", fmt.Sprintf(`[listen]
login = "%[1]s/login.sock"
control = "%[1]s/control.sock"
password = "%[1]s/password.sock"
[store]
path = "%[1]s/totpd.db"
[key]
file = "%[1]s/totpd.key"
[throttle]
free = 10
`, b.dir) + config, 0o644},
	} {
		if err := world.WriteFile(filepath.Join(b.dir, f.name), f.text, f.mode); err != nil {
			return err
		}
	}
	return b.servePasswords()
}

// servePasswords does what systemd does on a host: starts totpd-password for each question.
func (b *bench) servePasswords() error {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: b.dir + "/password.sock", Net: "unix"})
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return
			}
			socket, err := conn.File()
			_ = conn.Close()
			if err != nil {
				continue
			}
			cmd := exec.Command(b.dir+"/totpd-password", "-pam-dir", b.dir+"/pam.d")
			cmd.Stdin = socket
			if cmd.Start() == nil {
				go func() { _ = cmd.Wait() }()
			}
			_ = socket.Close()
		}
	}()
	return nil
}

func (b *bench) clean() {
	err := b.terms.Close()
	if b.daemon != nil {
		if stopErr := b.daemon.Stop(syscall.SIGTERM); stopErr != nil {
			err = stopErr
		}
	}
	if rmErr := os.RemoveAll(b.dir); rmErr != nil {
		err = rmErr
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo: clean up:", err)
	}
}

func copyFile(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = src.Close() }()
	dst, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	if _, err := io.Copy(dst, src); err != nil {
		_ = dst.Close()
		return err
	}
	return dst.Close()
}
