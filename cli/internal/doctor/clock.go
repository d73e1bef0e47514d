package doctor

import (
	"context"
	"time"

	"golang.org/x/sys/unix"
)

// Clock is what is known of the host's clock.
type Clock struct {
	Synchronised bool   `json:"synchronised"`
	Source       string `json:"source"` // who says so: timedate1 or kernel

	client, enabled bool // there is an NTP client; it is on
}

// lookClock: a code is good for 30 seconds before and after, so a clock that is off by more refuses all.
func (x *exam) lookClock() {
	x.judgeDate()
	c, err := x.timedate()
	if err != nil {
		synced, kerr := x.KernelClock()
		if kerr != nil {
			x.unseen("clock", "neither org.freedesktop.timedate1 nor the kernel says whether the clock is synchronised: %v", err)
			return
		}
		c = &Clock{Synchronised: synced, Source: "kernel"}
	}
	x.report.Facts.Clock = c
	if c.Synchronised {
		x.fine("clock", "the clock is synchronised")
		return
	}
	remedy := "install an NTP client, such as chrony, and have it started at boot"
	switch {
	case x.container:
		remedy = "on the machine that runs this container, and whose clock it is: timedatectl set-ntp true"
	case !x.booted: // nothing here is timedatectl's
	case c.enabled:
		remedy = "timedatectl timesync-status  # or chronyc sources: which servers are asked, and what they answer"
	case c.client || c.Source == "kernel":
		remedy = "timedatectl set-ntp true"
	case x.exists("/usr/bin/apt-get"):
		remedy = "apt-get install systemd-timesyncd"
	case x.exists("/usr/bin/dnf"):
		remedy = "dnf install chrony && systemctl enable --now chronyd"
	}
	x.found("clock-unsynchronised", "", remedy,
		"the clock isn't synchronised: when it is off by more than half a minute, right codes are refused")
}

// timedate asks org.freedesktop.timedate1, which the bus starts.
func (x *exam) timedate() (*Clock, error) {
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	conn, err := x.dial(ctx)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	const name = "org.freedesktop.timedate1"
	all, err := properties(ctx, conn, name, "/org/freedesktop/timedate1", name)
	if err != nil {
		return nil, err
	}
	is := func(property string) bool { b, _ := all[property].Value().(bool); return b }
	return &Clock{Synchronised: is("NTPSynchronized"), Source: "timedate1", client: is("CanNTP"), enabled: is("NTP")}, nil
}

// judgeDate catches a clock that is years behind, as after a battery's end: no program is from tomorrow.
func (x *exam) judgeDate() {
	f, err := x.follow(daemonProgram)
	if err != nil || !x.Now.Before(f.info.ModTime().Add(-24*time.Hour)) {
		return
	}
	x.found("clock-behind", "", "date -s 'YYYY-MM-DD HH:MM:SS'",
		"the clock says %s, before the daemon's program was built", x.Now.Local().Format(time.DateTime))
}

// KernelClock is what adjtimex(2) says. Like systemd, it goes by the greatest error that the kernel
// reckons with, which grows to 16 s when nobody corrects the clock.
func KernelClock() (bool, error) {
	var t unix.Timex
	if _, err := unix.Adjtimex(&t); err != nil {
		return false, err
	}
	return t.Maxerror < 16_000_000, nil
}
