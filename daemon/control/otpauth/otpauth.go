// Package otpauth reads otpauth links and keys in base32: the one reader for the daemon and the command. It
// also holds the limits of a device, for all who make one.
//
// Always true: a parameter that may change the code is understood or refused; an error quotes no secret and
// no value.
package otpauth

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// LinkMax is the longest link that is read, in bytes.
const LinkMax = 2048

// Key is what a link says of a device, apart from its secret.
type Key struct {
	Issuer    string // of the parameter or of the label; empty where they disagree or there is none
	Account   string // of the label, behind the issuer and its colon; may be empty
	Counts    bool   // an event-based key (hotp)
	Counter   int64  // of an event-based key: the next one
	Period    int    // seconds; of an event-based key 0
	Digits    int
	Algorithm string // SHA1, SHA256 or SHA512
}

// scheme begins every link, in any case.
const scheme = "otpauth://"

// Index returns where a link begins in text, or -1.
func Index(text string) int {
	for i := 0; i+len(scheme) <= len(text); i++ {
		if strings.EqualFold(text[i:i+len(scheme)], scheme) {
			return i
		}
	}
	return -1
}

// Parse reads a link: otpauth://totp/LABEL?PARAMETERS or otpauth://hotp/. An error returns nothing else.
func Parse(link string) (Key, []byte, error) {
	k, secret, err := parse(strings.TrimSpace(link))
	if err != nil {
		clear(secret)
		return Key{}, nil, err
	}
	return k, secret, nil
}

func parse(link string) (k Key, secret []byte, err error) {
	switch {
	case len(link) > LinkMax:
		return k, nil, fmt.Errorf("an otpauth link has at most %d bytes", LinkMax)
	case len(link) > 20 && strings.EqualFold(link[:20], "otpauth-migration://"):
		return k, nil, errors.New("a link of Google Authenticator's export (otpauth-migration) is not read: export the keys as otpauth links")
	case Index(link) != 0 || strings.ContainsFunc(link, unicode.IsControl):
		return k, nil, errors.New("not an otpauth link: it begins with otpauth://totp/ or otpauth://hotp/")
	case strings.Contains(link, "#"):
		return k, nil, errors.New("a # in an otpauth link must be written as %23")
	}
	path, query, _ := strings.Cut(link[len(scheme):], "?")
	kind, label, _ := strings.Cut(path, "/")
	if kind = strings.ToLower(kind); kind != "totp" && kind != "hotp" {
		return k, nil, errors.New("the type of an otpauth link is totp or hotp: otpauth://totp/")
	}
	if label, err = url.PathUnescape(label); err != nil {
		return k, nil, errors.New("the label before the question mark is not well-formed: a % must be written as %25")
	}
	q, err := parameters(query)
	if err != nil {
		return k, nil, err
	}
	k = Key{Counts: kind == "hotp", Digits: 6, Period: 30, Algorithm: "SHA1", Account: label}
	if before, after, ok := strings.Cut(label, ":"); ok {
		k.Issuer, k.Account = before, after
	}
	k.Issuer, k.Account = strings.TrimSpace(k.Issuer), strings.TrimSpace(k.Account)
	switch issuer := strings.TrimSpace(q["issuer"]); {
	case k.Issuer == "":
		k.Issuer = issuer
	case issuer != "" && !strings.EqualFold(issuer, k.Issuer):
		k.Issuer = ""
	}
	if err := k.read(q); err != nil {
		return k, nil, err
	}
	if secret, err = Base32(q["secret"]); err != nil {
		return k, nil, err
	}
	return k, secret, Sized(secret)
}

// read takes what the parameters say of the codes.
func (k *Key) read(q map[string]string) (err error) {
	if text, given := q["algorithm"]; given {
		if k.Algorithm, err = Algorithm(text); err != nil {
			return err
		}
	}
	if text, given := q["digits"]; given {
		if k.Digits, err = strconv.Atoi(strings.TrimSpace(text)); err != nil || !Digits(k.Digits) {
			return errors.New("digits must be " + DigitsText)
		}
	}
	if k.Counts { // some write a period all the same
		k.Period = 0
		k.Counter, err = strconv.ParseInt(strings.TrimSpace(q["counter"]), 10, 64)
		if err != nil || k.Counter < 0 || k.Counter > CounterMax {
			return errors.New("an event-based token (hotp) needs its counter: counter=0 for a new one")
		}
		return nil
	}
	if text, given := q["period"]; given {
		if k.Period, err = strconv.Atoi(strings.TrimSpace(text)); err != nil || !Period(k.Period) {
			return errors.New("period must be " + PeriodText + " (seconds)")
		}
	}
	return nil
}

// codes are the parameters that codes depend on.
var codes = []string{"secret", "algorithm", "digits", "period", "counter"}

// looks are parameters that are about how an app shows an entry, and not about its codes.
var looks = []string{
	"issuer", "image", "icon", "logo", "color", "colour", "background", "foreground", "lock", "account", "username",
	"name", "label", "group", "tags", "favorite", "note", "notes", "codedisplay", "serial",
	"creator",
}

// parameters returns those of a query by name, in lower case. One that is neither about the codes nor known
// to be about something else is refused, and so is one that codes depend on when it is given twice.
func parameters(query string) (map[string]string, error) {
	all := map[string]string{}
	number := 0
	for part := range strings.SplitSeq(query, "&") {
		number++
		if part == "" {
			continue
		}
		name, value, _ := strings.Cut(part, "=")
		name, err := url.QueryUnescape(name)
		name = strings.ToLower(strings.TrimSpace(name))
		value, err2 := url.QueryUnescape(value)
		switch {
		case err != nil || err2 != nil || strings.Contains(part, ";"):
			return nil, errors.New("the parameters after the question mark are not well-formed")
		case slices.Contains(looks, name):
		case !slices.Contains(codes, name):
			return nil, fmt.Errorf("%s is not known and may change the codes: leave it out if it doesn't", called(name, number, query))
		}
		if before, twice := all[name]; twice && slices.Contains(codes, name) {
			return nil, fmt.Errorf("%s is given twice", name)
		} else if !twice || before == "" {
			all[name] = value
		}
	}
	return all, nil
}

// called returns what to call an unknown parameter: its name, unless that may be a secret that went astray, as
// in a line of another format.
func called(name string, number int, query string) string {
	plain := len(name) < 16 && !strings.ContainsAny(query, " ,\"'|\\")
	for _, c := range []byte(name) {
		plain = plain && (c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' || c == '.')
	}
	if !plain || name == "" {
		return fmt.Sprintf("parameter %d", number)
	}
	return "parameter " + name
}

// Algorithm reads the name of a hash as it occurs in practice: SHA1, sha-256, HmacSHA512, HMAC-SHA-1.
func Algorithm(name string) (string, error) {
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToUpper(name))
	switch plain = strings.TrimPrefix(plain, "HMAC"); plain {
	case "SHA1", "SHA256", "SHA512":
		return plain, nil
	}
	return "", errors.New("algorithm must be SHA1, SHA256 or SHA512")
}
