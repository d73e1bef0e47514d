package doctor

import (
	"fmt"
	"net"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// running is the daemon's process. Who it is decides whose the files have to be, and how it was started is
// how it is started again.
type running struct {
	pid      int
	uid, gid uint32
	args     []string // its command line
	log      string   // where its complaints go: a file, or empty
	parent   string   // the name of the program that started it
}

// supervisors start again what has ended.
var supervisors = []string{"s6-supervise", "runsv", "supervisord", "monit", "perpd", "supervise-daemon"}

// lookHost learns what kind of host it is.
func (x *exam) lookHost() {
	x.settings = defaultSettings()
	x.booted = x.exists("/run/systemd/system")
	environ, _ := os.ReadFile(x.path("/proc/1/environ"))
	x.container = x.exists("/run/systemd/container") || x.exists("/.dockerenv") || x.exists("/run/.containerenv") ||
		strings.HasPrefix(string(environ), "container=") || strings.Contains(string(environ), "\x00container=")
}

// lookProcess finds the daemon's process: the one of its unit, else the one that listens at its control
// socket. systemd itself listens where it holds the sockets.
func (x *exam) lookProcess() {
	x.process = nil
	if u := x.units[serviceUnit]; u != nil && u.MainPID != 0 {
		x.process = x.processOf(u.MainPID)
	} else if c, err := listener(x.controlSocket()); err == nil && (c.Pid > 1 || !x.booted) {
		if x.process = x.processOf(int(c.Pid)); x.process == nil { // /proc isn't ours to see
			x.process = &running{pid: int(c.Pid), uid: c.Uid, gid: c.Gid}
		}
	}
	switch u, err := x.lookup(daemonUser); {
	case x.process != nil:
		x.owner, x.owned = x.process.uid, true
		x.group, x.grouped = x.process.gid, true
	case err == nil && x.bySystemd():
		if id, err := parseUID(u.Uid); err == nil {
			x.owner, x.owned = id, true
		}
		if id, err := parseUID(u.Gid); err == nil {
			x.group, x.grouped = id, true
		}
	}
}

// listener is who listens at a socket.
func listener(path string) (*unix.Ucred, error) {
	conn, err := net.DialTimeout("unix", path, patience)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	raw, err := conn.(*net.UnixConn).SyscallConn()
	if err != nil {
		return nil, err
	}
	var c *unix.Ucred
	var credErr error
	err = raw.Control(func(fd uintptr) { c, credErr = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED) })
	if err == nil {
		err = credErr
	}
	return c, err
}

// processOf reads /proc, and returns nil where that says nothing.
func (x *exam) processOf(pid int) *running {
	at := x.path(fmt.Sprintf("/proc/%d", pid))
	status, err := os.ReadFile(at + "/status")
	if err != nil {
		return nil
	}
	p := &running{pid: pid}
	known := 0
	for line := range strings.Lines(string(status)) {
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		switch words[0] {
		case "Uid:", "Gid:": // real, effective, saved, of the file system
			id, err := parseUID(words[min(2, len(words)-1)])
			if err != nil {
				return nil
			}
			known++
			if words[0] == "Uid:" {
				p.uid = id
			} else {
				p.gid = id
			}
		case "PPid:":
			name, _ := os.ReadFile(x.path("/proc/" + words[1] + "/comm"))
			p.parent = strings.TrimSpace(string(name))
		}
	}
	if known != 2 {
		return nil
	}
	if line, err := os.ReadFile(at + "/cmdline"); err == nil {
		p.args = strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
	}
	if to, err := os.Readlink(at + "/fd/2"); err == nil && path.IsAbs(to) && !strings.HasPrefix(to, "/dev/") && !strings.HasSuffix(to, " (deleted)") {
		p.log = to
	}
	return p
}

// bySystemd tells whether the daemon is, or would be, started by systemd: where that runs the host and knows
// the unit, and nobody has started another daemon by hand.
func (x *exam) bySystemd() bool {
	if !x.booted {
		return false
	}
	u := x.units[serviceUnit]
	return u == nil || u.Load != "not-found" || x.process == nil
}

// who names the daemon's account for chown(1).
func (x *exam) who() string {
	if u, err := x.lookup(daemonUser); err == nil && u.Uid == strconv.FormatUint(uint64(x.owner), 10) {
		return "totpd:totpd"
	}
	if x.owner == 0 {
		return "root:root"
	}
	return fmt.Sprintf("%d:%d", x.owner, x.group)
}

// notOurs says whose a file is, and whose it should be.
func (x *exam) notOurs(f *File) string {
	return fmt.Sprintf("belongs to uid %s, and the daemon runs as uid %d", f.Owner, x.owner)
}

// startDaemon is the command that starts the daemon.
func (x *exam) startDaemon() string {
	if x.bySystemd() {
		return "systemctl start totpd.socket totpd-password.socket totpd.service"
	}
	return x.command(x.process)
}

// command starts a daemon by hand, as this one was.
func (x *exam) command(p *running) string {
	if p == nil { // whose the accounts are ran it
		p = &running{}
		if d, err := x.follow(filepath.Dir(x.settings.Store.Path)); err == nil {
			p.uid, p.gid = d.uid, d.gid
		}
	}
	args := p.args
	if len(args) == 0 {
		args = []string{daemonProgram}
		if x.exists(configFile) {
			args = append(args, "-config", configFile)
		}
	}
	var words []string
	for _, arg := range args {
		words = append(words, shell(arg))
	}
	as := ""
	if p.uid != 0 && x.UID == 0 {
		as = fmt.Sprintf("setpriv --reuid=%d --regid=%d --clear-groups ", p.uid, p.gid)
	}
	log := "/dev/null"
	if p.log != "" {
		log = p.log
	}
	return "setsid -f " + as + strings.Join(words, " ") + " </dev/null >>" + shell(log) + " 2>&1"
}

// restartDaemon is the command that has another daemon run in place of the one that does; hung has this one
// ended by force.
func (x *exam) restartDaemon(hung bool) string {
	p := x.process
	switch {
	case x.bySystemd():
		return "systemctl restart totpd"
	case p == nil:
		return x.startDaemon()
	case p.pid == 1:
		return "restart this container, whose first process the daemon is"
	}
	kill := "kill "
	if hung {
		kill = "kill -KILL "
	}
	kill += strconv.Itoa(p.pid)
	if slices.Contains(supervisors, p.parent) {
		return kill + "  # " + p.parent + " starts another one"
	}
	return kill + "; sleep 1; " + x.command(p)
}

// reloadDaemon is the command that has the daemon read its settings.
func (x *exam) reloadDaemon() string {
	switch {
	case x.bySystemd():
		return "systemctl reload-or-restart totpd"
	case x.process == nil:
		return x.startDaemon()
	}
	return "kill -HUP " + strconv.Itoa(x.process.pid)
}

// readLog is the command that shows what the daemon has complained about, or what to read.
func (x *exam) readLog() (command string, known bool) {
	switch {
	case x.bySystemd():
		return "journalctl -n 20 -u totpd", true
	case x.process != nil && x.process.log != "":
		return "tail -n 20 " + shell(x.process.log), true
	}
	return "read what the daemon has written to its standard error", false
}

// restartHung is the command that has another daemon run in place of one that doesn't answer.
func (x *exam) restartHung() string {
	if log, known := x.readLog(); known {
		return log + "; " + x.restartDaemon(true)
	}
	return x.restartDaemon(true)
}

// restartSocket is the command that puts a socket back. systemd restarts no socket under a service that has
// it; without systemd the daemon makes its own.
func (x *exam) restartSocket(unit string) string {
	switch {
	case !x.bySystemd():
		return x.restartDaemon(false)
	case unit == socketUnit:
		return "systemctl stop totpd.service && systemctl restart totpd.socket && systemctl start totpd.service"
	}
	return "systemctl restart " + unit
}

// reloadSSHD is the command that has sshd read its settings.
func (x *exam) reloadSSHD() string {
	if x.booted {
		return "systemctl reload " + x.sshdUnit()
	}
	for _, file := range []string{"/run/sshd.pid", "/var/run/sshd.pid"} {
		if x.exists(file) {
			return "kill -HUP $(cat " + file + ")"
		}
	}
	return "start sshd anew"
}

// reinstall is how the package is put back: by the package manager that knows it. The file is needed where
// no repository has it.
func (x *exam) reinstall() string {
	of := func(pattern string) bool {
		found, _ := filepath.Glob(x.path(pattern))
		return len(found) > 0
	}
	switch {
	case x.exists("/usr/bin/apt-get") && of("/var/lib/dpkg/info/totpd*.list"):
		return "apt-get install --reinstall totpd  # without a repository that has it: apt-get install --reinstall ./totpd_VERSION.deb"
	case x.exists("/usr/bin/dnf") && of("/usr/share/licenses/totpd"):
		return "dnf reinstall totpd  # without a repository that has it: dnf reinstall ./totpd-VERSION.rpm"
	}
	return "install totpd again, in the way in which it came here"
}
