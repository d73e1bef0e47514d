package foreign

import (
	"encoding/xml"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// pskcPolicy is an element Policy (RFC 6030 §5): what a key may be used for.
type pskcPolicy struct {
	XMLName      xml.Name
	Text         string    `xml:",chardata"`
	Start        string    `xml:"StartDate"`
	Expiry       string    `xml:"ExpiryDate"`
	Usage        []string  `xml:"KeyUsage"`
	Transactions *struct{} `xml:"NumberOfTransactions"`
	PINs         []struct {
		KeyID    string `xml:"PINKeyId,attr"`
		Mode     string `xml:"PINUsageMode,attr"`
		Attempts string `xml:"MaxFailedAttempts,attr"`
		Min      string `xml:"MinLength,attr"`
		Max      string `xml:"MaxLength,attr"`
		Encoding string `xml:"PINEncoding,attr"`
		foreigners
	} `xml:"PINPolicy"`
	foreigners
}

// foreigners are elements and attributes that RFC 6030 doesn't have there.
type foreigners struct {
	Elements []struct{ XMLName xml.Name } `xml:",any"`
	Attrs    []xml.Attr                   `xml:",any,attr"`
}

// plainElement is a name that may be shown: a secret that went astray is no such name.
var plainElement = regexp.MustCompile(`^[A-Za-z]{1,31}$`)

// unknown returns what to call the first foreigner, or nothing. Declarations of namespaces are none.
func (f foreigners) unknown() string {
	names := []xml.Name{}
	for _, e := range f.Elements {
		names = append(names, e.XMLName)
	}
	for _, a := range f.Attrs {
		if a.Name.Space != "xmlns" && a.Name.Local != "xmlns" && a.Name.Space != "http://www.w3.org/2001/XMLSchema-instance" {
			names = append(names, a.Name)
		}
	}
	switch {
	case len(names) == 0:
		return ""
	case plainElement.MatchString(names[0].Local):
		return names[0].Local
	}
	return "something"
}

// permits says why a policy doesn't permit the key's use at this time. What of a policy is not understood
// means that it doesn't.
func (p pskcPolicy) permits(now time.Time) error {
	for _, limit := range []struct {
		text string
		bad  func(time.Time) bool
		why  string
	}{
		{p.Start, now.Before, "it is not valid yet"},
		{p.Expiry, func(t time.Time) bool { return !now.Before(t) }, "it has expired"},
	} {
		if strings.TrimSpace(limit.text) == "" {
			continue
		}
		t, err := xmlTime(limit.text)
		if err != nil {
			return errors.New("a date of its validity can't be read")
		}
		if limit.bad(t) {
			return errors.New(limit.why)
		}
	}
	if p.XMLName.Local != "" && p.XMLName.Space != pskcSpace || strings.TrimSpace(p.Text) != "" {
		return errors.New("its policy is not one of RFC 6030, which (section 5) then permits no use")
	}
	otp := func(use string) bool { return strings.TrimSpace(use) == "OTP" }
	switch what := p.unknown(); {
	case what != "":
		return fmt.Errorf("its policy has %s, which is not known: then RFC 6030 (section 5) permits no use", what)
	case p.Transactions != nil:
		return errors.New("its policy limits how often it may be used (NumberOfTransactions), and totpd can't keep to that")
	case len(p.Usage) > 0 && !slices.ContainsFunc(p.Usage, otp):
		return errors.New("its policy is for another use than one-time passwords")
	}
	for _, pin := range p.PINs {
		switch what := pin.unknown(); {
		case what != "":
			return fmt.Errorf("its policy has a PIN with %s, which is not known: then RFC 6030 (section 5) permits no use", what)
		case pin.Mode == "":
			return errors.New("its policy has a PIN and doesn't say how it is used (PINUsageMode)")
		case pin.Mode != "Local": // for which the device asks itself
			return errors.New("its policy wants a PIN with the code, and totpd has none")
		}
	}
	return nil
}

// understood refuses a key with more to its codes than is known here.
func (k pskcKey) understood() error {
	for _, part := range []struct {
		in string
		foreigners
	}{
		{"Key", k.foreigners},
		{"AlgorithmParameters", k.Parameters.is.foreigners},
		{"Data", k.Data.is.foreigners},
	} {
		if what := part.unknown(); what != "" {
			return fmt.Errorf("its %s has %s, which is not known and may change the codes or limit their use", part.in, what)
		}
	}
	if r := k.Parameters.is.Response; r != nil && r.unknown() != "" {
		return fmt.Errorf("its ResponseFormat has %s, which is not known and may change the codes", r.unknown())
	}
	if strings.TrimSpace(k.Profile) != "" {
		return errors.New("it refers to a key profile (KeyProfileId), which is not in the container and may change the codes")
	}
	return nil
}
