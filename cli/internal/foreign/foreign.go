// Package foreign reads what other programs keep of their users' second factors: the state files of
// google-authenticator-libpam, the UsersFile of the OATH Toolkit, PSKC containers (RFC 6030) and lists of
// otpauth URIs. It says of each user what totpd can take over, what gets lost by that, and who can't be
// taken over and why. It opens no file, asks nobody and stores nothing; the time is a parameter.
//
// Always true: a code that the other program has recorded as used is among the used ones here; a user is
// taken over with all devices or not at all; no error and no note quotes a secret or a code.
package foreign

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"
	"unicode"

	"github.com/totpd/totpd/daemon/control"
)

// Found is what a source holds of one user.
type Found struct {
	control.ImportUser
	Places  []string // where it stands: a file, or FILE:LINE
	Notes   []string // what is not taken over, and what takes its place
	Refused []string // why the user can't be taken over; nothing: can be
	Stated  bool     // whose it is was not read from the source
}

// The limits of totpd that a source may exceed.
const (
	recoveryMax = 20 // recovery codes of a user
	usedMax     = 64 // used steps of a device
	skewMax     = 10 // steps to each side of the present that can be accepted (totpd.toml, code.skew)
	nameMax     = 64 // bytes of a device's name
)

// The names of devices whose source has none.
const (
	phone = "phone"
	token = "token"
)

// refuse notes why the user can't be taken over.
func (f *Found) refuse(format string, args ...any) {
	f.Refused = append(f.Refused, fmt.Sprintf(format, args...))
}

// note says what is not taken over.
func (f *Found) note(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(f.Notes, text) {
		f.Notes = append(f.Notes, text)
	}
}

// Merge makes one of those that are of the same user, in order of appearance: the devices together, and
// refused as soon as one of them is, or when there is no device at all. Devices of one name are numbered.
func Merge(all []Found) []Found {
	var merged []Found
	at := map[string]int{}
	for _, f := range all {
		i, known := at[f.User]
		if !known || f.User == "" {
			at[f.User] = len(merged)
			merged = append(merged, f)
			continue
		}
		m := &merged[i]
		m.Devices = append(m.Devices, f.Devices...)
		m.Recovery = append(m.Recovery, f.Recovery...)
		m.Places = append(m.Places, f.Places...)
		m.Refused = append(m.Refused, f.Refused...)
		for _, n := range f.Notes {
			m.note("%s", n)
		}
	}
	for i := range merged {
		if m := &merged[i]; len(m.Devices) == 0 && len(m.Refused) == 0 {
			m.refuse("there is no device")
		}
		merged[i].number()
	}
	return merged
}

// number makes the names of the devices unique.
func (f *Found) number() {
	taken := map[string]bool{}
	for i := range f.Devices {
		d := &f.Devices[i]
		name := d.Name
		for n := 2; taken[d.Name]; n++ {
			d.Name = fmt.Sprintf("%.*s %d", nameMax-4, name, n)
		}
		taken[d.Name] = true
	}
}

// deviceName returns name where a device may be called so, else another.
func deviceName(name, otherwise string) string {
	if name == "" || len(name) > nameMax-4 {
		return otherwise
	}
	for _, r := range name {
		if !unicode.IsPrint(r) || r == unicode.ReplacementChar {
			return otherwise
		}
	}
	return name
}

// newDevice is a time-based device as most are.
func newDevice(name string, secret []byte) control.ImportDevice {
	return control.ImportDevice{
		Name: name, Secret: control.Secret(hex.EncodeToString(secret)), Digits: 6, Period: 30, Algorithm: "SHA1",
	}
}

// eventBased makes the device one that counts.
func eventBased(d *control.ImportDevice, next int64) {
	d.Kind, d.Period, d.Drift, d.Used, d.Counter = "hotp", 0, 0, nil, next
}

// stepsUpTo are the steps whose codes may have been accepted up to a moment, when nothing better is known:
// those that any totpd accepts then, and one that a phone whose clock is ahead may show.
func stepsUpTo(t time.Time, period, drift int) []int64 {
	return steps(t.Unix()/int64(period)+int64(drift)+1, skewMax+2)
}

// steps are n steps, the last of which is given.
func steps(last int64, n int) []int64 {
	var all []int64
	for s := last - int64(n) + 1; s <= last; s++ {
		if s >= 0 {
			all = append(all, s)
		}
	}
	return all
}
