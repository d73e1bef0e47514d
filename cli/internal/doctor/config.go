package doctor

import (
	"errors"
	"io/fs"
	"os/exec"
	"regexp"
	"strings"
	"time"

	"github.com/BurntSushi/toml"
)

const (
	daemonProgram = "/usr/libexec/totpd/totpd"
	configFile    = "/etc/totpd/totpd.toml"
)

// settings are those of the daemon's that doctor goes by. They have their defaults where the daemon can't
// be asked for the effective ones.
type settings struct {
	Listen struct {
		Login    string `toml:"login"`
		Control  string `toml:"control"`
		Password string `toml:"password"`
	} `toml:"listen"`
	Store struct {
		Path string `toml:"path"`
	} `toml:"store"`
	Key struct {
		File string `toml:"file"`
	} `toml:"key"`
}

func defaultSettings() settings {
	var s settings
	s.Listen.Login = "/run/totpd/login.sock"
	s.Listen.Control = "/run/totpd/control.sock"
	s.Listen.Password = "/run/totpd/password.sock"
	s.Store.Path = "/var/lib/totpd/totpd.db"
	s.Key.File = "/var/lib/totpd/totpd.key"
	return s
}

// Config is the daemon's configuration.
type Config struct {
	File     string         `json:"file"` // empty: there is none, everything is the default
	Settings map[string]any `json:"settings,omitempty"`
}

// lookConfig has the daemon check its configuration and say what is in effect.
func (x *exam) lookConfig() {
	facts := &x.report.Facts.Config
	args := []string{"-check"}
	file, err := x.follow(configFile)
	switch {
	case err == nil:
		facts.File = configFile
		args = append(args, "-config", x.path(configFile))
	case !missing(err):
		x.unseen("config", "%s can't be looked at: %v", configFile, cause(err))
		return
	case x.Root != "":
		return // the daemon would read that of the host itself
	}
	out, err := x.run(daemonProgram, args...)
	var failed *exec.ExitError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		x.found("daemon-absent", daemonProgram, x.reinstall(), "the daemon's program is not there")
		return
	case errors.As(err, &failed) && failed.ExitCode() == 1:
		x.configProblems(out.err)
		return
	case err != nil:
		x.unseen("config", "%s -check can't be run: %v", daemonProgram, cause(err))
		return
	}
	if err := read(out.out, &x.settings, &facts.Settings); err != nil {
		x.settings = defaultSettings()
		x.unseen("config", "what %s -check says can't be read: %v", daemonProgram, err)
		return
	}
	if file != nil && x.newer(file, serviceUnit) {
		x.found("config-stale", configFile, x.reloadDaemon(),
			"%s was changed after the daemon read it last, at %s", configFile, x.units[serviceUnit].Since.Local().Format(time.DateTime))
	}
	if facts.File == "" {
		x.fine("config", "there is no %s, so the defaults are in effect", configFile)
		return
	}
	x.fine("config", "%s is in order", configFile)
}

func read(text string, into ...any) error {
	for _, v := range into {
		if _, err := toml.Decode(text, v); err != nil {
			return err
		}
	}
	return nil
}

// problem is a line of the daemon's about its configuration: FILE:LINE:COLUMN: what.
var problem = regexp.MustCompile(`^(.*?):(?:(\d+):(?:\d+:)?)? (.*)$`)

// configProblems tells each line that totpd -check wrote.
func (x *exam) configProblems(text string) {
	remedy := daemonProgram + " -check  # fix the file until it lists the settings, then: " + x.reloadDaemon()
	for line := range strings.Lines(text) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "totpd: ")
		if line == "" {
			continue
		}
		place, what := configFile, line
		if m := problem.FindStringSubmatch(line); m != nil && strings.HasSuffix(m[1], configFile) {
			what = m[3]
			if m[2] != "" {
				place += ":" + m[2]
			}
		}
		x.found("config-broken", place, remedy, "%s: %s; the daemon goes by older settings, or doesn't start", configFile, what)
	}
}

// newer tells whether a file was changed after a unit that runs was started or reloaded last. A time to
// come, of a clock that was wrong then, tells nothing.
func (x *exam) newer(f *File, unit string) bool {
	u := x.units[unit]
	changed := f.changed()
	return u != nil && u.Active == "active" && changed.After(u.Since) && !changed.After(x.Now)
}
