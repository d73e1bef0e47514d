package foreign

import (
	"encoding/base64"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/control/otpauth"
)

// PSKCMax is the longest container that is read, in bytes.
const PSKCMax = 32 << 20

// pskcSpace is the namespace of RFC 6030 §3.
const pskcSpace = "urn:ietf:params:xml:ns:keyprov:pskc"

// keyPackage is an element KeyPackage (RFC 6030 §4.1 to §4.4), as far as totpd can make use of it.
type keyPackage struct {
	Device struct {
		Serial   string       `xml:"SerialNo"`
		User     string       `xml:"UserId"`
		Start    string       `xml:"StartDate"`
		Expiry   string       `xml:"ExpiryDate"`
		Policies []pskcPolicy `xml:"Policy"` // which RFC 6030 has in a Key alone
	} `xml:"DeviceInfo"`
	Module     *struct{}    `xml:"CryptoModuleInfo"`
	Keys       []pskcKey    `xml:"Key"`
	Policies   []pskcPolicy `xml:"Policy"` // likewise
	Extensions []struct{}   `xml:"Extensions"`
	foreigners
}

type pskcKey struct {
	ID         string `xml:"Id,attr"`
	Algorithm  string `xml:"Algorithm,attr"`
	Name       string `xml:"FriendlyName"`
	User       string `xml:"UserId"`
	Reference  string `xml:"KeyReference"`
	Parameters once[struct {
		Suite    string `xml:"Suite"`
		Response *struct {
			Encoding    string `xml:"Encoding,attr"`
			Length      int    `xml:"Length,attr"`
			CheckDigits string `xml:"CheckDigits,attr"`
			foreigners
		} `xml:"ResponseFormat"`
		foreigners
	}] `xml:"AlgorithmParameters"`
	Profile string `xml:"KeyProfileId"`
	Data    once[struct {
		Secret   *once[pskcValue] `xml:"Secret"`
		Counter  *once[pskcValue] `xml:"Counter"`
		Time     *once[pskcValue] `xml:"Time"` // that of the device: TimeDrift says how far it is off
		Interval *once[pskcValue] `xml:"TimeInterval"`
		Drift    *once[pskcValue] `xml:"TimeDrift"`
		foreigners
	}] `xml:"Data"`
	Policies   []pskcPolicy `xml:"Policy"`
	Issuer     string       `xml:"Issuer"`
	Extensions []struct{}   `xml:"Extensions"`
	foreigners
}

// once is an element that may stand there once: of two, nobody could say which one counts.
type once[T any] struct {
	is    T
	given bool
}

// UnmarshalXML implements xml.Unmarshaler.
func (o *once[T]) UnmarshalXML(d *xml.Decoder, at xml.StartElement) error {
	if o.given {
		return errors.New("an element stands there twice")
	}
	o.given = true
	return d.DecodeElement(&o.is, &at)
}

// pskcValue is a value in the clear, or an encrypted one with its MAC (RFC 6030 §4.2 and §6).
type pskcValue struct {
	Plain     *string         `xml:"PlainValue"`
	Encrypted *encryptedValue `xml:"EncryptedValue"`
	MAC       string          `xml:"ValueMAC"`
}

// PSKC reads a container of RFC 6030 with the keys of HOTP and TOTP devices, at the time now. A container
// that is encrypted needs the key that was agreed on, or the password. users says whose a device is by its
// serial number; one that isn't in it is its UserId's. Its error is about the container as a whole.
func PSKC(place string, container io.Reader, unlock Unlock, users map[string]string, now time.Time) ([]Found, error) {
	d := xml.NewDecoder(container)
	d.CharsetReader = charset
	var open *opener
	var all []Found
	inside := false
	for {
		t, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if errors.Is(err, errCharset) {
			return nil, errCharset
		}
		if err != nil {
			return nil, badXML(d)
		}
		element, ok := t.(xml.StartElement)
		if !ok {
			continue
		}
		line, _ := d.InputPos()
		at := fmt.Sprintf("%s:%d", place, line)
		switch name := element.Name.Local; {
		case !inside && name == "KeyContainer" && element.Name.Space == pskcSpace:
			if version := attribute(element, "Version"); version != "" && version != "1" && !strings.HasPrefix(version, "1.") {
				return nil, errors.New("its version is not 1.0, the only one that is known")
			}
			inside, open = true, newOpener(unlock)
		case !inside:
			return nil, errors.New("no PSKC container: its first element is not KeyContainer of " + pskcSpace)
		case name == "EncryptionKey":
			err = open.readKey(d, &element)
		case name == "MACMethod":
			err = open.readMAC(d, &element)
		case name == "KeyPackage":
			var p keyPackage
			if d.DecodeElement(&p, &element) != nil { // its error may quote a secret
				return nil, badXML(d)
			}
			all = append(all, p.found(at, open, users, now)...)
		case name == "Signature" || name == "Extensions":
			err = d.Skip()
		default:
			return nil, fmt.Errorf("line %d: what stands there is not known, and may limit how its keys may be used", line)
		}
		var syntax *xml.SyntaxError
		switch {
		case errors.As(err, &syntax):
			return nil, badXML(d)
		case err != nil:
			return nil, err
		}
	}
	if !inside {
		return nil, errors.New("no PSKC container: it has no KeyContainer")
	}
	return Merge(all), nil
}

func attribute(element xml.StartElement, name string) string {
	for _, a := range element.Attr {
		if a.Name.Local == name && a.Name.Space == "" {
			return strings.TrimSpace(a.Value)
		}
	}
	return ""
}

var errCharset = errors.New("its encoding is not supported: convert it to UTF-8, with iconv for instance")

// charset reads what doesn't call itself UTF-8. UTF-16 has been decoded (Text).
func charset(label string, input io.Reader) (io.Reader, error) {
	switch strings.ToLower(label) {
	case "utf8", "utf-16", "utf-16le", "utf-16be", "us-ascii":
		return input, nil
	case "iso-8859-1", "latin1":
		text, err := io.ReadAll(input)
		runes := make([]rune, len(text))
		for i, b := range text {
			runes[i] = rune(b)
		}
		return strings.NewReader(string(runes)), err
	}
	return nil, errCharset
}

// badXML says where the container can't be read, and quotes nothing of it.
func badXML(d *xml.Decoder) error {
	line, _ := d.InputPos()
	return fmt.Errorf("line %d: not well-formed, or not what RFC 6030 has there", line)
}

// found returns what the keys of a package are.
func (p keyPackage) found(at string, open *opener, users map[string]string, now time.Time) []Found {
	if len(p.Keys) == 0 {
		f := Found{Places: []string{at}}
		f.refuse("no key was found in it")
		return []Found{f}
	}
	var all []Found
	for _, k := range p.Keys {
		f := Found{Places: []string{at}}
		assigned := firstOf(users[p.Device.Serial], users[k.ID])
		f.User = firstOf(assigned, userOf(k.User), userOf(p.Device.User))
		k.Policies = slices.Concat(k.Policies, p.Policies, p.Device.Policies, []pskcPolicy{{Start: p.Device.Start, Expiry: p.Device.Expiry}})
		if k.kind() == "pin" { // which the device itself asks for
			f.note("the PIN of a device is not taken over")
			all = append(all, f)
			continue
		}
		name := firstOf(strings.TrimSpace(k.Name), strings.TrimSpace(p.Device.Serial), k.ID)
		d, err := k.device(deviceName(name, token), open, now)
		if what := p.unknown(); what != "" && err == nil {
			err = fmt.Errorf("its KeyPackage has %s, which is not known and may limit its use", what)
		}
		switch {
		case err != nil:
			f.refuse("%v", err)
		case f.User == "":
			f.refuse("it doesn't say whose it is: give --assign a file with a line for its serial number")
		case f.User == "root" && assigned == "": // of which host?
			f.refuse("its UserId is root, which every host has: give --assign a file with a line for its serial number")
		}
		if err == nil {
			f.Devices = []control.ImportDevice{d}
		}
		all = append(all, f)
	}
	return all
}

// kind is what the key is for: the end of its algorithm's URI.
func (k pskcKey) kind() string {
	return strings.ToLower(k.Algorithm[strings.LastIndexAny(k.Algorithm, ":#")+1:])
}

// device makes the device of a key, or says why it can't be one.
func (k pskcKey) device(name string, open *opener, now time.Time) (d control.ImportDevice, err error) {
	kind := k.kind()
	if kind != "hotp" && kind != "totp" {
		return d, errors.New("its algorithm is neither hotp nor totp")
	}
	for _, p := range k.Policies {
		if err := p.permits(now); err != nil {
			return d, err
		}
	}
	if err := k.understood(); err != nil {
		return d, err
	}
	if k.Data.is.Secret == nil {
		if k.Reference != "" {
			return d, errors.New("it only refers to a key that is kept elsewhere")
		}
		return d, errors.New("it has no secret")
	}
	secret, err := open.value(&k.Data.is.Secret.is, true)
	if err != nil {
		return d, fmt.Errorf("secret: %w", err)
	}
	if err := otpauth.Sized(secret); err != nil {
		return d, err
	}
	made := newDevice(name, secret)
	if r := k.Parameters.is.Response; r != nil {
		if r.Encoding != "" && r.Encoding != "DECIMAL" || r.CheckDigits != "" && r.CheckDigits != "false" && r.CheckDigits != "0" || !otpauth.Digits(r.Length) {
			return d, errors.New("its codes are not " + otpauth.DigitsText + " digits without a check digit")
		}
		made.Digits = r.Length
	}
	if suite := strings.TrimSpace(k.Parameters.is.Suite); suite != "" {
		if made.Algorithm, err = otpauth.Algorithm(suite); err != nil {
			return d, err
		}
	}
	counter, err := open.integer(k.Data.is.Counter, 0)
	if err != nil || counter < 0 || counter > otpauth.CounterMax {
		return d, errors.New("its counter can't be read, or is no number that a counter can have")
	}
	if kind == "hotp" {
		eventBased(&made, counter)
		return made, nil
	}
	interval, err := open.integer(k.Data.is.Interval, 30)
	if err != nil || interval != int64(int32(interval)) || !otpauth.Period(int(interval)) {
		return d, errors.New("its period can't be read, or is not " + otpauth.PeriodText + " s")
	}
	drift, err := open.integer(k.Data.is.Drift, 0)
	if err != nil || drift != int64(int32(drift)) {
		return d, errors.New("its drift can't be read, or is out of bounds")
	}
	made.Period, made.Drift = int(interval), int(drift)
	return made, nil
}

// xmlTime reads a date of XML Schema, which may lack a time zone: then it is UTC.
func xmlTime(text string) (time.Time, error) {
	text = strings.TrimSpace(text)
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", text)
	}
	return t, err
}

// userOf returns the name in a UserId: what stands for UID in a distinguished name (RFC 4514), else all.
func userOf(id string) string {
	id = strings.TrimSpace(id)
	if !strings.Contains(id, "=") {
		return id
	}
	for part := range strings.SplitSeq(id, ",") {
		name, value, _ := strings.Cut(part, "=")
		if strings.EqualFold(strings.TrimSpace(name), "uid") {
			return strings.TrimSpace(value)
		}
	}
	return ""
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// base64Text decodes what an element holds, with white space anywhere.
func base64Text(text string) ([]byte, error) {
	data, err := base64.StdEncoding.DecodeString(strings.Join(strings.Fields(text), ""))
	if err != nil {
		return nil, errors.New("not base64")
	}
	return data, nil
}

// integer reads a value that is a number, otherwise where there is none. In the clear it is decimal;
// encrypted it is decimal or, as some write it, big-endian.
func (o *opener) integer(given *once[pskcValue], otherwise int64) (int64, error) {
	if given == nil {
		return otherwise, nil
	}
	v := &given.is
	data, err := o.value(v, false)
	if err != nil {
		return 0, err
	}
	if n, err := strconv.ParseInt(strings.TrimSpace(string(data)), 10, 64); err == nil {
		return n, nil
	}
	if v.Plain != nil || len(data) == 0 || len(data) > 8 {
		return 0, errors.New("not a number")
	}
	var n uint64
	for _, b := range data {
		n = n<<8 | uint64(b)
	}
	return int64(n), nil
}
