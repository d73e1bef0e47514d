package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/totpd/totpd/daemon/control"
)

// lookHealth has the daemon try what every login needs: to write, and to look a name up. Only root may.
func (x *exam) lookHealth() {
	if !x.answers || x.UID != 0 {
		return
	}
	ctx, cancel := context.WithTimeout(x.ctx, 2*patience)
	defer cancel()
	h, err := control.NewClient(x.controlSocket()).Health(ctx)
	refused := new(control.Error)
	switch {
	case errors.As(err, &refused) && refused.Code == control.ErrBadRequest:
		x.unseen("daemon", "whether the daemon can write and look names up: it is too old to be asked")
		return
	case errors.As(err, &refused) && refused.Code == control.ErrTimeout:
		x.found("daemon-silent", x.controlSocket(), x.restartHung(), "the daemon doesn't get a small change done within %v", 2*patience)
		return
	case err != nil:
		x.unseen("daemon", "whether the daemon can write and look names up: %v", err)
		return
	}
	switch {
	case h.Store.Fault == "" || x.hasFound("store"): // of one cause the nearest finding is told
	case h.Store.Fault == control.FaultLost:
		x.found("store-lost", x.settings.Store.Path, "totpctl accept-loss  # where there is no backup for totpctl restore",
			"changes of accounts are lost, and nobody gets in where a code is asked for: %s", h.Store.Cause)
	default:
		x.found("store-unwritable", x.settings.Store.Path, x.remedyUnwritable(h.Store.Fault),
			"the daemon can't write its accounts, so every code is refused: %s", h.Store.Cause)
	}
	if h.Names.Fault != "" {
		x.found("daemon-names", "/etc/nsswitch.conf", "getent passwd nobody-has-this-name; getent group nobody-has-this-name  # where these hang too, look at the services that the lines passwd and group of /etc/nsswitch.conf name",
			"the name service doesn't tell the daemon of a user: %s. Users that it has to ask for can't log in", h.Names.Cause)
	}
	x.fine("daemon", "it has written to its accounts and asked the name service, just now")
	x.tryLogin()
}

// tryLogin has our module ask the daemon, as a login program does. What else is wrong already would only show
// once more.
func (x *exam) tryLogin() {
	if x.Login == nil || len(x.required) == 0 || x.deaf || x.hasFound("module") || x.hasFound("daemon") || x.hasFound("socket") || x.hasFound("store") {
		return
	}
	service := x.required[0]
	if slices.Contains(x.required, "sshd") {
		service = "sshd"
	}
	if err := x.Login(x.ctx, service); err != nil {
		x.found("daemon-login", x.place(), x.restartHung(), "the daemon doesn't judge logins, as one by %s that was tried shows: %v", service, err)
		return
	}
	x.fine("daemon", "it has judged a login by %s that was tried, just now", service)
}

// judgeReading is about accounts that could not be listed, where nothing nearer is known.
func (x *exam) judgeReading() {
	if x.unreadable == nil || x.hasFound("store") {
		return
	}
	log, _ := x.readLog()
	x.found("store-unreadable", x.settings.Store.Path, log,
		"the daemon can't read its accounts: %s%s", x.unreadable.Message, reference(x.unreadable))
}

func (x *exam) remedyUnwritable(fault control.Fault) string {
	switch fault {
	case control.FaultReplaced:
		return x.restartDaemon(false)
	case control.FaultLocked:
		if others := x.holders(); len(others) > 0 {
			return others[0]
		}
		return "fuser -v " + shell(x.settings.Store.Path) + "  # end the program there that isn't totpd"
	}
	log, _ := x.readLog()
	return log
}

// holders are commands that end the other programs that have the database open.
func (x *exam) holders() []string {
	db, err := x.follow(x.settings.Store.Path)
	if err != nil {
		return nil
	}
	files, _ := filepath.Glob(x.path("/proc/[0-9]*/fd/*"))
	var pids []int
	for _, file := range files {
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(file))))
		if err != nil || x.process != nil && pid == x.process.pid || pid == os.Getpid() || slices.Contains(pids, pid) {
			continue
		}
		if info, err := os.Stat(file); err == nil && os.SameFile(info, db.info) {
			pids = append(pids, pid)
		}
	}
	slices.Sort(pids)
	var all []string
	for _, pid := range pids {
		name, _ := os.ReadFile(x.path(fmt.Sprintf("/proc/%d/comm", pid)))
		all = append(all, fmt.Sprintf("kill %d  # %s, which has the database open", pid, strings.TrimSpace(string(name))))
	}
	return all
}
