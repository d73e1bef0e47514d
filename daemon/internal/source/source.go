// Package source says where a login comes from, from what the PAM application told. It asks nobody: a
// remote host that is a name stays one.
package source

import (
	"net/netip"
	"strings"
)

// nameMax is how many bytes of a host name count.
const nameMax = 256

// Source is where a login comes from. The zero value is a terminal of this host.
type Source struct {
	Addr netip.Addr // of a remote host that is given as an address: without zone, and no IPv4 inside an IPv6
	Name string     // of a remote host that is given as a name, in lower case
	User string     // of a login on this host: whose it is, when it is another user's (su)
}

// Of returns the source of a login as user. rhost and ruser are PAM_RHOST and PAM_RUSER. An X display
// of this host (":0") is no remote host.
func Of(user, rhost, ruser string) Source {
	if rhost == "" || strings.HasPrefix(rhost, ":") && !strings.HasPrefix(rhost, "::") {
		if ruser == user {
			ruser = ""
		}
		return Source{User: ruser}
	}
	if addr, err := netip.ParseAddr(rhost); err == nil {
		return Source{Addr: addr.WithZone("").Unmap()}
	}
	return Source{Name: strings.ToLower(rhost[:min(len(rhost), nameMax)])}
}

// speaks begins the name of a source that a speaker tells of; no host's has a blank.
const speaks = "speaker "

// Through returns the source of a login that a program of this user tells of, which isn't root: whatever it says of
// a remote host, nothing is known of where the login comes from.
func Through(user string) Source { return Source{Name: speaks + user} }

// Vague says whether the key is that of a source of which nothing is known: no place to be known by.
func Vague(key string) bool { return strings.HasPrefix(key, "host "+speaks) }

// Local says whether the login comes from this host, not over a network.
func (s Source) Local() bool { return !s.Addr.IsValid() && s.Name == "" }

// Key tells sources from each other: an IPv4 address, the /64 of an IPv6 address (one customer has at
// least that many), a name, or the local user.
func (s Source) Key() string {
	switch {
	case s.Addr.Is6():
		prefix, _ := s.Addr.Prefix(64) // 64 is one that an IPv6 address has
		return prefix.String()
	case s.Addr.IsValid():
		return s.Addr.String()
	case s.Name != "":
		return "host " + s.Name
	case s.User != "":
		return "local " + s.User
	}
	return "local"
}
