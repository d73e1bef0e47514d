package source

import (
	"strings"
	"testing"
)

func TestOf(t *testing.T) {
	for _, c := range []struct {
		rhost, ruser string
		key          string
		local        bool
	}{
		{"", "", "local", true},
		{"", "alice", "local", true},
		{"", "root", "local root", true},
		{":0", "", "local", true},
		{"192.0.2.7", "root", "192.0.2.7", false},
		{"::ffff:192.0.2.7", "", "192.0.2.7", false},
		{"2001:db8:1:2:3::4", "", "2001:db8:1:2::/64", false},
		{"2001:db8:1:2:ffff::4", "", "2001:db8:1:2::/64", false},
		{"fe80::1%eth0", "", "fe80::/64", false},
		{"::1", "", "::/64", false},
		{"Host.Example.org", "", "host host.example.org", false},
		{"local", "", "host local", false},
		{strings.Repeat("x", 300), "", "host " + strings.Repeat("x", nameMax), false},
	} {
		s := Of("alice", c.rhost, c.ruser)
		if s.Key() != c.key || s.Local() != c.local {
			t.Errorf("%q, %q: %q, local %v", c.rhost, c.ruser, s.Key(), s.Local())
		}
	}
}
