package program

import (
	"fmt"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/totpd/totpd/cli/internal/system"
)

// configFile is the daemon's.
const configFile = "/etc/totpd/totpd.toml"

// Speakers are the services in which the daemon lets users other than root speak for others, by user.
type Speakers map[string][]string

// SpeakersOf reads the daemon's configuration on the host whose root directory this is. A file that can't be read has
// none.
func SpeakersOf(root string) Speakers {
	all := Speakers{}
	var c struct {
		Speaker []struct {
			User     string
			Services []string
		}
	}
	if _, err := toml.Decode(host(root).read(configFile), &c); err != nil {
		return all
	}
	for _, s := range c.Speaker {
		all[s.User] = s.Services
	}
	return all
}

// May tells whether a user may speak for others in a service.
func (s Speakers) May(user, service string) bool { return slices.Contains(s[user], service) }

// add says how to let it.
func (s Speakers) add(user, service string) string {
	if s[user] != nil {
		return fmt.Sprintf("add %q to the services of [[speaker]] %q in %s, then: %s", service, user, configFile, system.ReloadDaemon())
	}
	return system.Reload(fmt.Sprintf(`printf '\n[[speaker]]\nuser = "%s"\nservices = ["%s"]\n' >>%s`, user, service, configFile), "totpd") + "  # lets it speak for others: man totpd.toml, SPEAKERS"
}
