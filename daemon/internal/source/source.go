// Package source says where a login comes from, from what the PAM application told. It asks nobody: a
// remote host that is a name stays one, which whoever answers for an address in DNS can choose.
package source

import (
	"net/netip"
	"regexp"
	"strconv"
	"strings"
)

// nameMax is how many bytes of a host name count.
const nameMax = 256

// Source is where a login comes from. The zero value is a terminal of this host.
type Source struct {
	Addr netip.Addr // of a remote host that is given as an address: without zone, and no IPv4 inside an IPv6
	Name string     // of a remote host that is given as a name, in lower case
	User string     // of a login on this host: whose it is, when it is another user's (su)
	// Unsaid says that the program named no remote host, and nothing shows that the login is on this host.
	Unsaid bool
}

// Login is what a program says of a login, as PAM items.
type Login struct{ User, Service, RHost, RUser, TTY string }

// here are programs that serve this host alone and may ask without a terminal.
var here = map[string]bool{
	"login": true, "su": true, "su-l": true, "sudo": true, "sudo-i": true, "doas": true, "runuser": true, "polkit-1": true,
	"cron": true, "crond": true, "atd": true, "systemd-user": true,
}

// display is one of X on this host.
var display = regexp.MustCompile(`^:[0-9]+(\.[0-9]+)?$`)

// IsTerminal says whether a PAM_TTY names a terminal of this host: not an X display, nor "ssh" or "cron".
func IsTerminal(tty string) bool {
	tty, device := strings.CutPrefix(tty, "/dev/")
	return device && tty != "" || strings.HasPrefix(tty, "pts/") || strings.HasPrefix(tty, "tty")
}

// Told returns the source of a login. Without a remote host it is on this host if the program says who asks, or at
// which terminal or display, or is known to serve nobody else.
func Told(l Login) Source {
	s := Of(l.User, l.RHost, l.RUser)
	s.Unsaid = s.Local() && l.RHost == "" && l.RUser == "" && !IsTerminal(l.TTY) && !display.MatchString(l.TTY) && !here[l.Service]
	return s
}

// Doubt says why it can't be told in which network the source is, or whether it is this host; otherwise it is "".
func (s Source) Doubt() string {
	switch {
	case s.Name != "":
		return strconv.Quote(s.Name) + " is no address"
	case s.Unsaid:
		return "the program names neither a remote host nor a terminal"
	}
	return ""
}

// Of returns the source of a login as user. rhost and ruser are PAM_RHOST and PAM_RUSER. An X display
// of this host (":0") is no remote host.
func Of(user, rhost, ruser string) Source {
	if rhost == "" || display.MatchString(rhost) {
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

// unsaid is the Key of a login of which the program doesn't say where it comes from.
const unsaid = "unknown"

// speaks begins the name of a source that a speaker tells of; no host's has a blank.
const speaks = "speaker "

// Through returns the source of a login that a program of this user tells of, which isn't root: whatever it says of
// a remote host, nothing is known of where the login comes from.
func Through(user string) Source { return Source{Name: speaks + user} }

// Vague says whether the key is that of a source of which nothing is known: no place to be known by.
func Vague(key string) bool { return key == unsaid || strings.HasPrefix(key, "host "+speaks) }

// CanBe says whether text can be an address or the name of a host, for whoever asks what the rules say of it.
func CanBe(text string) bool {
	return text != "" && len(text) <= nameMax && !display.MatchString(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '/' })
}

// Local says whether the login comes from this host, not over a network.
func (s Source) Local() bool { return !s.Addr.IsValid() && s.Name == "" && !s.Unsaid }

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
	case s.Unsaid:
		return unsaid
	case s.User != "":
		return "local " + s.User
	}
	return "local"
}
