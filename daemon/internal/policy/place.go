package policy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/totpd/totpd/daemon/internal/source"
)

// Place is where logins come from: this host, or a network. The zero value is nowhere.
type Place struct {
	local bool
	net   netip.Prefix
}

// ParsePlace reads "local", an address, or a network as in 192.0.2.0/24. Its error says what to write.
func ParsePlace(text string) (Place, error) {
	if text == "local" {
		return Place{local: true}, nil
	}
	if addr, err := netip.ParseAddr(text); err == nil {
		if addr.Zone() != "" || addr.Is4In6() {
			return Place{}, fmt.Errorf("has to be %q", addr.WithZone("").Unmap())
		}
		return Place{net: netip.PrefixFrom(addr, addr.BitLen())}, nil
	}
	net, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return Place{}, errors.New(`is neither an address, nor a network such as "192.0.2.0/24" or "2001:db8::/32", nor "local"`)
	case net.Addr().Is4In6():
		return Place{}, errors.New("has to be written as a network of IPv4")
	case net != net.Masked():
		return Place{}, fmt.Errorf("has to be %q for the network, or %q for the one address", net.Masked(), net.Addr())
	}
	return Place{net: net}, nil
}

// String is what ParsePlace reads.
func (p Place) String() string {
	switch {
	case p.local:
		return "local"
	case p.net.IsSingleIP():
		return p.net.Addr().String()
	}
	return p.net.String()
}

// Has says whether s is there. A remote host of which only a name is known, or nothing, may be anywhere.
func (p Place) Has(s source.Source) Met {
	switch {
	case p == Place{}:
		return No
	case s.Doubt() != "":
		return Unknown
	case p.local && s.Local() || s.Addr.IsValid() && p.net.Contains(s.Addr):
		return Yes
	}
	return No
}

// within says whether one of places has all that p has.
func within(places []Place, p Place) bool {
	return slices.ContainsFunc(places, func(wide Place) bool {
		return wide == p || wide.net.IsValid() && p.net.IsValid() && wide.net.Bits() <= p.net.Bits() && wide.net.Contains(p.net.Addr())
	})
}
