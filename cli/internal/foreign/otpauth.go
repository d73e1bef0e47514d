package foreign

import (
	"encoding/base32"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/totpd/totpd/daemon/control"
)

// lineMax is the longest line with a URI, in bytes.
const lineMax = 4096

// OTPAuth reads a list of otpauth URIs, one a line, each with the user before it. Without one, the user is
// in the label: behind the issuer's colon, up to the last @, behind which totpd writes the host. Empty lines
// and those that begin with # are passed over. A user may be in several lines.
func OTPAuth(place, text string) []Found {
	var all []Found
	number := 0
	for line := range strings.SplitSeq(text, "\n") {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' {
			continue
		}
		f := Found{Places: []string{fmt.Sprintf("%s:%d", place, number)}}
		user, uri := "", line
		if before, after, ok := strings.Cut(line, "otpauth://"); ok && strings.TrimSpace(before) != "" {
			user, uri = strings.TrimSpace(before), "otpauth://"+after
		}
		d, label, err := ParseURI(uri)
		switch f.User = user; {
		case err != nil:
			f.refuse("%v", err)
		case user == "":
			if f.User = accountOf(label); f.User == "" {
				f.refuse("it doesn't say whose it is: write the user before the URI")
			}
		}
		if err == nil {
			f.Devices = []control.ImportDevice{d}
		}
		all = append(all, f)
	}
	return Merge(all)
}

// ParseURI reads an otpauth URI and returns its device and its label. Its errors never quote it.
func ParseURI(uri string) (d control.ImportDevice, label string, err error) {
	if len(uri) > lineMax {
		return d, "", fmt.Errorf("a line with a URI has at most %d bytes", lineMax)
	}
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "otpauth" {
		return d, "", errors.New("no otpauth URI: it begins with otpauth://totp/ or otpauth://hotp/")
	}
	q, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return d, "", errors.New("the parameters after the question mark are not well-formed")
	}
	for _, name := range []string{"secret", "digits", "period", "algorithm", "counter"} {
		if len(q[name]) > 1 {
			return d, "", fmt.Errorf("%s is given twice", name)
		}
	}
	secret, err := uriSecret(q.Get("secret"))
	if err != nil {
		return d, "", err
	}
	made := newDevice(phone, secret)
	switch kind := strings.ToLower(u.Host); kind {
	case "totp":
		err = number(q, "period", &made.Period, 30, 60)
	case "hotp":
		made.Name = token
		next, bad := strconv.ParseInt(q.Get("counter"), 10, 64)
		if bad != nil || next < 0 || next > counterMax {
			return d, "", errors.New("counter is no number that a counter can have")
		}
		eventBased(&made, next)
	default:
		return d, "", errors.New("the type of an otpauth URI is totp or hotp")
	}
	if err == nil {
		err = number(q, "digits", &made.Digits, 6, 8)
	}
	if err == nil && q.Has("algorithm") {
		made.Algorithm, err = algorithm(q.Get("algorithm"))
	}
	if err != nil {
		return d, "", err
	}
	return made, strings.TrimPrefix(u.Path, "/"), nil
}

// uriSecret reads base32 as people pass it on: any case, in groups, padded or not.
func uriSecret(text string) ([]byte, error) {
	text = strings.ToUpper(strings.TrimRight(strings.NewReplacer(" ", "", "-", "").Replace(text), "="))
	unpadded := base32.StdEncoding.WithPadding(base32.NoPadding)
	secret, err := unpadded.DecodeString(text)
	if text == "" || err != nil || unpadded.EncodeToString(secret) != text {
		return nil, errors.New("the secret is not base32 (letters A to Z and digits 2 to 7)")
	}
	if why := sized(secret); why != "" {
		return nil, errors.New(why)
	}
	return secret, nil
}

// number reads a parameter that is one of two numbers.
func number(q url.Values, name string, into *int, a, b int) error {
	if !q.Has(name) {
		return nil
	}
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n != a && n != b {
		return fmt.Errorf("%s must be %d or %d", name, a, b)
	}
	*into = n
	return nil
}

// algorithm reads the name of a hash, as URIs and PSKC spell it.
func algorithm(name string) (string, error) {
	plain := strings.NewReplacer("-", "", "_", "").Replace(strings.ToUpper(name))
	switch plain = strings.TrimPrefix(plain, "HMAC"); plain {
	case "SHA1", "SHA256", "SHA512":
		return plain, nil
	}
	return "", errors.New("the algorithm is none of SHA1, SHA256 and SHA512")
}

// accountOf returns whose the label says it is.
func accountOf(label string) string {
	if _, after, ok := strings.Cut(label, ":"); ok {
		label = after
	}
	if before, _, ok := cutLast(label, "@"); ok {
		label = before
	}
	return strings.TrimSpace(label)
}
