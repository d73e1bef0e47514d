// Package system words what a hint has an administrator do with a service: by systemd's commands where systemd
// runs the host. Elsewhere each host has its own way, and totpctl doctor finds out how the daemon was started.
package system

import (
	"fmt"
	"os"
)

// Booted tells whether systemd runs this host. Tests give another answer.
var Booted = func() bool {
	_, err := os.Stat("/run/systemd/system")
	return err == nil
}

// StartDaemon starts the daemon.
func StartDaemon() string {
	return or("systemctl start totpd.socket", "start the daemon (totpctl doctor says how)")
}

// RestartSocket makes the daemon's socket anew.
func RestartSocket() string {
	return or("systemctl restart totpd.socket", "start the daemon anew (totpctl doctor says how)")
}

// StopDaemon ends the daemon for as long as nobody starts it again.
func StopDaemon() string {
	return or("systemctl stop totpd.socket totpd.service", "end its process")
}

// ResumeDaemon starts the daemon that was stopped.
func ResumeDaemon() string {
	return or("systemctl start totpd.socket totpd.service", "start the daemon (totpctl doctor says how)")
}

// StartPasswords starts the process that checks passwords.
func StartPasswords() string {
	return or("systemctl start totpd-password.socket; systemctl status totpd-password.socket", "start totpd-password (totpctl doctor says how)")
}

// DaemonLog is where the daemon's complaints are.
func DaemonLog() string {
	return or("journalctl -u totpd", "what totpd has written to its standard error")
}

// Log shows the newest lines of the system log.
func Log() string { return or("journalctl -n 20", "tail /var/log/auth.log or /var/log/secure") }

// ReloadDaemon has the daemon read its settings.
func ReloadDaemon() string { return or("systemctl reload totpd", "send the daemon SIGHUP") }

// Reload has a service read its settings; command comes before.
func Reload(command, service string) string {
	return or(fmt.Sprintf("%s && systemctl reload %s", command, service), fmt.Sprintf("%s  # then have %s read its settings: kill -HUP", command, service))
}

// Restart starts a service anew; command comes before.
func Restart(command, service string) string {
	return or(fmt.Sprintf("%s && systemctl restart %s", command, service), fmt.Sprintf("%s  # then start %s anew", command, service))
}

func or(booted, elsewhere string) string {
	if Booted() {
		return booted
	}
	return elsewhere
}
