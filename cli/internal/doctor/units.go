package doctor

import (
	"context"
	"slices"
	"strings"
	"time"

	systemd "github.com/coreos/go-systemd/v22/dbus"
)

// The units of totpd.
const (
	socketUnit   = "totpd.socket"
	passwordUnit = "totpd-password.socket"
	serviceUnit  = "totpd.service"
)

// Unit is what systemd says of one of its units.
type Unit struct {
	Name        string    `json:"name"`
	Load        string    `json:"load"`                   // loaded, not-found, masked, bad-setting, error
	Active      string    `json:"active"`                 // active, inactive, failed, activating, ...
	Enabled     string    `json:"enabled"`                // enabled, disabled, static, ...
	Sub         string    `json:"sub,omitempty"`          // running, listening, auto-restart, ...
	Result      string    `json:"result,omitempty"`       // why it failed
	Since       time.Time `json:"since,omitzero"`         // of its last change of state, reloads included
	MainPID     int       `json:"main_pid,omitempty"`     // of a service that runs
	Listen      []string  `json:"listen,omitempty"`       // paths of a socket unit
	Credentials []string  `json:"credentials,omitempty"`  // names of a service's
	NeedsReload bool      `json:"needs_reload,omitempty"` // its files are newer than what systemd knows
}

// lookUnits asks systemd about our units and sshd's.
func (x *exam) lookUnits() {
	x.units = nil
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	conn, err := x.systemd(ctx)
	if err != nil {
		return // judgeUnits tells
	}
	defer conn.Close()
	units := map[string]*Unit{}
	for _, name := range []string{socketUnit, passwordUnit, serviceUnit, "ssh.service", "sshd.service"} {
		u, err := unitOf(ctx, conn, name)
		if err != nil {
			return
		}
		units[name] = u
	}
	x.units = units
	x.report.Facts.Units = nil
	for _, name := range []string{socketUnit, passwordUnit, serviceUnit} {
		x.report.Facts.Units = append(x.report.Facts.Units, *units[name])
	}
}

func unitOf(ctx context.Context, conn *systemd.Conn, name string) (*Unit, error) {
	general, err := conn.GetUnitPropertiesContext(ctx, name)
	if err != nil {
		return nil, err
	}
	u := &Unit{
		Name:        name,
		Load:        text(general["LoadState"]),
		Active:      text(general["ActiveState"]),
		Sub:         text(general["SubState"]),
		Enabled:     text(general["UnitFileState"]),
		NeedsReload: general["NeedDaemonReload"] == true,
	}
	if µs, ok := general["StateChangeTimestamp"].(uint64); ok && µs != 0 {
		u.Since = time.UnixMicro(int64(µs)).UTC()
	}
	kind := "Service"
	if strings.HasSuffix(name, ".socket") {
		kind = "Socket"
	}
	own, err := conn.GetUnitTypePropertiesContext(ctx, name, kind)
	if err != nil {
		return u, nil // what isn't loaded may have none
	}
	if u.failing() {
		u.Result = text(own["Result"])
	}
	if pid, ok := own["MainPID"].(uint32); ok {
		u.MainPID = int(pid)
	}
	for _, pair := range pairs(own["Listen"]) {
		u.Listen = append(u.Listen, pair[1])
	}
	for _, property := range []string{"LoadCredential", "LoadCredentialEncrypted", "SetCredential", "SetCredentialEncrypted"} {
		for _, pair := range pairs(own[property]) {
			u.Credentials = append(u.Credentials, pair[0])
		}
	}
	return u, nil
}

// failing tells whether it has failed, or does so again and again.
func (u *Unit) failing() bool { return u.Active == "failed" || u.Sub == "auto-restart" }

func text(v any) string {
	s, _ := v.(string)
	return s
}

// pairs reads an array of structures that begin with a string; a second string follows or something else.
func pairs(v any) [][2]string {
	rows, _ := v.([][]any)
	var all [][2]string
	for _, row := range rows {
		if len(row) > 1 {
			all = append(all, [2]string{text(row[0]), text(row[1])})
		}
	}
	return all
}

// judgeUnits says what is wrong with our units. They are asked anew: the daemon has been spoken to in
// the meantime, and systemd starts one that doesn't run.
func (x *exam) judgeUnits() {
	x.lookUnits()
	if x.units == nil {
		if !x.booted {
			x.notBySystemd()
			return
		}
		x.unseen("unit", "systemd doesn't answer on the system bus: systemctl status dbus")
		return
	}
	if !x.bySystemd() {
		x.notBySystemd()
		return
	}
	for _, name := range []string{socketUnit, passwordUnit, serviceUnit} {
		x.judgeUnit(x.units[name])
	}
	x.fine("unit", "%s, %s and %s are enabled and up", socketUnit, passwordUnit, serviceUnit)
}

func (x *exam) notBySystemd() {
	x.found("unit-unknown", "", "see to it that the daemon is started at boot, as now: "+x.command(x.process),
		"the daemon isn't started by systemd, which holds totpd's sockets elsewhere")
}

func (x *exam) judgeUnit(u *Unit) {
	socket := strings.HasSuffix(u.Name, ".socket")
	enabled := slices.Contains([]string{"enabled", "enabled-runtime", "static", "linked", "alias", "generated"}, u.Enabled)
	switch {
	case u.Load == "masked":
		x.found("unit-masked", u.Name, "systemctl unmask "+u.Name+" && systemctl enable --now "+u.Name,
			"%s is masked, so nothing can start it", u.Name)
		return
	case u.Load == "not-found":
		x.found("unit-missing", u.Name, x.reinstall(), "%s is not installed", u.Name)
		return
	case u.Load != "loaded":
		x.found("unit-broken", u.Name, "systemd-analyze verify "+u.Name, "systemd can't read %s: %s", u.Name, u.Load)
		return
	case u.failing():
		x.found("unit-failed", u.Name, "journalctl -n 20 -u totpd -u "+u.Name+"  # then, its cause mended: systemctl reset-failed 'totpd*'; systemctl start totpd.socket totpd-password.socket totpd",
			"%s has failed (%s)", u.Name, u.Result+when(u.Active != "failed", ", and is started again and again"))
	case u.Active != "active" && socket:
		x.found("unit-stopped", u.Name, "systemctl start "+u.Name, "%s is %s", u.Name, u.Active)
	}
	if !enabled {
		x.found("unit-disabled", u.Name, "systemctl enable "+u.Name,
			"%s is %s: after a reboot it isn't started", u.Name, u.Enabled)
	}
	if u.NeedsReload {
		x.found("unit-changed", u.Name, "systemctl daemon-reload && "+x.restartSocket(u.Name),
			"%s was changed on the disk, and systemd goes by the older one", u.Name)
	}
}
