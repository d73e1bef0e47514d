package program

import (
	"slices"

	"github.com/BurntSushi/toml"
)

// configFile is the daemon's.
const configFile = "/etc/totpd/totpd.toml"

// Speakers tells for which users and services the daemon's configuration on this host has a [[speaker]]. A file that
// can't be read has none.
func Speakers(root string) func(user, service string) bool {
	var c struct {
		Speaker []struct {
			User     string
			Services []string
		}
	}
	if _, err := toml.Decode(host(root).read(configFile), &c); err != nil {
		c.Speaker = nil
	}
	return func(user, service string) bool {
		for _, s := range c.Speaker {
			if s.User == user && slices.Contains(s.Services, service) {
				return true
			}
		}
		return false
	}
}
