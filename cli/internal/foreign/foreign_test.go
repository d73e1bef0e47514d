package foreign

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control/otpauth"
)

// shown is a value as it goes to the daemon.
func shown(t *testing.T, v any) string {
	t.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// wantSound fails unless those who are not refused can be kept.
func wantSound(t *testing.T, found []Found) {
	t.Helper()
	for _, f := range found {
		if len(f.Places) == 0 {
			t.Error("found nowhere")
		}
		if len(f.Refused) > 0 {
			continue
		}
		if f.User == "" || len(f.Devices) == 0 || len(f.Recovery) > recoveryMax {
			t.Errorf("%d devices and %d recovery codes of %q", len(f.Devices), len(f.Recovery), f.User)
		}
		names := map[string]bool{}
		for _, d := range f.Devices {
			secret, err := hex.DecodeString(string(d.Secret))
			ok := err == nil && otpauth.Sized(secret) == nil && !names[d.Name] &&
				d.Name != "" && len(d.Name) <= nameMax && otpauth.Digits(d.Digits) && d.Counter >= 0 && len(d.Used) <= usedMax
			switch d.Kind {
			case "":
				ok = ok && otpauth.Period(d.Period) && d.Counter == 0
			case "hotp":
				ok = ok && d.Period == 0 && d.Used == nil && d.Drift == 0
			default:
				ok = false
			}
			for i, s := range d.Used {
				ok = ok && s >= 0 && !slices.Contains(d.Used[:i], s)
			}
			if !ok {
				t.Errorf("device %+v of %q", d, f.User)
			}
			names[d.Name] = true
		}
	}
}

const googleFile = `GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ
" RATE_LIMIT 3 30 1772366370
" WINDOW_SIZE 17
" DISALLOW_REUSE 59078878 59078879
" TOTP_AUTH
" TIME_SKEW 2
12345678
87654321
`

func TestGoogle(t *testing.T) {
	f := Google("alice", "a", googleFile, noon)
	if want := `{"user":"alice","devices":[{"name":"phone","secret":"` + rfc + `","digits":6,"algorithm":"SHA1","period":30,"drift":2,` +
		`"used":[59078878,59078879]}],"recovery":["12345678","87654321"]}`; shown(t, f.ImportUser) != want {
		t.Errorf("%s\nwant %s", shown(t, f.ImportUser), want)
	}
	if got := strings.Join(f.Notes, "|"); got != "RATE_LIMIT is replaced by totpd's own limit of wrong codes|WINDOW_SIZE is replaced by code.skew of totpd.toml" {
		t.Error(got)
	}
	if len(f.Refused) != 0 {
		t.Error(f.Refused)
	}
}

func TestGoogleFiles(t *testing.T) {
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\n"
	present := noon.Unix() / 30
	for _, c := range []struct {
		name, text, want string // what is refused or noted, or the device
	}{
		{"counter", secret + "\" HOTP_COUNTER 7\n\" TOTP_AUTH\n", `"digits":6,"algorithm":"SHA1","kind":"hotp","counter":7}`},
		{"counter of 0", secret + "\" HOTP_COUNTER 0\n\" TOTP_AUTH\n\" DISALLOW_REUSE\n", `"digits":6,"algorithm":"SHA1","period":30}`},
		{"lower case, grouped, look-alikes", "gezd gnbv-gy3t q0jq gezd gnbv gy3t qojq\r\n\" TOTP_AUTH\r\n\" DISALLOW_REUSE\r\n11111111\r\n", `"period":30}`},
		{"60 s", secret + "\" TOTP_AUTH\n\" STEP_SIZE 60\n\" DISALLOW_REUSE 5\n", `"period":60,"used":[5]}`},
		{"45 s", secret + "\" TOTP_AUTH\n\" STEP_SIZE 45\n", "STEP_SIZE is not 30 or 60"},
		{"no kind", secret + "12345678\n", "neither TOTP_AUTH nor HOTP_COUNTER"},
		{"no secret", "\" TOTP_AUTH\n", "its first line is no secret in base32"},
		{"empty", "", "it is empty"},
		{"blank", " \n\n", "it is empty"},
		{"26 characters, a bit left over", "GEZDGNBVGY3TQOJQGEZDGNBVGZ\n\" TOTP_AUTH\n\" DISALLOW_REUSE\n", `"secret":"31323334353637383930313233343536","digits":6`},
		{"27 characters, as that program takes them", "GEZDGNBVGY3TQOJQGEZDGNBVGZA\n\" TOTP_AUTH\n\" DISALLOW_REUSE\n", `"secret":"31323334353637383930313233343536","digits":6`},
		{"something behind", "GEZDGNBVGY3TQOJQGEZDGNBVGZ!\n\" TOTP_AUTH\n", "its first line is no secret in base32"},
		{"short secret", "GEZDGNBV\n\" TOTP_AUTH\n", "the secret has 40 bits"},
		{"broken counter", secret + "\" HOTP_COUNTER x\n", "HOTP_COUNTER is no number"},
		{"broken steps", secret + "\" TOTP_AUTH\n\" DISALLOW_REUSE 1 x\n", "DISALLOW_REUSE has something else than steps in it"},
		{"broken skew", secret + "\" TOTP_AUTH\n\" TIME_SKEW fast\n", "TIME_SKEW is not a number"},
		{"NUL", secret + "\" TOTP_AUTH\n\x00", "it holds a NUL"},
		{"no record", secret + "\" TOTP_AUTH\n", `"used":` + strings.ReplaceAll(fmt.Sprint(steps(present+1, 12)), " ", ",") + `}`},
		{"another option", secret + "\" TOTP_AUTH\n\" DISALLOW_REUSE\n\" LOGIN0 5\n\" LAST3 6\n", `"period":30}`},
		{"an option of another program", secret + "\" TOTP_AUTH\n\" DISALLOW_REUSE\n\" OTP_DIGITS 8\n", "the option OTP_DIGITS is not known and may change the codes"},
		{"a secret as an option", secret + "\" TOTP_AUTH\n\" GEZDGNBVGY3TQOJQ\n", "an option is not known and may change the codes"},
		{"something else", secret + "\" TOTP_AUTH\n\" DISALLOW_REUSE\n12345678\nJBSWY3DPEHPK3PXP\n87654321\n", "a line is neither an option nor a scratch code"},
	} {
		f := Google("alice", "a", c.text, noon)
		got := strings.Join(append(f.Refused, f.Notes...), "|")
		if len(f.Refused) == 0 {
			got += shown(t, f.Devices[0])
			wantSound(t, []Found{f})
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// The UsersFile of a host in Berlin. The codes are oathtool's, of the secret of RFC 4226.
func TestOATH(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	const secret = rfc
	step := int64(1772366370 / 30) // 2026-03-01T11:59:30Z
	tail := func(kind, counter string) string { return `"algorithm":"SHA1"` + kind + counter + "}" }
	for _, c := range []struct{ line, want string }{
		{"HOTP alice - " + secret, `"digits":6,` + tail(`,"kind":"hotp"`, "")},
		{"HOTP/E/8\talice\t+\t" + secret + "\t5", `"digits":8,` + tail(`,"kind":"hotp"`, `,"counter":5`)},
		// The code of 5 was accepted: 6 is the next one.
		{"HOTP/E alice - " + secret + " 5 254676 2026-03-01T12:59:30L", tail(`,"kind":"hotp"`, `,"counter":6`)},
		{"HOTP/T30 alice - " + secret, `"digits":6,` + tail(`,"period":30`, "")},
		{"HOTP/T60/8 alice - " + secret, `"digits":8,` + tail(`,"period":60`, "")},
		{"HOTP/T30 alice - " + secret + " 0 " + codeOf(t, step) + " 2026-03-01T12:59:30L", tail(`,"period":30`, used(steps(step, 11)))},
		// Another's clock was ahead by three steps.
		{"HOTP/T30 alice - " + secret + " 9 " + codeOf(t, step+3) + " 2026-03-01T12:59:30L", tail(`,"period":30`, used(steps(step+3, 11)))},
		{"HOTP/T30 alice - " + secret + " 0 000000 2026-03-01T12:59:30L", "the last code is none of this secret at that time"},
		{"HOTP/T30 alice - " + secret + " 0 000000", "the last code has no time"},
		{"HOTP/T30 alice - " + secret + " 0 000000 yesterday", "the time of the last code is not like"},
		{"HOTP/T30 alice 1234 " + secret, "a PIN stands before its codes, and totpd has none: --ignore-pin takes the user over without it"},
		{"HOTP/T30/7 alice - " + secret, "its codes have 7 digits, not 6 or 8"},
		{"HOTP/6 alice - " + secret, "not a line of a UsersFile"},
		{"OCRA alice - " + secret, "not a line of a UsersFile"},
		{"HOTP alice", "the line has no secret"},
		{"HOTP alice - " + secret + " 0 1 2 more", "not a line of a UsersFile"},
		{"alice,hunter2 - " + secret, "not a line of a UsersFile"},
		{"HOTP alice - 00", "the secret has 8 bits"},
		{"HOTP alice - " + secret[:39], "the secret is not hexadecimal"},
		{"HOTP alice - " + secret + " -1", "the moving factor is no number"},
	} {
		found := OATH("u", "# who logs in\n\n"+c.line+"\n", berlin, false)
		user := "alice"
		if strings.HasPrefix(c.want, "not a line") {
			user = "" // what stands there may be anything
		}
		if len(found) != 1 || found[0].User != user || found[0].Places[0] != "u:3" {
			t.Fatalf("%s: %+v", c.line, found)
		}
		f := found[0]
		got := strings.Join(append(f.Refused, f.Notes...), "|")
		if len(f.Refused) == 0 {
			got += shown(t, f.Devices[0])
			wantSound(t, found)
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.line, got, c.want)
		}
		if strings.Contains(strings.Join(append(f.Refused, f.Notes...), "|"), secret[:30]) {
			t.Errorf("%s: the secret is quoted", c.line)
		}
	}
	if f := OATH("u", "HOTP alice 1234 "+secret, berlin, true)[0]; len(f.Refused) != 0 || f.Notes[0] != "the PIN is not taken over" {
		t.Errorf("%+v", f)
	}
}

func used(steps []int64) string {
	return `,"used":` + strings.ReplaceAll(fmt.Sprint(steps), " ", ",")
}

// codeOf is the code of a step of the secret of RFC 4226.
func codeOf(t *testing.T, step int64) string {
	t.Helper()
	secret, _ := hex.DecodeString(rfc)
	for n := range 1_000_000 {
		if code := fmt.Sprintf("%06d", n); isCode(secret, step, 6, code) {
			return code
		}
	}
	t.Fatal("no code")
	return ""
}

// All devices of a user, or none.
func TestMerge(t *testing.T) {
	found := OATH("u", "HOTP/T30 alice - "+rfc+"\nHOTP bob - "+rfc+"\nHOTP alice - "+rfc+" 3\nHOTP/E/7 bob - "+rfc+"\n", time.UTC, false)
	if len(found) != 2 || len(found[0].Devices) != 2 || len(found[0].Refused) != 0 || fmt.Sprint(found[0].Places) != "[u:1 u:3]" {
		t.Fatalf("%+v", found)
	}
	if a := found[0].Devices; a[0].Name != "token" || a[1].Name != "token 2" {
		t.Errorf("%q and %q", a[0].Name, a[1].Name)
	}
	if b := found[1]; b.User != "bob" || len(b.Refused) != 1 {
		t.Errorf("%+v", b)
	}
}

func TestOTPAuth(t *testing.T) {
	const secret = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	const unsaid = "it doesn't say whose it is on this host: write the user before the link"
	here := Site{Host: "web1", Issuer: "Example Corp"}
	for _, c := range []struct{ line, user, want string }{
		{"alice otpauth://totp/web1:someone?secret=" + secret, "alice", `"digits":6,"algorithm":"SHA1","period":30}`},
		{"alice\tOTPAUTH://TOTP/?SECRET=" + secret, "alice", `"period":30}`},
		{"otpauth://totp/web1:alice@web1?secret=" + secret + "&digits=8&period=60&algorithm=HmacSHA256", "alice", `"digits":8,"algorithm":"SHA256","period":60}`},
		{"otpauth://totp/alice%40example.net%40web1?issuer=x&secret=gezd-gnbv%20gy3tqojqgezdgnbvgy3tqojq", "alice@example.net", `"period":30}`},
		{"otpauth://hotp/bob@WEB1?secret=" + secret + "&counter=7", "bob", `"kind":"hotp","counter":7}`},
		{"otpauth://totp/example%20corp:carol?secret=" + secret, "carol", `"period":30}`},
		{"otpauth://totp/carol?issuer=web1&secret=" + secret, "carol", `"period":30}`},
		{"otpauth://totp/web1:root?secret=" + secret, "root", `"period":30}`},
		// Users of other sites.
		{"otpauth://totp/Amazon:root@example.com?secret=" + secret, "", unsaid},
		{"otpauth://totp/Amazon:root?secret=" + secret + "&issuer=web1", "", unsaid}, // the two disagree
		{"otpauth://totp/root?secret=" + secret + "&issuer=GitHub", "", unsaid},
		{"otpauth://totp/root?secret=" + secret, "", unsaid},
		{"otpauth://totp/web1:root@example.com?secret=" + secret, "", unsaid},
		{"otpauth://totp/root@web1.example.com?secret=" + secret, "", unsaid},
		{"otpauth://totp/root@localhost?secret=" + secret, "", unsaid},
		{"otpauth://totp/?secret=" + secret, "", unsaid},
		{"otpauth://hotp/bob@web1?secret=" + secret, "", "needs its counter"},
		{"alice otpauth://totp/x?secret=" + secret + "&period=45", "alice", "period must be 30 or 60"},
		{"alice otpauth://totp/x?secret=" + secret + "&secret=A", "alice", "secret is given twice"},
		{"alice otpauth://totp/x?secret=" + secret + "1", "alice", "the secret is not base32"},
		{"alice otpauth://motp/x?secret=" + secret, "alice", "the type of an otpauth link is totp or hotp"},
		{"alice otpauth://totp/x?secret=" + secret + "&algorithm=MD5", "alice", "algorithm must be SHA1, SHA256 or SHA512"},
	} {
		found := OTPAuth("l", "# ours\n"+c.line+"\r\n", here)
		if len(found) != 1 || found[0].User != c.user {
			t.Errorf("%s: %+v", c.line, found)
			continue
		}
		got := strings.Join(found[0].Refused, "|")
		if strings.Contains(got, secret[:8]) {
			t.Errorf("%s: the secret is quoted", c.line)
		}
		if got == "" {
			got = shown(t, found[0].Devices[0])
		}
		if !strings.Contains(got, c.want) {
			t.Errorf("%s: %s, want %s", c.line, got, c.want)
		}
	}
	if f := OTPAuth("l", "otpauth://totp/x@localhost?secret="+secret, Site{Host: "localhost"})[0]; f.User != "" {
		t.Error("every host is localhost")
	}
}

// What password managers export, and worse: nothing of a line that isn't understood comes back, but its place.
func TestLinesThatAreNotUnderstood(t *testing.T) {
	const link = "otpauth://totp/web1:alice@web1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
	for _, line := range []string{
		"folder,favorite,type,name,login_username,hunter2,login_totp",
		",,login,GitHub,alice,hunter2," + link,
		`"alice","hunter2","` + link + `"`,
		"alice;hunter2;" + link,
		"hunter2," + link,
		"alice hunter2 " + link,
		"alice\thunter2\t" + link,
		"hunter2" + link,
		"pass:hunter2 " + link,
		"pass=hunter2 " + link,
		"hunter2 https://example.net/",
		"hunter2",
		"otpauth hunter2",
		"otpauth:hunter2",
		"\x00hunter2\x01",
		link + ",hunter2",
		link + "&hunter2",
		link + "&note=x,y&hunter2=z",
		link + "&hunter2hunter2hunter2=z",
		link + "&digits=hunter2",
		link + "&algorithm=hunter2",
		link + "%hunter2",
		"otpauth://hunter2/",
		"otpauth-migration://offline?data=hunter2",
		"HOTP hunter2 - 3132",
	} {
		found := OTPAuth("l", line+"\n", Site{Host: "web1"})
		if len(found) != 1 || len(found[0].Refused) == 0 || found[0].Places[0] != "l:1" {
			t.Errorf("%q: %+v", line, found)
			continue
		}
		found[0].Devices = nil
		if got := fmt.Sprintf("%+v", found[0]); strings.Contains(got, "hunter2") && !strings.Contains(got, "parameter hunter2 is") {
			t.Errorf("%q: %s", line, got)
		}
		if f := OATH("u", line, time.UTC, false); len(f) == 1 && !strings.HasPrefix(line, "HOTP") && strings.Contains(fmt.Sprintf("%+v", f[0]), "hunter2") {
			t.Errorf("%q in a UsersFile: %+v", line, f[0])
		}
		if f := Google("x", "g", line, noon); strings.Contains(fmt.Sprintf("%+v", f), "hunter2") {
			t.Errorf("%q in a state file: %+v", line, f)
		}
		if f, err := PSKC("p", strings.NewReader(line), Unlock{}, nil, noon); strings.Contains(fmt.Sprintf("%+v %v", f, err), "hunter2") {
			t.Errorf("%q in a container: %+v, %v", line, f, err)
		}
	}
}

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "": "", "\xef\xbb\xbfmarked": "marked",
		"\xff\xfea\x00\xe9\x00": "aé", "\xfe\xff\x00a\x00\xe9": "aé", "<\x00a\x00": "<a", "\x00<\x00a": "<a",
		"\xff\xfea\x00b": "a", // cut off
	} {
		if got := Text([]byte(in)); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func FuzzGoogle(f *testing.F) {
	f.Add(googleFile)
	f.Add("gezd gnbv\n\" HOTP_COUNTER 1\n")
	f.Fuzz(func(t *testing.T, text string) { wantSound(t, []Found{Google("alice", "a", text, noon)}) })
}

func FuzzOATH(f *testing.F) {
	f.Add("HOTP/T30 alice - " + rfc + " 0 000000 2026-03-01T12:59:30L\nHOTP/E/8 bob + " + rfc + " 5\n")
	f.Fuzz(func(t *testing.T, text string) { wantSound(t, OATH("u", text, time.UTC, true)) })
}

// What parses, written again, parses to the same.
func FuzzOTPAuth(f *testing.F) {
	f.Add("otpauth://totp/web1:alice@web1?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&digits=8&period=60&algorithm=SHA256")
	f.Add("otpauth://hotp/bob?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&counter=7")
	f.Fuzz(func(t *testing.T, text string) {
		wantSound(t, OTPAuth("l", text, Site{"web1", "Example"}))
	})
}
