package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/totpd/totpd/daemon/control"
)

// lookDaemon asks the daemon who it is, and, as root, for all accounts.
func (x *exam) lookDaemon() {
	path := x.controlSocket()
	client := control.NewClient(path)
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	v, err := client.Version(ctx)
	if err != nil {
		x.noAnswer(path, err)
		if x.dead && x.UID == 0 && x.exists(x.settings.Store.Path) {
			x.lookAccounts(x.Offline())
		}
		return
	}
	x.answers = true
	x.report.Facts.Versions.Daemon = v.Version
	x.lookUnits() // it may have been started by being asked
	x.judgeVersion(v.Version)
	x.fine("daemon", "totpd %s answers", v.Version)
	x.lookAccounts(client)
}

// controlSocket is where the daemon is asked: where the caller says, else as configured, else where the
// unit has it, whose socket takes the place of the configured one.
func (x *exam) controlSocket() string {
	if x.Control != "" {
		return x.Control
	}
	for _, path := range []string{x.settings.Listen.Control, defaultSettings().Listen.Control} {
		if f, err := x.follow(path); err == nil && f.info.Mode().Type() == fs.ModeSocket {
			return x.path(path)
		}
	}
	return x.path(x.settings.Listen.Control)
}

func (x *exam) noAnswer(path string, err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	refused := new(control.Error)
	errors.As(err, &refused)
	x.dead = refused.Code != control.ErrForbidden
	x.lookUnits() // being asked starts it, and it may fail
	if u := x.units[socketUnit]; u != nil && (u.Active != "active" || x.units[serviceUnit].failing()) {
		return // judgeUnits tells: one cause, one finding
	}
	if refused.Code == control.ErrUnreachable {
		x.found("daemon-unreachable", path, x.startDaemon(),
			"nobody listens at the daemon's control socket")
		return
	}
	if refused.Code == control.ErrForbidden {
		x.found("daemon-unreachable", path, x.restartSocket(socketUnit),
			"its mode, or that of its directory, keeps us from the daemon's control socket")
		return
	}
	if refused.Code == control.ErrBadAnswer {
		x.found("daemon-foreign", path, x.remedyForeign(),
			"who answers at the daemon's control socket isn't totpd, or another totpd than ours")
		return
	}
	x.found("daemon-silent", path, x.restartHung(),
		"the daemon doesn't answer within %v", patience)
}

// remedyForeign shows who listens there.
func (x *exam) remedyForeign() string {
	if x.bySystemd() {
		return "systemctl status totpd.socket totpd.service"
	}
	if x.process != nil {
		return fmt.Sprintf("ps -fp %d", x.process.pid)
	}
	return "ss -xlp"
}

// place is where the daemon is started from.
func (x *exam) place() string {
	if x.bySystemd() {
		return serviceUnit
	}
	return daemonProgram
}

// pid is the daemon's; 0: not known.
func (x *exam) pid() int {
	if u := x.units[serviceUnit]; u != nil && u.MainPID != 0 {
		return u.MainPID
	}
	if x.process != nil {
		return x.process.pid
	}
	return 0
}

// judgeVersion compares the daemon that runs with what is installed.
func (x *exam) judgeVersion(daemon string) {
	remedy := x.restartDaemon(false)
	if pid := x.pid(); pid != 0 {
		exe, err := os.Readlink(x.path(fmt.Sprintf("/proc/%d/exe", pid)))
		if err == nil && strings.HasSuffix(exe, " (deleted)") {
			x.found("daemon-old", x.place(), remedy, "the daemon that runs, %s, was replaced on the disk", daemon)
			return
		}
	}
	if x.Version != "" && daemon != x.Version {
		x.found("daemon-version", x.place(), remedy+"  # where that doesn't help: "+x.reinstall(),
			"the daemon is version %s, totpctl is %s", daemon, x.Version)
	}
}

// lookAccounts asks for everybody, which is for root and whom polkit allows it.
func (x *exam) lookAccounts(client *control.Client) {
	ctx, cancel := context.WithTimeout(x.ctx, 4*patience) // a hundred thousand take a second or two
	defer cancel()
	var all []control.Account
	for a, err := range client.Users(ctx) {
		refused := new(control.Error)
		switch {
		case err == nil:
			all = append(all, a)
			continue
		case errors.As(err, &refused) && (refused.Code == control.ErrNotAllowed || refused.Code == control.ErrAuthenticate):
			x.unseen("people", "who has a second factor is for root to see")
		case errors.As(err, &refused) && refused.Code == control.ErrUnavailable:
			x.unreadable = refused
		case !errors.Is(err, context.Canceled):
			x.unseen("people", "who has a second factor can't be found out: %v", err)
		}
		return
	}
	x.accounts, x.listed = all, true
}

func reference(e *control.Error) string {
	if e.Reference == "" {
		return ""
	}
	return " (reference " + e.Reference + ")"
}
