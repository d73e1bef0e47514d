package policy

import (
	"fmt"
	"testing"
)

func places(t *testing.T, texts ...string) []Place {
	t.Helper()
	var all []Place
	for _, text := range texts {
		p, err := ParsePlace(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct {
		rules Rules
		want  string
	}{
		{nil, "[192.0.2.1]"},
		{Rules{{From: places(t, "local")}}, "[192.0.2.1]"},
		{Rules{{From: places(t, "10.0.0.0/9")}, {EnrolFrom: places(t, "192.0.2.0/24", "10.0.0.0/9")}},
			"[10.0.0.0 10.127.255.255 192.0.2.0 192.0.2.255 198.51.100.1]"},
		{Rules{{From: places(t, "198.51.100.7", "2001:db8::/63")}},
			"[198.51.100.7 2001:db8:: 2001:db8:0:1:ffff:ffff:ffff:ffff 192.0.2.1]"},
		{Rules{{From: places(t, "0.0.0.0/0", "::/0")}}, "[0.0.0.0 255.255.255.255 :: ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]"},
	} {
		if got := fmt.Sprint(tt.rules.Addresses()); got != tt.want {
			t.Errorf("%+v: %s, want %s", tt.rules, got, tt.want)
		}
	}
}

func TestEnrols(t *testing.T) {
	for _, tt := range []struct {
		rule Rule
		want bool
	}{
		{Rule{Require: Required}, true},
		{Rule{Require: Required, Services: []string{"login", "sshd"}}, true},
		{Rule{Require: Required, Services: []string{"login"}}, false},
		{Rule{Require: Required, NoEnrolAtLogin: true}, false},
		{Rule{Require: Optional}, false},
		{Rule{Require: Exempt}, false},
	} {
		if got := (Rules{{Require: Optional}, tt.rule}).Enrols("sshd"); got != tt.want {
			t.Errorf("%+v: %v", tt.rule, got)
		}
	}
}
