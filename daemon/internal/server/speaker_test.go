package server

import (
	"net"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

// TestBehindASpeaker: users of one program that isn't root share its places, and one of them can't take all.
func TestBehindASpeaker(t *testing.T) {
	f := serveLogins(t, func(s *Logins) {
		s.places.bounds = bounds{all: 40, others: 20, each: [kinds]int{users: 2, speakers: 10, namelesses: 5}}
		s.Speaks = func(user, service string) bool { return user == "daemon" && service == "radiusd" }
	})
	alice := f.asks(t, 1, wire.Open{User: "alice", Service: "radiusd"})
	var mallorys []net.Conn
	for range 30 {
		mallorys = append(mallorys, f.asks(t, 1, wire.Open{User: "mallory", Service: "radiusd"}))
	}
	own := []net.Conn{f.asks(t, 1, wire.Open{User: "daemon", Service: "su"}), f.asks(t, 1, wire.Open{User: "daemon", Service: "su"}), f.asks(t, 1, wire.Open{User: "daemon", Service: "su"})}
	for _, c := range []struct {
		name  string
		conn  net.Conn
		lives bool
	}{
		{"alice", alice, true}, {"mallory's first", mallorys[0], false}, {"the last that was hung up on", mallorys[20], false},
		{"the first that wasn't", mallorys[21], true}, {"mallory's last", mallorys[29], true},
		{"the program's own first, in a service where it is a user", own[0], false}, {"its second", own[1], true}, {"its third", own[2], true},
	} {
		if got := lives(t, c.conn); got != c.lives {
			t.Errorf("%s: lives %v", c.name, got)
		}
	}
}
