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
		{":evil.example.org", "", "host :evil.example.org", false},
		{":1.2.3.4", "", "host :1.2.3.4", false},
		{":10.0", "", "local", true},
		{strings.Repeat("x", 300), "", "host " + strings.Repeat("x", nameMax), false},
	} {
		s := Of("alice", c.rhost, c.ruser)
		if s.Key() != c.key || s.Local() != c.local {
			t.Errorf("%q, %q: %q, local %v", c.rhost, c.ruser, s.Key(), s.Local())
		}
	}
}

// Without a remote host, only what shows that a login is on this host makes it local.
func TestTold(t *testing.T) {
	for _, c := range []struct {
		login Login
		local bool
	}{
		{Login{Service: "sshd", TTY: "ssh"}, false},
		{Login{Service: "vsftpd", TTY: "ftp"}, false},
		{Login{Service: "dovecot", TTY: "dovecot"}, false},
		{Login{Service: "httpd"}, false},
		{Login{}, false},
		{Login{Service: "httpd", RHost: "192.0.2.7"}, false},
		{Login{Service: "httpd", RHost: "host", TTY: "tty1"}, false},
		{Login{Service: "login", TTY: "tty1"}, true},
		{Login{Service: "gdm-password", TTY: "/dev/tty2"}, true},
		{Login{Service: "lightdm", TTY: ":0"}, true},
		{Login{Service: "kdm", RHost: ":0"}, true},
		{Login{Service: "anything", RUser: "bob"}, true},
		{Login{Service: "polkit-1"}, true},
		{Login{Service: "sudo"}, true},
	} {
		c.login.User = "alice"
		s := Told(c.login)
		if s.Local() != c.local || (s.Key() == "local") != (c.local && c.login.RUser == "") {
			t.Errorf("%+v: %+v, %q", c.login, s, s.Key())
		}
		if doubt := s.Doubt() != ""; doubt != (!c.local && !s.Addr.IsValid()) {
			t.Errorf("%+v: %q", c.login, s.Doubt())
		}
	}
}
