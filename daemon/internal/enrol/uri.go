package enrol

import (
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// Limits of an otpauth URI that is given to Set, in bytes.
const (
	uriMax    = 2048
	secretMin = 10 // 80 bits, as old tokens have; Start makes 160
	secretMax = 128
)

// counterMax is the highest counter of an event-based token that is taken. No button is pressed so often.
const counterMax = 1 << 53

var unpadded = base32.StdEncoding.WithPadding(base32.NoPadding)

// newURI is the otpauth URI of a new device, with the label issuer:user@host. It leaves out what
// every authenticator takes for granted, so that its QR code stays small. It is not made by pquerna's
// Generate, which leaves an ampersand in the issuer unescaped (v1.5.0).
func newURI(issuer, user, host string, d account.Device, secret []byte) (string, error) {
	issuer = strings.ReplaceAll(issuer, ":", " ") // a colon ends the issuer of a label
	if issuer == "" || user == "" || host == "" || len(secret) == 0 {
		return "", errors.New("a label needs an issuer, a user and a host")
	}
	q := url.Values{"issuer": {issuer}, "secret": {unpadded.EncodeToString(secret)}}
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

// parseURI reads an otpauth URI, of a time-based key or an event-based one. The device has neither ID nor name nor sealed
// secret yet. The error says which part is wrong and never quotes the URI: a mistyped secret is most
// of a secret. Parameters that don't concern the code (issuer, image) are passed over.
func parseURI(uri string) (d account.Device, secret []byte, err error) {
	if len(uri) > uriMax {
		return d, nil, fmt.Errorf("an otpauth URI has at most %d bytes", uriMax)
	}
	u, err := url.Parse(strings.TrimSpace(uri))
	if err != nil || u.Scheme != "otpauth" {
		return d, nil, errors.New("not an otpauth URI: it begins with otpauth://totp/ or otpauth://hotp/")
	}
	kind := strings.ToLower(u.Host)
	if kind != "totp" && kind != "hotp" {
		return d, nil, errors.New("the type of an otpauth URI is totp or hotp: otpauth://totp/")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return d, nil, errors.New("the parameters after the question mark are not well-formed")
	}
	d, err = parameters(q)
	if err == nil && kind == "hotp" {
		err = count(&d, q)
	}
	if err != nil {
		return account.Device{}, nil, err
	}
	if secret, err = parseSecret(q.Get("secret")); err != nil {
		return account.Device{}, nil, err
	}
	return d, secret, nil
}

// parameters reads digits, period and algorithm, with the defaults of authenticators.
func parameters(q url.Values) (account.Device, error) {
	for _, name := range []string{"secret", "digits", "period", "algorithm", "counter"} {
		if len(q[name]) > 1 {
			return account.Device{}, fmt.Errorf("%s is given twice", name)
		}
	}
	d := account.Device{Digits: 6, Period: 30, Algorithm: account.SHA1}
	var err error
	if q.Has("digits") {
		if d.Digits, err = strconv.Atoi(q.Get("digits")); err != nil || d.Digits != 6 && d.Digits != 8 {
			return account.Device{}, errors.New("digits must be 6 or 8")
		}
	}
	if q.Has("period") {
		if d.Period, err = strconv.Atoi(q.Get("period")); err != nil || d.Period != 30 && d.Period != 60 {
			return account.Device{}, errors.New("period must be 30 or 60 (seconds)")
		}
	}
	if q.Has("algorithm") {
		d.Algorithm = account.Algorithm(strings.ReplaceAll(strings.ToUpper(q.Get("algorithm")), "-", ""))
		if _, ok := verify.Hash(d.Algorithm); !ok {
			return account.Device{}, errors.New("algorithm must be SHA1, SHA256 or SHA512")
		}
	}
	return d, nil
}

// count makes the device an event-based one, whose next code has the counter of the URI.
func count(d *account.Device, q url.Values) error {
	counter, err := strconv.ParseInt(q.Get("counter"), 10, 64)
	if err != nil || counter < 0 || counter > counterMax {
		return errors.New("an event-based token (hotp) needs its counter: counter=0 for a new one")
	}
	d.Kind, d.Period, d.Counter = account.HOTP, 0, counter
	return nil
}

// parseSecret reads base32 as people pass it on: any case, in groups, padded or not.
func parseSecret(text string) ([]byte, error) {
	if text == "" {
		return nil, errors.New("no secret")
	}
	text = strings.NewReplacer(" ", "", "-", "").Replace(text)
	text = strings.ToUpper(strings.TrimRight(text, "="))
	secret, err := unpadded.DecodeString(text)
	switch {
	case err != nil || unpadded.EncodeToString(secret) != text:
		return nil, errors.New("the secret is not base32 (letters A to Z and digits 2 to 7)")
	case len(secret) < secretMin:
		return nil, fmt.Errorf("the secret has %d bits, at least %d are needed", len(secret)*8, secretMin*8)
	case len(secret) > secretMax:
		return nil, fmt.Errorf("the secret has %d bits, at most %d are taken", len(secret)*8, secretMax*8)
	}
	return secret, nil
}
