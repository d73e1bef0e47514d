package enrol

import (
	"bytes"
	"strings"
	"testing"

	"github.com/pquerna/otp"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/verify"
)

const base = "otpauth://totp/Example:alice?secret="

func TestURIs(t *testing.T) {
	sixDigits := account.Device{Digits: 6, Period: 30, Algorithm: account.SHA1}
	eightDigits := account.Device{Digits: 8, Period: 60, Algorithm: account.SHA512}
	for uri, want := range map[string]account.Device{
		base + "GEZDGNBVGY3TQOJQ":                                             sixDigits,
		base + "gezdgnbvgy3tqojq":                                             sixDigits,
		base + "GEZD+GNBV+GY3T+QOJQ":                                          sixDigits,
		base + "GEZD GNBV GY3T QOJQ":                                          sixDigits,
		base + "GEZD%20GNBV-GY3T%20QOJQ":                                      sixDigits,
		" " + base + "GEZDGNBVGY3TQOJQ\n":                                     sixDigits,
		base + "GEZDGNBVGY3TQOJQGE======":                                     sixDigits,
		base + "GEZDGNBVGY3TQOJQGE%3D%3D%3D%3D%3D%3D":                         sixDigits,
		base + "GEZDGNBVGY3TQOJQGE":                                           sixDigits,
		base + "GEZDGNBVGY3TQOJQGF":                                           sixDigits, // bits that belong to no byte
		base + "GEZDGNBVGY3TQOJQ&Algorithm=HmacSHA512&DIGITS=8&Period=60":     eightDigits,
		base + "GEZDGNBVGY3TQOJQ&issuer=Example&image=x":                      sixDigits,
		"OTPAUTH://TOTP/?secret=GEZDGNBVGY3TQOJQ":                             sixDigits,
		base + "GEZDGNBVGY3TQOJQ&digits=8&period=60&algorithm=SHA512":         eightDigits,
		base + "GEZDGNBVGY3TQOJQ&algorithm=sha-512&period=60&digits=8&lock=x": eightDigits,
		"otpauth://hotp/a?counter=7&period=30&secret=GEZDGNBVGY3TQOJQ":        {Kind: account.HOTP, Counter: 7, Digits: 6, Algorithm: account.SHA1},
		"otpauth://totp/a?counter=7&secret=GEZDGNBVGY3TQOJQ":                  sixDigits, // some write it so
	} {
		d, secret, err := parseURI(uri)
		if err != nil || d.Digits != want.Digits || d.Period != want.Period || d.Algorithm != want.Algorithm || d.Kind != want.Kind || d.Counter != want.Counter || !bytes.HasPrefix(secret, []byte("1234567890")) {
			t.Errorf("%s: %+v, %q, %v", uri, d, secret, err)
		}
	}
}

func TestBadURIs(t *testing.T) {
	w := newWorld(t)
	const secret = "GEZDGNBVGY3TQOJQ"
	for uri, want := range map[string]string{
		"":                                  "not an otpauth link",
		secret:                              "not an otpauth link",
		"https://totp/?secret=" + secret:    "not an otpauth link",
		"otpauth:totp?secret=" + secret:     "not an otpauth link",
		"otpauth://hotp/a?secret=" + secret: "needs its counter",
		"otpauth://hotp/a?counter=-1&secret=" + secret:                  "needs its counter",
		"otpauth://hotp/a?counter=x&secret=" + secret:                   "needs its counter",
		"otpauth://hotp/a?counter=9999999999999999999&secret=" + secret: "needs its counter",
		"otpauth://hotp/a?counter=1&counter=2&secret=" + secret:         "counter is given twice",
		"otpauth://motp/a?secret=" + secret:                             "the type",
		"otpauth://totp:80/a?secret=" + secret:                          "the type",
		"otpauth://totp/%zz?secret=" + secret:                           "the label before the question mark is not well-formed",
		"otpauth://totp/a?secret=%zz" + secret:                          "not well-formed",
		"otpauth://totp/a?x;secret=" + secret:                           "not well-formed",
		"otpauth://totp/a?secret=\x00" + secret:                         "not an otpauth link",
		"otpauth://totp/a":                                              "no secret",
		base:                                                            "no secret",
		base + secret + "&secret=" + secret:                             "secret is given twice",
		base + secret + "&digits=6&digits=8":                            "digits is given twice",
		base + secret + "&digits=7":                                     "digits must be",
		base + secret + "&digits=six":                                   "digits must be",
		base + secret + "&digits=":                                      "digits must be",
		base + secret + "&period=31":                                    "period must be",
		base + secret + "&period=99999999999999":                        "period must be",
		base + secret + "&algorithm=MD5":                                "algorithm must be",
		base + secret[:15] + "1":                                        "not base32",
		base + secret[:15] + "é":                                        "not base32",
		base + secret[:8] + "=" + secret[8:]:                            "not base32",
		base + secret + "G":                                             "not base32", // no number of bytes ends so
		base + secret + "&algoritm=SHA256":                              "parameter algoritm is not known",
		base + "GEZDGNBV":                                               "40 bits, at least 80",
		base + strings.Repeat(secret, 13):                               "1040 bits, at most 1024",
		base + strings.Repeat("A", 3000):                                "at most 2048 bytes",
	} {
		_, err := w.Set(ctx, "alice", uri, "", true)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %s", uri, err, want)
			w.events = nil
			continue
		}
		if strings.Contains(err.Error(), secret[:8]) || strings.Contains(w.events[0].Detail, secret[:8]) {
			t.Errorf("%s: quoted in %v, %+v", uri, err, w.events[0])
		}
		w.refused(err, control.ErrBadURI, "bad_uri")
	}
	if _, stored, _ := w.store.Get(ctx, "alice"); stored {
		t.Error("something was stored")
	}
}

func TestSet(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.events = nil
	c, err := w.Set(ctx, "alice", base+"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8", "", true)
	acc := w.account()
	if err != nil || c.Outcome != control.Confirmed || len(c.RecoveryCodes) != 10 || !acc.Enrolled() || acc.Pending != nil || acc.Devices[0].Name != "token" || acc.Devices[0].Digits != 8 {
		t.Fatalf("%+v, %v", acc, err)
	}
	if e := w.last(); e.Result != audit.Done || e.Device != "token" {
		t.Errorf("%+v", e)
	}
	secret, err := w.key.Open("alice", acc.Devices[0].ID, acc.Devices[0].Sealed)
	if err != nil || string(secret) != "12345678901234567890" {
		t.Errorf("%q, %v", secret, err)
	}
}

// What an authenticator is given to scan is what it reads.
func TestNewURI(t *testing.T) {
	secret := []byte("12345678901234567890")
	for _, c := range []struct {
		issuer, user, host string
		d                  account.Device
		label, want        string
	}{
		{"web1", "alice", "web1", account.Device{Digits: 6, Period: 30, Algorithm: account.SHA1}, "/web1:alice@web1",
			"otpauth://totp/web1:alice@web1?issuer=web1&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
		{"Big Firm: IT & Co", "al+ice", "web1", account.Device{Digits: 8, Period: 60, Algorithm: account.SHA256}, "/Big Firm  IT & Co:al+ice@web1",
			"otpauth://totp/Big%20Firm%20%20IT%20&%20Co:al+ice@web1?algorithm=SHA256&digits=8&issuer=Big%20Firm%20%20IT%20%26%20Co&period=60&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
		{"web1", "alice", "web1", account.Device{Digits: 6, Kind: account.HOTP, Counter: 42, Algorithm: account.SHA1}, "/web1:alice@web1",
			"otpauth://hotp/web1:alice@web1?counter=42&issuer=web1&secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"},
	} {
		uri, err := newURI(c.issuer, c.user, c.host, c.d, secret)
		if err != nil || uri != c.want {
			t.Errorf("%s, %v, want %s", uri, err, c.want)
			continue
		}
		key, err := otp.NewKeyFromURL(uri)
		if err != nil {
			t.Fatal(err)
		}
		hash, _ := verify.Hash(c.d.Algorithm)
		if key.Secret() != "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ" || key.Digits() != otp.Digits(c.d.Digits) ||
			c.d.Kind == account.TOTP && key.Period() != uint64(c.d.Period) || key.Algorithm() != hash || "/"+key.Issuer()+":"+key.AccountName() != c.label {
			t.Errorf("read back from %s: issuer %q, account %q", uri, key.Issuer(), key.AccountName())
		}
	}
}

func FuzzURI(f *testing.F) {
	f.Add(base + "GEZDGNBVGY3TQOJQ")
	f.Add(base + "gezd gnbv gy3t qojq&digits=8&period=60&algorithm=SHA256")
	f.Add("otpauth://hotp/a?secret=GEZDGNBVGY3TQOJQ&counter=1")
	f.Add("otpauth://totp/%zz?secret=%zz")
	f.Fuzz(func(t *testing.T, uri string) {
		d, secret, err := parseURI(uri)
		if err != nil {
			if secret != nil || d.Digits != 0 || d.Period != 0 || d.Algorithm != "" || d.Kind != "" || d.Counter != 0 {
				t.Fatalf("%v, but not nothing else", err)
			}
			return
		}
		if otpauth.Sized(secret) != nil {
			t.Fatalf("a secret of %d bytes", len(secret))
		}
		again, err := newURI("web1", "alice", "web1", d, secret)
		if err != nil {
			t.Fatal(err)
		}
		d2, secret2, err := parseURI(again)
		if err != nil || !bytes.Equal(secret, secret2) || d2.Digits != d.Digits || d2.Period != d.Period || d2.Algorithm != d.Algorithm ||
			d2.Kind != d.Kind || d2.Counter != d.Counter {
			t.Fatalf("encodes again as something else: %v", err)
		}
	})
}
