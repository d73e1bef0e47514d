package otpauth

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

const (
	base   = "otpauth://totp/Example:alice?secret=" + secret
	secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
)

func TestParse(t *testing.T) {
	usual := Key{Issuer: "Example", Account: "alice", Period: 30, Digits: 6, Algorithm: "SHA1"}
	with := func(change func(*Key)) Key { k := usual; change(&k); return k }
	for link, want := range map[string]Key{
		base:                  usual,
		" \t" + base + "\r\n": usual,
		strings.ReplaceAll(strings.ToUpper(base), "EXAMPLE:ALICE", "Example:alice"): usual,
		base + "&issuer=example&image=x&lock=true&Icon=y&creator=privacyidea":       usual,
		base + "&issuer=Other":             with(func(k *Key) { k.Issuer = "" }),
		base + "&Digits=8&PERIOD=60":       with(func(k *Key) { k.Digits, k.Period = 8, 60 }),
		base + "&digits=%208&period=60%20": with(func(k *Key) { k.Digits, k.Period = 8, 60 }),
		base + "&counter=7":                usual, // some write it so
		base + "&":                         usual,
		"otpauth://hotp/a?counter=7&period=45&secret=" + secret:  {Account: "a", Counts: true, Counter: 7, Digits: 6, Algorithm: "SHA1"},
		"otpauth://totp?secret=" + secret:                        {Period: 30, Digits: 6, Algorithm: "SHA1"},
		"otpauth://totp/Big%20Firm:%20al%3Aice?secret=" + secret: {Issuer: "Big Firm", Account: "al:ice", Period: 30, Digits: 6, Algorithm: "SHA1"},
		"otpauth://totp/My Firm:alice?secret=" + secret:          {Issuer: "My Firm", Account: "alice", Period: 30, Digits: 6, Algorithm: "SHA1"},
	} {
		k, s, err := Parse(link)
		if err != nil || k != want || string(s) != "12345678901234567890" {
			t.Errorf("%s: %+v, %q, %v, want %+v", link, k, s, err, want)
		}
	}
	for name, want := range map[string]string{
		"SHA1": "SHA1", "sha-1": "SHA1", "HmacSHA1": "SHA1", "HMAC-SHA-1": "SHA1", "hmac_sha1": "SHA1",
		"SHA256": "SHA256", "SHA-256": "SHA256", "HmacSHA256": "SHA256", "HMAC-SHA-256": "SHA256", "sha_256": "SHA256",
		"SHA512": "SHA512", "Sha-512": "SHA512", "HMACSHA512": "SHA512", "HMAC%20SHA512": "SHA512",
	} {
		for _, parameter := range []string{"algorithm", "Algorithm", "ALGORITHM", "%61lgorithm"} {
			if k, _, err := Parse(base + "&" + parameter + "=" + name); err != nil || k.Algorithm != want {
				t.Errorf("%s=%s: %s, %v", parameter, name, k.Algorithm, err)
			}
		}
	}
}

// What a code depends on, and isn't understood, is refused by name. Nothing else of the link is quoted.
func TestRefused(t *testing.T) {
	const twice, notKnown = " is given twice", " is not known and may change the codes"
	for more, want := range map[string]string{
		"&algorithm=SHA3": "algorithm must be", "&algorithm=SHA3-256": "algorithm must be", "&algorithm=": "algorithm must be",
		"&algorithm=SHA224": "algorithm must be", "&Algorithm=MD5": "algorithm must be",
		"&digits=5": "digits must be 6 or 8", "&DIGITS=10": "digits must be", "&digits=": "digits must be", "&digits=6.0": "digits must be",
		"&period=45": "period must be 30 or 60", "&Period=0": "period must be", "&period=30s": "period must be", "&period=99999999999999999999": "period must be",
		"&encoder=steam": "parameter encoder" + notKnown, "&algo=SHA256": "parameter algo" + notKnown, "&Offset=1": "parameter offset" + notKnown,
		"&t0=5": "parameter t0" + notKnown, "&pin=1": "parameter pin" + notKnown, "&algorithm%20=SHA3": "algorithm must be",
		"&=x": "parameter 2" + notKnown, "&" + secret: "parameter 2" + notKnown, "&" + secret + "=": "parameter 2" + notKnown,
		"&digits=6&Digits=8": "digits" + twice, "&digits=6&digits=6": "digits" + twice, "&SECRET=" + secret: "secret" + twice,
		"&algorithm=SHA1&Algorithm=SHA256": "algorithm" + twice,
		"#&digits=8":                       "must be written as %23", "&issuer=C#": "must be written as %23",
		"&issuer=a;digits=8": "not well-formed", "&amp;digits=8": "not well-formed", "&issuer=%zz": "not well-formed",
		"1": "the secret is not base32", "0": "the secret is not base32", "A": "a character is missing, or is one too many", "=A": "the secret is not base32",
	} {
		_, s, err := Parse(base + more)
		if err == nil || !strings.Contains(err.Error(), want) || s != nil {
			t.Errorf("%s: %v, want %s", more, err, want)
		}
		if err != nil && strings.Contains(err.Error(), "GEZD") {
			t.Errorf("%s: quoted in %v", more, err)
		}
	}
	for link, want := range map[string]string{
		"":                                       "not an otpauth link",
		"otpauth":                                "not an otpauth link",
		"otpauth://offline?data=" + secret:       "the type of an otpauth link",
		"otpauth://steam/x?secret=" + secret:     "the type of an otpauth link",
		"otpauth://totp@host/x?secret=" + secret: "the type of an otpauth link",
		"otpauth-migration://offline?data=" + secret: "Google Authenticator's export",
		"x" + base:                                     "not an otpauth link",
		"otpauth://totp/a\x00?secret=" + secret:        "not an otpauth link",
		"otpauth://totp/100%?secret=" + secret:         "the label before the question mark",
		"otpauth://totp/x":                             "no secret",
		"otpauth://hotp/x?secret=" + secret:            "needs its counter",
		"otpauth://hotp/x?counter=-1&secret=" + secret: "needs its counter",
		base + strings.Repeat("A", LinkMax):            "at most 2048 bytes",
	} {
		if _, _, err := Parse(link); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "GEZD") {
			t.Errorf("%s: %v, want %s", link, err, want)
		}
	}
}

func TestBase32(t *testing.T) {
	for text, want := range map[string]string{
		"GEZDGNBVGY3TQOJQ":           "1234567890",
		"gezd gnbv-gy3t\tqojq":       "1234567890",
		"GEZDGNBVGY3TQOJQGE======":   "12345678901",
		"GEZDGNBVGY3TQOJQGE":         "12345678901",
		"GEZDGNBVGY3TQOJQGF":         "12345678901", // bits that belong to no byte
		"GEZDGNBVGY3TQOJQGEZZ":       "123456789013",
		"GEZDGNBVGY3TQOJQGEZDGNBVGZ": "1234567890123456",
		"GEZDGNBVGY3TQOJQGEZDGNBVGY": "1234567890123456",
		"GEZDGNBVGY3TQOJQGEZDGNB":    "12345678901234",
	} {
		if got, err := Base32(text); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", text, got, err, want)
		}
	}
	for _, text := range []string{"", " ", "=", "A", "ABC", "ABCDEF", "GEZDGNBVG", "GEZD1", "GEZD0", "GEZD8", "GEZDÄ", "GEZDı", "GE=ZDGNBV", "GEZD\x00NBV", "\ufeffGEZDGNBV"} {
		if got, err := Base32(text); err == nil {
			t.Errorf("%q: %q", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(base)
	f.Add(base + "&digits=8&period=60&algorithm=HmacSHA256")
	f.Add("otpauth://hotp/a?secret=" + secret + "&counter=1")
	f.Fuzz(func(t *testing.T, link string) {
		k, s, err := Parse(link)
		if err != nil {
			if k != (Key{}) || s != nil {
				t.Error("an error with a result")
			}
			return
		}
		if Sized(s) != nil || !Digits(k.Digits) || k.Counts != (k.Period == 0) || !k.Counts && !Period(k.Period) {
			t.Fatalf("%+v of %d bytes", k, len(s))
		}
		q := url.Values{"secret": {Encode(s)}, "digits": {fmt.Sprint(k.Digits)}, "algorithm": {k.Algorithm}}
		kind := "totp"
		if k.Counts {
			kind = "hotp"
			q.Set("counter", fmt.Sprint(k.Counter))
		} else {
			q.Set("period", fmt.Sprint(k.Period))
		}
		k2, s2, err := Parse("otpauth://" + kind + "/x?" + q.Encode())
		k.Issuer, k.Account = "", "x"
		if err != nil || k2 != k || !bytes.Equal(s, s2) {
			t.Fatalf("%+v, then %+v, %v", k, k2, err)
		}
	})
}
