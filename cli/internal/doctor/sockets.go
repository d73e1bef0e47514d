package doctor

import (
	"fmt"
	"io/fs"
	"net"
	"path/filepath"
)

// lookSockets looks at the three sockets: there, open to those who need them and to nobody else, and
// somebody behind them.
func (x *exam) lookSockets() {
	login := x.socketPath(socketUnit, x.settings.Listen.Login, "login.sock")
	control := x.socketPath(socketUnit, x.settings.Listen.Control, "control.sock")
	password := x.socketPath(passwordUnit, x.settings.Listen.Password, "password.sock")
	x.deaf = !x.lookSocket(login, socketUnit)
	if control != login {
		x.lookSocket(control, socketUnit)
	}
	x.lookSocket(password, passwordUnit)
	x.fine("socket", "%s, %s and %s are as they should be", login, filepath.Base(control), filepath.Base(password))
}

// socketPath is where a socket is: where its unit has it, else as configured.
func (x *exam) socketPath(unit, configured, base string) string {
	if u := x.units[unit]; u != nil && u.Load == "loaded" {
		for _, path := range u.Listen {
			if len(u.Listen) == 1 && unit == passwordUnit || filepath.Base(path) == base {
				return path
			}
		}
	}
	return configured
}

func (x *exam) lookSocket(path, unit string) (heard bool) {
	f, err := x.follow(path)
	switch {
	case missing(err) && unit == passwordUnit && !x.bySystemd() && x.owned && x.owner != 0:
		x.found("socket-password", path, x.runAsRoot(),
			"%s is not there, so the daemon can't have passwords checked, and only root can enrol somebody: without systemd, a daemon that runs as root sees to that itself", path)
		return true
	case missing(err):
		if u := x.units[unit]; u == nil || u.Active == "active" { // else judgeUnits tells: one cause, one finding
			x.found("socket-missing", path, x.restartSocket(unit), "%s is not there", path)
		}
		return false
	case err != nil:
		x.unseen("socket", "%s can't be looked at: %v", path, cause(err))
		return true
	case f.info.Mode().Type() != fs.ModeSocket:
		x.found("socket-missing", path, "rm "+shell(path)+" && "+x.restartSocket(unit), "%s is no socket", path)
		return false
	}
	x.report.Facts.Sockets = append(x.report.Facts.Sockets, *f)
	if unit == passwordUnit {
		x.judgePasswordSocket(f)
		return true // each connection to it starts a process as root
	}
	x.judgeOpenSocket(f)
	return x.connect(f)
}

// runAsRoot is the command that has the daemon run as root in place of another user.
func (x *exam) runAsRoot() string {
	if x.process == nil {
		return "start the daemon as root"
	}
	as := *x.process
	as.uid, as.gid = 0, 0
	return fmt.Sprintf("kill %d; sleep 1; chown -R root:root %s %s; %s", x.process.pid, shell(filepath.Dir(x.settings.Store.Path)),
		shell(x.settings.Key.File), x.command(&as))
}

// judgeOpenSocket is about login and control: everybody may connect, the daemon asks the kernel who does.
func (x *exam) judgeOpenSocket(f *File) {
	if f.perm() != 0o666 {
		x.found("socket-mode", f.Path, "chmod 0666 "+shell(f.Path),
			"the mode of %s is %s, so only some may connect: screen lockers and totpctl need it to be 0666", f.Path, f.Mode)
	}
	for dir := filepath.Dir(f.Path); dir != "/"; dir = filepath.Dir(dir) {
		d, err := x.follow(dir)
		if err == nil && d.perm()&0o001 == 0 {
			x.found("socket-directory", dir, "chmod a+x "+shell(dir),
				"the mode of %s is %s, so only some get to the sockets in it", dir, d.Mode)
		}
	}
}

// judgePasswordSocket: whoever may connect could guess passwords without a limit. It is for root and for the
// daemon, as whose group or as who itself.
func (x *exam) judgePasswordSocket(f *File) {
	ours := x.grouped && f.gid == x.group
	if f.perm()&0o007 != 0 || f.perm()&0o070 != 0 && !ours {
		mode := "0600"
		if ours {
			mode = "0660"
		}
		x.found("socket-open", f.Path, "chmod "+mode+" "+shell(f.Path),
			"the mode of %s is %s: whoever may connect can guess passwords without a limit", f.Path, f.Mode)
	}
	byGroup := f.uid == x.RootUID && ours && f.perm()&0o060 == 0o060
	if x.owned && f.uid != x.owner && !byGroup {
		x.found("socket-owner", f.Path, "chown "+x.who()+" "+shell(f.Path),
			"%s %s: the daemon can't have passwords checked", f.Path, x.notOurs(f))
	}
}

// connect sees whether anybody listens. It hangs up before a word is said.
func (x *exam) connect(f *File) (heard bool) {
	conn, err := net.DialTimeout("unix", x.path(f.Path), patience)
	if err == nil {
		conn.Close()
		return true
	}
	if hidden(err) {
		return true // its mode is told already
	}
	if u := x.units[socketUnit]; u == nil || u.Active == "active" {
		x.found("socket-deaf", f.Path, x.restartSocket(socketUnit), "nobody listens at %s", f.Path)
	}
	return false
}
