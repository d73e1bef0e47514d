package enrol

import (
	"errors"
	"net/url"
	"strconv"
	"strings"

	"github.com/totpd/totpd/daemon/control/otpauth"
	"github.com/totpd/totpd/daemon/internal/account"
)

// Labels returns what the label of a device has around the user: ISSUER:USER@HOST.
func (s *Service) Labels() (issuer, host string) { return s.cfg.Issuer, s.cfg.Host }

// newURI is the otpauth URI of a new device, with the label issuer:user@host. It leaves out what
// every authenticator takes for granted, so that its QR code stays small. It is not made by pquerna's
// Generate, which leaves an ampersand in the issuer unescaped (v1.5.0).
func newURI(issuer, user, host string, d account.Device, secret []byte) (string, error) {
	issuer = strings.ReplaceAll(issuer, ":", " ") // a colon ends the issuer of a label
	if issuer == "" || user == "" || host == "" || len(secret) == 0 {
		return "", errors.New("a label needs an issuer, a user and a host")
	}
	q := url.Values{"issuer": {issuer}, "secret": {otpauth.Encode(secret)}}
	if d.Algorithm != account.SHA1 {
		q.Set("algorithm", string(d.Algorithm))
	}
	if d.Digits != 6 {
		q.Set("digits", strconv.Itoa(d.Digits))
	}
	kind := "totp"
	switch {
	case d.Kind == account.HOTP:
		kind = "hotp"
		q.Set("counter", strconv.FormatInt(d.Counter, 10))
	case d.Period != 30:
		q.Set("period", strconv.Itoa(d.Period))
	}
	u := url.URL{
		Scheme: "otpauth", Host: kind, Path: "/" + issuer + ":" + user + "@" + host,
		RawQuery: strings.ReplaceAll(q.Encode(), "+", "%20"), // authenticators read a plus as itself
	}
	return u.String(), nil
}

// parseURI reads an otpauth link. The device has neither ID nor name nor sealed secret yet.
func parseURI(uri string) (account.Device, []byte, error) {
	k, secret, err := otpauth.Parse(uri)
	if err != nil {
		return account.Device{}, nil, err
	}
	d := account.Device{Digits: k.Digits, Period: k.Period, Algorithm: account.Algorithm(k.Algorithm)}
	if k.Counts {
		d.Kind, d.Counter = account.HOTP, k.Counter
	}
	return d, secret, nil
}
