package foreign

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rfc is the secret of RFC 6030's examples and RFC 4226's: 12345678901234567890.
const rfc = "3132333435363738393031323334353637383930"

func agreedKey(t testing.TB) Unlock {
	key, err := hex.DecodeString("12345678901234567890123456789012")
	if err != nil {
		t.Fatal(err)
	}
	return WithKey(key)
}

func readPSKC(t *testing.T, text string, u Unlock) ([]Found, error) {
	t.Helper()
	return PSKC("c.xml", strings.NewReader(text), u, map[string]string{"987654321": "alice", "12345678": "bob"}, noon)
}

// The figures of RFC 6030 §4.2, §5, §6.1 and §6.2.
func TestFigures(t *testing.T) {
	const good = `{"name":"987654321","secret":"` + rfc + `","digits":8,"algorithm":"SHA1","kind":"hotp"}`
	for _, c := range []struct {
		figure  string
		unlock  Unlock
		device  string // of alice
		refused string
	}{
		{"figure2", Unlock{}, "", "c.xml:5: bob: the secret has 32 bits, at least 80 are needed"},
		{"figure5", Unlock{}, good, ""},
		{"figure6", agreedKey(t), good, ""},
		{"figure6", Unlock{}, "", "c.xml:20: alice: secret: it is encrypted: --key-file or --password-file opens it"},
		{"figure6", WithPassword([]byte("qwerty")), "", "c.xml:20: alice: secret: it is encrypted with a key, not with a password: --key-file opens it"},
		{"figure6", WithKey([]byte("0123456789abcdef")), "", "key of the MACs: another key or password opens it"},
		{"figure6", WithKey(make([]byte, 32)), "", "key of the MACs: it is encrypted with a key of 128 bits, not of 256"},
		{"figure7", WithPassword([]byte("qwerty")), good, ""},
		{"figure7", agreedKey(t), "", "c.xml:40: alice: secret: it is encrypted with a password: --password-file opens it"},
	} {
		t.Run(c.figure, func(t *testing.T) {
			text, err := os.ReadFile("testdata/" + c.figure + ".xml")
			if err != nil {
				t.Fatal(err)
			}
			found, err := readPSKC(t, string(text), c.unlock)
			if err != nil {
				if err.Error() != c.refused {
					t.Errorf("%v, want %q", err, c.refused)
				}
				return
			}
			if len(found) != 1 {
				t.Fatalf("%d users", len(found))
			}
			f := found[0]
			if got := refusal(f); got != c.refused {
				t.Errorf("refused: %q, want %q", got, c.refused)
			}
			if c.device != "" && (len(f.Devices) != 1 || shown(t, f.Devices[0]) != c.device) {
				t.Errorf("devices %s, want %s", shown(t, f.Devices), c.device)
			}
		})
	}
}

func refusal(f Found) string {
	if len(f.Refused) == 0 {
		return ""
	}
	return f.Places[0] + ": " + f.User + ": " + strings.Join(f.Refused, "; ")
}

// totpKey is a package of alice's with a time-based key; more stands in its Data, policy in its Policy. What policy
// has behind that may be its AlgorithmParameters.
func totpKey(more, policy string) string {
	parameters := `<AlgorithmParameters><Suite>HMAC-SHA256</Suite><ResponseFormat Length="6" Encoding="DECIMAL"/></AlgorithmParameters>`
	if strings.Contains(policy, "<AlgorithmParameters>") {
		parameters = ""
	}
	return `<KeyContainer Version="1.0" xmlns="urn:ietf:params:xml:ns:keyprov:pskc"><KeyPackage>
<DeviceInfo><SerialNo>T1</SerialNo></DeviceInfo>
<Key Id="1" Algorithm="urn:ietf:params:xml:ns:keyprov:pskc:totp">
` + parameters + `
<Data><Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>` + more + `</Data>
<UserId>UID=alice,DC=example,DC=net</UserId><Policy>` + policy + `</Policy></Key></KeyPackage></KeyContainer>`
}

func TestTimeBasedKeys(t *testing.T) {
	for _, c := range []struct{ more, policy, want string }{
		{"", "", `{"name":"T1","secret":"` + rfc + `","digits":6,"algorithm":"SHA256","period":30}`},
		{"<Time><PlainValue>7</PlainValue></Time><TimeInterval><PlainValue> 60 </PlainValue></TimeInterval><TimeDrift><PlainValue>-4</PlainValue></TimeDrift>",
			"<KeyUsage>OTP</KeyUsage><StartDate>2026-01-01T00:00:00Z</StartDate><ExpiryDate>2027-01-01T00:00:00+02:00</ExpiryDate>",
			`{"name":"T1","secret":"` + rfc + `","digits":6,"algorithm":"SHA256","period":60,"drift":-4}`},
		{"<TimeInterval><PlainValue>45</PlainValue></TimeInterval>", "", "its period can't be read, or is not 30 or 60 s"},
		{"<TimeDrift><PlainValue>1e9</PlainValue></TimeDrift>", "", "its drift can't be read, or is out of bounds"},
		{"<Counter><PlainValue>-1</PlainValue></Counter>", "", "its counter can't be read, or is no number that a counter can have"},
		{"", "<ExpiryDate>2026-03-01T12:00:00Z</ExpiryDate>", "it has expired"},
		{"", "<StartDate>2026-03-01T12:00:01</StartDate>", "it is not valid yet"},
		{"", "<StartDate>soon</StartDate>", "a date of its validity can't be read"},
		{"", "<KeyUsage>CR</KeyUsage>", "its policy is for another use than one-time passwords"},
		{"", `<PINPolicy PINUsageMode="Prepend"/>`, "its policy wants a PIN with the code, and totpd has none"},
		{"", `<PINPolicy PINUsageMode="Append"/><PINPolicy PINUsageMode="Local"/>`, "its policy wants a PIN with the code, and totpd has none"},
		{"", `<PINPolicy MinLength="4"/>`, "its policy has a PIN and doesn't say how it is used (PINUsageMode)"},
		{"", `<PINPolicy PINUsageMode="Local" Vendor="x"/>`, "its policy has a PIN with Vendor, which is not known: then RFC 6030 (section 5) permits no use"},
		{"", "<NumberOfTransactions>5</NumberOfTransactions>", "its policy limits how often it may be used (NumberOfTransactions), and totpd can't keep to that"},
		{"", `<KeyUsage>OTP</KeyUsage><v:Place xmlns:v="urn:v">x</v:Place>`, "its policy has Place, which is not known: then RFC 6030 (section 5) permits no use"},
		{"", `<hunter2/>`, "its policy has something, which is not known: then RFC 6030 (section 5) permits no use"},
		{"", `</Policy><Policy><ExpiryDate>2026-03-01T12:00:00Z</ExpiryDate>`, "it has expired"},
		{"", `</Policy><AlgorithmParameters><ResponseFormat Length="6" Encoding="DECIMAL" CheckDigits="TRUE"/></AlgorithmParameters><Policy>`, "its codes are not 6 or 8 digits without a check digit"},
		{"", `</Policy><AlgorithmParameters><ResponseFormat Length="6" Encoding="DECIMAL" CheckDigits="false" Base="7"/></AlgorithmParameters><Policy>`, "its ResponseFormat has Base, which is not known and may change the codes"},
		{"<Offset><PlainValue>7</PlainValue></Offset>", "", "its Data has Offset, which is not known and may change the codes or limit their use"},
		{"", `</Policy><AlgorithmParameters><Truncation/></AlgorithmParameters><Policy>`, "its AlgorithmParameters has Truncation, which is not known and may change the codes or limit their use"},
		{"", `</Policy><uses>3</uses><Policy>`, "its Key has uses, which is not known and may change the codes or limit their use"},
		{"", `</Policy><v:Policy xmlns:v="urn:v"><v:KeyUsage>OTP</v:KeyUsage></v:Policy><Policy>`, "its policy is not one of RFC 6030, which (section 5) then permits no use"},
		{"", "three times", "its policy is not one of RFC 6030, which (section 5) then permits no use"},
		{"", `</Policy></Key><Uses/><Key Algorithm="pin"><UserId>alice</UserId><Policy>`, "its KeyPackage has Uses, which is not known and may limit its use"},
		{"", `</Policy></Key><Policy><NumberOfTransactions>5</NumberOfTransactions></Policy><Key Algorithm="pin"><UserId>alice</UserId><Policy>`, "its policy limits how often it may be used (NumberOfTransactions), and totpd can't keep to that"},
		{"", `</Policy><KeyProfileId>p</KeyProfileId><Policy>`, "it refers to a key profile (KeyProfileId), which is not in the container and may change the codes"},
	} {
		found, err := readPSKC(t, totpKey(c.more, c.policy), Unlock{})
		if err != nil || len(found) != 1 || found[0].User != "alice" {
			t.Fatalf("%s %s: %+v, %v", c.more, c.policy, found, err)
		}
		got := strings.Join(found[0].Refused, "; ")
		if got == "" {
			got = shown(t, found[0].Devices[0])
		}
		if got != c.want {
			t.Errorf("%s %s:\n got %s\nwant %s", c.more, c.policy, got, c.want)
		}
	}
}

func TestContainersThatAreNone(t *testing.T) {
	figure6, err := os.ReadFile("testdata/figure6.xml")
	if err != nil {
		t.Fatal(err)
	}
	altered := func(old, new string) string {
		text := strings.Replace(string(figure6), old, new, 1)
		if text == string(figure6) {
			t.Fatalf("no %s", old)
		}
		return text
	}
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", "no PSKC container: it has no KeyContainer"},
		{"another", "<a/>", "no PSKC container: its first element is not KeyContainer of urn:ietf:params:xml:ns:keyprov:pskc"},
		{"cut off", string(figure6[:len(figure6)-30]), "line 53: not well-formed, or not what RFC 6030 has there"},
		{"an entity", `<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/shadow">]><KeyContainer xmlns="` + pskcSpace + `"><KeyPackage><Key Id="&x;"/></KeyPackage></KeyContainer>`, "line 1: not well-formed, or not what RFC 6030 has there"},
		{"another MAC", altered("#hmac-sha1", "#hmac-md5"), "the algorithm of its MACs is not supported"},
		{"altered", altered("AAECAwQF", "AAECAwQG"), "secret: its MAC is wrong: another key or password, or it was altered"},
		{"an old encoding", `<?xml version="1.0" encoding="EBCDIC-CP-DK"?>` + totpKey("", ""), "its encoding is not supported: convert it to UTF-8, with iconv for instance"},
		{"a policy for all", strings.Replace(totpKey("", ""), "<KeyPackage>", "<Policy><Uses>1</Uses></Policy><KeyPackage>", 1), "line 1: what stands there is not known, and may limit how its keys may be used"},
		{"a later version", strings.Replace(totpKey("", ""), "1.0", "2.0", 1), "its version is not 1.0, the only one that is known"},
		{"two secrets", totpKey("<Secret><PlainValue>MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=</PlainValue></Secret>", ""), "line 5: not well-formed, or not what RFC 6030 has there"},
		{"two Data", totpKey("</Data><Data>", ""), "line 5: not well-formed, or not what RFC 6030 has there"},
		{"no key in a package", `<KeyContainer xmlns="` + pskcSpace + `"><KeyPackage><DeviceInfo><SerialNo>1</SerialNo></DeviceInfo></KeyPackage></KeyContainer>`, "no key was found in it"},
		{"no MAC", altered("<ValueMAC>Su+NvtQfmvfJzF6bmQiJqoLRExc=", "<ValueMAC>"), "secret: it is encrypted without a MAC: whether it is right can't be told"},
	} {
		found, err := readPSKC(t, c.text, agreedKey(t))
		got := fmt.Sprint(err)
		if err == nil {
			got = strings.Join(found[0].Refused, "; ")
		}
		if got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// A container in UTF-16, as other systems write it, with a byte order mark or without.
func TestUTF16Containers(t *testing.T) {
	text := `<?xml version="1.0" encoding="UTF-16"?>` + totpKey("", "")
	for name, begin := range map[string]string{"with a mark": byteOrderMark, "without": ""} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			var file []byte
			for _, unit := range utf16.Encode([]rune(begin + text)) {
				file = order.AppendUint16(file, unit)
			}
			found, err := readPSKC(t, Text(file), Unlock{})
			if err != nil || len(found) != 1 || len(found[0].Refused) > 0 || found[0].User != "alice" {
				t.Errorf("%v %s: %+v, %v", order, name, found, err)
			}
		}
	}
}

func TestLatin1Containers(t *testing.T) {
	text := `<?xml version="1.0" encoding="ISO-8859-1"?>` + strings.Replace(totpKey("", ""), "UID=alice", "UID=andr\xe9", 1)
	found, err := readPSKC(t, text, Unlock{})
	if err != nil || len(found) != 1 || len(found[0].Refused) > 0 || found[0].User != "andré" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestUnlockPrintsAsRedacted(t *testing.T) {
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, v := range []any{WithPassword([]byte("qwerty")), newOpener(WithPassword([]byte("qwerty"))), struct{ u Unlock }{WithPassword([]byte("qwerty"))}} {
			if got := fmt.Sprintf(verb, v); strings.Contains(got, "qwerty") || strings.Contains(got, "717765727479") || strings.Contains(got, "113 119") {
				t.Errorf("%s of a %T prints it: %s", verb, v, got)
			}
		}
	}
}

// Whatever comes, nothing panics, and what is taken has been understood.
func FuzzPSKC(f *testing.F) {
	for _, name := range []string{"2", "5", "6", "7"} {
		text, err := os.ReadFile("testdata/figure" + name + ".xml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add(totpKey("<TimeDrift><PlainValue>-4</PlainValue></TimeDrift>", "<KeyUsage>OTP</KeyUsage>"))
	f.Fuzz(func(t *testing.T, text string) {
		found, err := PSKC("c.xml", strings.NewReader(text), agreedKey(t), nil, noon)
		if err != nil && found != nil {
			t.Error("an error with a result")
		}
		wantSound(t, found)
	})
}
