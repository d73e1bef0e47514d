package sshd

import (
	"net/netip"
	"path"
	"strings"
)

// Criterion is one condition of a Match line: a keyword and its list of patterns.
type Criterion struct {
	Keyword  string   // lower case: user, group, host, address, localaddress, localport, all, exec, ...
	Patterns []string // each may begin with "!"
}

// Criteria parts the conditions of a Directive.
func Criteria(match string) []Criterion {
	var all []Criterion
	words := strings.Fields(strings.ReplaceAll(strings.ReplaceAll(match, ", ", " "), "=", " "))
	for len(words) > 0 {
		c := Criterion{Keyword: strings.ToLower(words[0])}
		words = words[1:]
		if c.Keyword != "all" && c.Keyword != "invalid-user" && c.Keyword != "canonical" && c.Keyword != "final" && len(words) > 0 {
			c.Patterns = strings.Split(words[0], ",")
			words = words[1:]
		}
		all = append(all, c)
	}
	return all
}

// Matches tells whether the conditions hold for a connection of a user with these groups, as far as they can be told
// without sshd. It names the block that decides; what is decided, sshd says.
func Matches(match string, c *Connection, groups []string) bool {
	for _, one := range Criteria(match) {
		values := map[string][]string{"user": {c.User}, "group": groups, "host": {c.Host}, "address": {c.Addr},
			"localaddress": {c.LocalAddr}, "localport": {c.LocalPort}}[one.Keyword]
		if one.Keyword == "all" {
			continue
		}
		if !anyMatches(values, one.Patterns) {
			return false
		}
	}
	return true
}

// anyMatches is sshd's match of a list of patterns: one must match, and none with "!".
func anyMatches(values, patterns []string) bool {
	found := false
	for _, value := range values {
		for _, pattern := range patterns {
			bare, negated := strings.CutPrefix(pattern, "!")
			if !PatternMatches(bare, value) {
				continue
			}
			if negated {
				return false
			}
			found = true
		}
	}
	return found
}

// PatternMatches tells whether a pattern of sshd's, or a network, matches a value.
func PatternMatches(pattern, value string) bool {
	if network, err := netip.ParsePrefix(pattern); err == nil {
		addr, err := netip.ParseAddr(value)
		return err == nil && network.Contains(addr)
	}
	// Of path.Match's characters, sshd knows * and ? alone.
	matched, err := path.Match(strings.NewReplacer(`\`, `\\`, "[", `\[`).Replace(pattern), value)
	return err == nil && matched
}

// Sample is a value that a pattern matches.
func Sample(keyword, pattern string) string {
	pattern = strings.TrimPrefix(pattern, "!")
	if network, err := netip.ParsePrefix(pattern); err == nil {
		return network.Addr().String()
	}
	sample := strings.NewReplacer("*", "1", "?", "1").Replace(pattern)
	if keyword == "address" || keyword == "localaddress" {
		for strings.Count(sample, ".") < 3 && !strings.Contains(sample, ":") {
			sample += ".1"
		}
	}
	return sample
}
