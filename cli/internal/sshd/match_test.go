package sshd

import "testing"

// What is matched here is what sshd matches: see sshd_config(5), PATTERNS in ssh_config(5).
func TestMatches(t *testing.T) {
	c := &Connection{User: "bob", Host: "pc.example.org", Addr: "10.1.2.3", LocalAddr: "192.0.2.1", LocalPort: "22"}
	for match, want := range map[string]bool{
		"all":                             true,
		"User bob":                        true,
		"User alice,b?b":                  true,
		"User !bob,*":                     false,
		"User *,!bob":                     false,
		"User !alice":                     false, // a list of negations alone matches nobody
		"User !alice,*":                   true,
		"Group staff":                     true,
		"Group wheel,adm":                 false,
		"Group *,!staff":                  false,
		"Address 10.0.0.0/8":              true,
		"Address 192.0.2.*,10.1.*":        true,
		"Address 2001:db8::/32":           false,
		"Host *.example.org":              true,
		"LocalPort 2222":                  false,
		"User bob Address 192.168.0.0/16": false,
		"User bob, LocalPort 22":          true, // a block within a block's include
		"User=bob":                        true,
		"User [bo]b":                      false,
	} {
		if got := Matches(match, c, []string{"users", "staff"}); got != want {
			t.Errorf("Match %s: %v", match, got)
		}
	}
	for _, s := range []struct{ keyword, pattern string }{
		{"address", "10.0.0.0/8"}, {"address", "!192.168.*"}, {"address", "2001:db8::/32"}, {"host", "*.example.org"}, {"localport", "2222"}, {"user", "b?b"},
	} {
		sample := Sample(s.keyword, s.pattern)
		if bare := s.pattern; !PatternMatches(trimNegation(bare), sample) {
			t.Errorf("%s %s: %s", s.keyword, s.pattern, sample)
		}
	}
}

func trimNegation(pattern string) string {
	if pattern[0] == '!' {
		return pattern[1:]
	}
	return pattern
}
