package foreign

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
)

// GoogleMax is the longest state file that google-authenticator-libpam reads, in bytes.
const GoogleMax = 64 << 10

// Google reads a state file of google-authenticator-libpam (its FILEFORMAT), of this user, that was last
// written at the time written.
//
// The steps of DISALLOW_REUSE, and TIME_SKEW, mean the same as ours. Without DISALLOW_REUSE there is no
// record of which codes were used, but each login with RATE_LIMIT writes the file: then the codes that were
// good when it was last written count as used.
func Google(user, place, text string, written time.Time) Found {
	f := Found{ImportUser: control.ImportUser{User: user}, Places: []string{place}}
	first, rest, _ := strings.Cut(text, "\n")
	secret, err := googleSecret(first)
	switch {
	case strings.IndexByte(text, 0) >= 0:
		f.refuse("it is no file of google-authenticator: it holds a NUL")
		return f
	case strings.TrimSpace(text) == "":
		f.refuse("it is empty")
		return f
	case err != nil:
		f.refuse("its first line is no secret in base32")
		return f
	}
	if err := otpauth.Sized(secret); err != nil {
		f.refuse("%v", err)
		return f
	}
	d := newDevice(phone, secret)
	options, codes := googleLines(&f, rest)
	f.Recovery = codes
	googleOptions(&f, &d, options, written)
	f.Devices = []control.ImportDevice{d}
	return f
}

// looksLike are digits that base32 lacks, and the letters that they look like.
var looksLike = strings.NewReplacer("0", "O", "1", "L", "8", "B")

// googleSecret decodes base32 as that program does: also with digits for the letters that they look like, and
// with a last character that adds nothing.
func googleSecret(line string) ([]byte, error) {
	text := looksLike.Replace(otpauth.Joined(line))
	secret, err := otpauth.Base32(text)
	if err != nil && len(text) > 1 {
		if _, bad := otpauth.Base32(strings.Repeat(text[len(text)-1:], 8)); bad == nil {
			secret, err = otpauth.Base32(text[:len(text)-1])
		}
	}
	return secret, err
}

// googleLines returns the options by name, the first of each name, and the codes that are good once.
func googleLines(f *Found, text string) (map[string]string, []control.Secret) {
	options := map[string]string{}
	var codes []control.Secret
	reading := true
	for line := range strings.SplitSeq(text, "\n") {
		line = strings.TrimRight(line, "\r")
		if option, ok := strings.CutPrefix(line, `" `); ok {
			name, value, _ := strings.Cut(strings.ReplaceAll(option, "\t", " "), " ")
			if _, twice := options[name]; !twice {
				options[name] = strings.TrimSpace(value)
			}
			continue
		}
		switch {
		case line == "" || line[0] == '"':
		case reading && isShortCode(line):
			if c := control.Secret(line); !slices.Contains(codes, c) {
				codes = append(codes, c)
			}
		case reading: // that program reads no further codes either
			reading = false
			f.note("a line is neither an option nor a scratch code: it and the scratch codes behind it are left out, as they were before")
		}
	}
	if extra := len(codes) - recoveryMax; extra > 0 {
		codes = codes[:recoveryMax]
		f.note("%d scratch codes are left out: at most %d are kept", extra, recoveryMax)
	}
	return options, codes
}

// isShortCode says whether a line is a scratch code: 8 digits, the first of which is not 0.
func isShortCode(line string) bool {
	if len(line) != 8 || line[0] == '0' {
		return false
	}
	for _, c := range []byte(line) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// loginRecord are options in which that program keeps from where somebody logged in.
var loginRecord = regexp.MustCompile(`^(LAST|LOGIN)[0-9]+$`)

// replaced are the options that totpd has something else for.
var replaced = map[string]string{
	"RATE_LIMIT":          "RATE_LIMIT is replaced by totpd's own limit of wrong codes",
	"WINDOW_SIZE":         "WINDOW_SIZE is replaced by code.skew of totpd.toml",
	"RESETTING_TIME_SKEW": "",
	"DISALLOW_REUSE":      "",
	"TOTP_AUTH":           "",
	"TIME_SKEW":           "",
	"STEP_SIZE":           "",
	"HOTP_COUNTER":        "",
}

// googleOptions sets the device up as the options say.
func googleOptions(f *Found, d *control.ImportDevice, options map[string]string, written time.Time) {
	names := make([]string, 0, len(options))
	for name := range options {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		switch text, known := replaced[name]; {
		case text != "":
			f.note("%s", text)
		case known || loginRecord.MatchString(name):
		case plainOption(name):
			f.refuse("the option %s is not known and may change the codes: take it out of the file if it doesn't", name)
		default:
			f.refuse("an option is not known and may change the codes: take it out of the file if it doesn't")
		}
	}
	if counter, ok := options["HOTP_COUNTER"]; ok {
		n, err := strconv.ParseInt(firstWord(counter), 10, 64)
		if err != nil || n < 0 || n > otpauth.CounterMax {
			f.refuse("HOTP_COUNTER is no number that a counter can have")
			return
		}
		if n > 0 { // 0 is as good as none to that program
			eventBased(d, n)
			return
		}
	}
	if _, ok := options["TOTP_AUTH"]; !ok {
		f.refuse("it has neither TOTP_AUTH nor HOTP_COUNTER: nobody gets in with it there either")
		return
	}
	googleTime(f, d, options, written)
}

// googleTime sets a time-based device up.
func googleTime(f *Found, d *control.ImportDevice, options map[string]string, written time.Time) {
	if step, ok := options["STEP_SIZE"]; ok {
		n, err := strconv.Atoi(firstWord(step))
		if err != nil || !otpauth.Period(n) {
			f.refuse("STEP_SIZE is not %s: no code of that device can be judged here", otpauth.PeriodText)
			return
		}
		d.Period = n
	}
	if skew, ok := options["TIME_SKEW"]; ok {
		n, err := strconv.Atoi(firstWord(skew))
		if err != nil {
			f.refuse("TIME_SKEW is not a number")
			return
		}
		d.Drift = n
	}
	used, recorded := options["DISALLOW_REUSE"]
	if !recorded {
		if _, limited := options["RATE_LIMIT"]; !limited {
			f.note("it has no DISALLOW_REUSE, hence no record of the codes that were used")
		}
		d.Used = stepsUpTo(written, d.Period, d.Drift)
		return
	}
	for word := range strings.FieldsSeq(used) {
		n, err := strconv.ParseInt(word, 10, 64)
		if err != nil || n < 0 {
			f.refuse("DISALLOW_REUSE has something else than steps in it")
			return
		}
		if !slices.Contains(d.Used, n) {
			d.Used = append(d.Used, n)
		}
	}
	slices.Sort(d.Used)
	d.Used = d.Used[max(0, len(d.Used)-usedMax):]
}

// plainOption says whether what stands in the place of an option's name is one, and no secret that slipped
// in: capital letters with a _ among them.
func plainOption(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'A' || c > 'Z') && c != '_' {
			return false
		}
	}
	return strings.Contains(name, "_") && len(name) <= 32
}

func firstWord(s string) string {
	word, _, _ := strings.Cut(s, " ")
	return word
}
