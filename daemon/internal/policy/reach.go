package policy

import (
	"net/netip"
	"slices"
)

// outside are addresses that documents use (RFC 5737, RFC 3849), so no network of anybody's has them.
var outside = []string{"192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"}

// Addresses returns some that the rules tell from each other: the first and the last one of each network that
// they name, and one that is in none, unless they are about all.
func (rs Rules) Addresses() []netip.Addr {
	var all []netip.Addr
	add := func(a netip.Addr) {
		if !slices.Contains(all, a) {
			all = append(all, a)
		}
	}
	var named []netip.Prefix
	for _, r := range rs {
		for _, p := range slices.Concat(r.From, r.EnrolFrom) {
			if p.net.IsValid() {
				named = append(named, p.net)
				add(p.net.Addr())
				add(last(p.net))
			}
		}
	}
	for _, text := range outside {
		a := netip.MustParseAddr(text)
		if !slices.ContainsFunc(named, func(n netip.Prefix) bool { return n.Contains(a) }) {
			add(a)
			break
		}
	}
	return all
}

// last returns the last address of a network.
func last(net netip.Prefix) netip.Addr {
	bytes := net.Addr().AsSlice()
	for bit := net.Bits(); bit < len(bytes)*8; bit++ {
		bytes[bit/8] |= 0x80 >> (bit % 8)
	}
	addr, _ := netip.AddrFromSlice(bytes) // of a length that is one
	return addr
}

// Enrols says whether a rule may have somebody enrol inside a login through the service.
func (rs Rules) Enrols(service string) bool {
	return slices.ContainsFunc(rs, func(r Rule) bool {
		return r.Require == Required && !r.NoEnrolAtLogin && (len(r.Services) == 0 || slices.Contains(r.Services, service))
	})
}

// ByNetwork says whether a rule depends on the network that a login comes from.
func (rs Rules) ByNetwork() bool {
	return slices.ContainsFunc(rs, func(r Rule) bool {
		return slices.ContainsFunc(slices.Concat(r.From, r.EnrolFrom), func(p Place) bool { return p.net.IsValid() })
	})
}

// AllGroups returns the groups that the rules name, each once.
func (rs Rules) AllGroups() []string {
	var names []string
	for _, r := range rs {
		names = append(names, r.Groups...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}
