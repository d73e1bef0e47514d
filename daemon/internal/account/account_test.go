package account

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func device(id, name string) Device {
	return Device{
		ID: id, Name: name, Digits: 6, Period: 30, Algorithm: SHA1, Sealed: []byte("sealed"),
		Added: time.Unix(1_700_000_000, 0).UTC(),
	}
}

// ways is an account with everything but a device.
func ways() Account {
	at := time.Unix(1_700_000_000, 0).UTC()
	hash := func(b byte) []byte { return bytes.Repeat([]byte{b}, HashSize) }
	return Account{
		User:       "alice",
		Recovery:   []Recovery{{Hash: hash(1)}, {Hash: hash(2), Short: true}},
		Bypass:     []Bypass{{ID: "1", Hash: hash(1), By: "0", Made: at, Expires: at, Uses: 1}},
		Remembered: []Remembered{{Hash: hash(1), Name: "192.0.2.1, sshd", Since: at, Expires: at}},
		Grace:      []Grace{{Hash: hash(1), Expires: at}},
		MustEnrol:  true,
	}
}

// throttled is an account with all that the throttle keeps.
func throttled() Account {
	at := time.Unix(1_700_000_000, 0).UTC()
	return Account{
		User:          "alice",
		Spent:         Spent{Odds: 300, Since: at, Earlier: 2, EarlierOdds: 600},
		Sources:       []Source{{Key: "192.0.2.7", Used: at, Failures: 1, Last: at}},
		Strangers:     Attempts{Failures: 1, Last: at},
		WrongRecovery: Attempts{Failures: 1, Last: at},
		Repeats:       []Repeat{{Mark: make([]byte, MarkSize), Hash: make([]byte, HashSize), At: at}},
	}
}

func TestValid(t *testing.T) {
	steps := func(n int) []int64 {
		s := make([]int64, n)
		for i := range s {
			s[i] = int64(i)
		}
		return s
	}
	expires := time.Unix(1_700_000_600, 0).UTC()
	for _, c := range []struct {
		name   string
		change func(*Account)
		want   string // part of the error, or "" for a valid account
	}{
		{"as it is", func(*Account) {}, ""},
		{"not enrolled", func(a *Account) { *a = Account{User: "alice"} }, ""},
		{"two devices", func(a *Account) { a.Devices = append(a.Devices, device("2", "token")) }, ""},
		{"an enrolment", func(a *Account) { a.Pending = &Pending{device("2", "phone"), expires} }, ""},
		{"8 digits, 60 s, SHA512", func(a *Account) {
			d := &a.Devices[0]
			d.Digits, d.Period, d.Algorithm = 8, 60, SHA512
		}, ""},
		{"all used steps", func(a *Account) { a.Devices[0].Used = steps(UsedMax) }, ""},
		{"a mark", func(a *Account) { a.Devices[0].Used, a.Devices[0].Recent = steps(1), recent(MarkSize) }, ""},
		{"name of any bytes", func(a *Account) { a.User = "../\xff\n" + strings.Repeat("x", UserMax-5) }, ""},

		{"no user", func(a *Account) { a.User = "" }, "a user name has 1 to 256 bytes"},
		{"long user", func(a *Account) { a.User = strings.Repeat("x", UserMax+1) }, "a user name has 1 to 256 bytes"},
		{"NUL in the user", func(a *Account) { a.User = "a\x00b" }, "NUL"},
		{"no id", func(a *Account) { a.Devices[0].ID = "" }, "device 1: no id"},
		{"no secret", func(a *Account) { a.Devices[0].Sealed = nil }, "device 1: no secret"},
		{"7 digits", func(a *Account) { a.Devices[0].Digits = 7 }, "device 1: 7 digits"},
		{"period of 0", func(a *Account) { a.Devices[0].Period = 0 }, "device 1: a period of 0 s"},
		{"MD5", func(a *Account) { a.Devices[0].Algorithm = "MD5" }, `device 1: algorithm "MD5"`},
		{"a step twice", func(a *Account) { a.Devices[0].Used = []int64{7, 8, 7} }, "step 7 is listed as used twice"},
		{"too many steps", func(a *Account) { a.Devices[0].Used = steps(UsedMax + 1) }, "65 used steps"},
		{"short mark", func(a *Account) { a.Devices[0].Used, a.Devices[0].Recent = steps(1), recent(31) }, "device 1: a recent use"},
		{"many recent uses", func(a *Account) {
			a.Devices[0].Used, a.Devices[0].Recent = steps(1), slices.Repeat(recent(MarkSize), RecentMax+1)
		}, "device 1: 17 recent uses"},
		{"mark of no use", func(a *Account) { a.Devices[0].Recent = recent(MarkSize) }, "device 1: a recent use"},
		{"an id twice", func(a *Account) { a.Devices = append(a.Devices, device("1", "token")) }, "device 2: its id or name"},
		{"a name twice", func(a *Account) { a.Devices = append(a.Devices, device("2", "phone")) }, "device 2: its id or name"},
		{"failures below 0", func(a *Account) { a.Codes.Failures = -1 }, "negative"},
		{"wrong passwords below 0", func(a *Account) { a.Password.Failures = -1 }, "negative"},
		{"enrolment for ever", func(a *Account) { a.Pending = &Pending{Device: device("2", "x")} }, "pending device: no time"},
		{"enrolment of nothing", func(a *Account) { a.Pending = &Pending{Expires: expires} }, "pending device: no id"},
		{"all the ways in", func(a *Account) { *a = ways() }, ""},
		{"a hash cut off", func(a *Account) { *a = ways(); a.Recovery[0].Hash = a.Recovery[0].Hash[1:] }, "recovery code 1 is broken"},
		{"a recovery code twice", func(a *Account) { *a = ways(); a.Recovery = append(a.Recovery, a.Recovery[0]) }, "recovery code: one is there twice"},
		{"21 recovery codes", func(a *Account) { a.Recovery = make([]Recovery, RecoveryMax+1) }, "21 of recovery code, at most 20"},
		{"a bypass code for ever", func(a *Account) { *a = ways(); a.Bypass[0].Expires = time.Time{} }, "bypass code 1 is broken"},
		{"a bypass code used up", func(a *Account) { *a = ways(); a.Bypass[0].Uses = 0 }, "bypass code 1 is broken"},
		{"remembered for ever", func(a *Account) { *a = ways(); a.Remembered[0].Expires = time.Time{} }, "remembered computer 1 is broken"},
		{"grace for ever", func(a *Account) { *a = ways(); a.Grace[0].Expires = time.Time{} }, "grace 1 is broken"},
		{"a counter with a period", func(a *Account) { a.Devices[0].Kind = HOTP }, "device 1: a counter with"},
		{"a clock with a counter", func(a *Account) { a.Devices[0].Counter = 1 }, "device 1: a clock with a counter"},
		{"a counter", func(a *Account) { a.Devices[0].Kind, a.Devices[0].Period, a.Devices[0].Counter = HOTP, 0, 7 }, ""},
		{"a kind of its own", func(a *Account) { a.Devices[0].Kind = "motp" }, `device 1: kind "motp"`},
		{"a resynchronisation at no time", func(a *Account) { a.Devices[0].Resync = &Resync{Step: 1} }, "device 1: a resynchronisation"},
		{"9 devices", func(a *Account) {
			for _, id := range "234567890" {
				a.Devices = append(a.Devices, device(string(id), string(id)))
			}
			a.Devices = a.Devices[:DevicesMax+1]
		}, "9 devices, at most 8"},
		{"all of the throttle", func(a *Account) { *a = throttled() }, ""},
		{"failures of strangers below 0", func(a *Account) { a.Strangers.Failures = -1 }, "negative"},
		{"odds below 0", func(a *Account) { *a = throttled(); a.Spent.Odds = -1 }, "negative"},
		{"odds of no time", func(a *Account) { *a = throttled(); a.Spent.Since = time.Time{} }, "failures of no time"},
		{"33 sources", func(a *Account) { a.Sources = make([]Source, SourcesMax+1) }, "33 sources"},
		{"a source twice", func(a *Account) { *a = throttled(); a.Sources = append(a.Sources, a.Sources[0]) }, "source 2 is there twice"},
		{"a source without a name", func(a *Account) { *a = throttled(); a.Sources[0].Key = "" }, "source 1 is broken"},
		{"a long source", func(a *Account) { *a = throttled(); a.Sources[0].Key = strings.Repeat("x", SourceMax+1) }, "source 1 is broken"},
		{"a source of no login", func(a *Account) { *a = throttled(); a.Sources[0].Used = time.Time{} }, "source 1 is broken"},
		{"a repeat without a login", func(a *Account) { *a = throttled(); a.Repeats[0].Mark = nil }, "a repeat is broken"},
		{"enrolment with a used id", func(a *Account) { a.Pending = &Pending{device("1", "x"), expires} }, "pending device: its id"},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := Account{User: "alice", Devices: []Device{device("1", "phone")}}
			c.change(&a)
			err := a.Valid()
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("error is %v, want %q", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "sealed") {
				t.Error("the error quotes the secret:", err)
			}
		})
	}
}

func TestValidName(t *testing.T) {
	for _, name := range []string{"phone", "Änne's 2nd 電話", strings.Repeat("x", NameMax)} {
		if err := ValidName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	for _, name := range []string{"", strings.Repeat("x", NameMax+1), "a\nb", "\x1b[2J", "a\x00", "\xff", "a\u202eb"} {
		if err := ValidName(name); err == nil {
			t.Errorf("%q is taken", name)
		}
	}
}

func TestEmpty(t *testing.T) {
	if a := (Account{User: "alice"}); !a.Empty() || a.Enrolled() {
		t.Error("a user without anything is not empty")
	}
	for name, a := range map[string]Account{
		"device":         {Devices: []Device{device("1", "phone")}},
		"pending":        {Pending: &Pending{}},
		"wrong code":     {Codes: Attempts{Failures: 1}},
		"time of it":     {Codes: Attempts{Last: time.Unix(1, 0)}},
		"wrong password": {Password: Attempts{Failures: 1}},
		"recovery":       {Recovery: ways().Recovery},
		"bypass":         {Bypass: ways().Bypass},
		"remembered":     {Remembered: ways().Remembered},
		"grace":          {Grace: ways().Grace},
		"reset":          {MustEnrol: true},
		"odds":           {Spent: throttled().Spent},
		"source":         {Sources: throttled().Sources},
		"stranger":       {Strangers: throttled().Strangers},
		"wrong recovery": {WrongRecovery: throttled().WrongRecovery},
		"repeat":         {Repeats: throttled().Repeats},
		"a later one's":  {Extra: map[string]json.RawMessage{"recovery": []byte("[]")}},
	} {
		if a.Empty() || a.Enrolled() != (name == "device") {
			t.Errorf("%s: empty %v, enrolled %v", name, a.Empty(), a.Enrolled())
		}
	}
}

// The record is what the store keeps: what is written by one version is read by the next.
func TestRecord(t *testing.T) {
	const record = `{"user":"alice","devices":[{"id":"1","name":"phone","digits":6,"period":30,"algorithm":"SHA1",` +
		`"sealed":"c2VhbGVk","added":"2023-11-14T22:13:20Z","last_used":"2023-11-14T22:13:21Z","used":[3,1]}],` +
		`"pending":{"device":{"id":"2","name":"token","digits":6,"period":30,"algorithm":"SHA1","sealed":"c2VhbGVk",` +
		`"added":"2023-11-14T22:13:20Z"},"expires":"2023-11-14T22:23:20Z"},` +
		`"codes":{"failures":2,"last":"2023-11-14T22:13:20Z"},"passwords":{"failures":1}}`
	want := Account{
		User: "alice", Devices: []Device{device("1", "phone")},
		Pending:  &Pending{device("2", "token"), time.Unix(1_700_000_600, 0).UTC()},
		Codes:    Attempts{2, time.Unix(1_700_000_000, 0).UTC()},
		Password: Attempts{Failures: 1},
	}
	want.Devices[0].LastUsed = time.Unix(1_700_000_001, 0).UTC()
	want.Devices[0].Used = []int64{3, 1}
	var got Account
	if err := json.Unmarshal([]byte(record), &got); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	if out, err := json.Marshal(want); err != nil || string(out) != record {
		t.Errorf("got  %s, %v\nwant %s", out, err, record)
	}
	if out, _ := json.Marshal(Account{User: "bob"}); string(out) != `{"user":"bob"}` {
		t.Errorf("a user without anything is %s", out)
	}
}

func recent(size int) []Recent {
	return []Recent{{Step: 0, Mark: make([]byte, size), At: time.Unix(1, 0)}}
}

func TestCanAnswer(t *testing.T) {
	at := time.Unix(1_700_000_000, 0)
	bypass := func(expires time.Time, uses int) Account {
		return Account{User: "alice", Bypass: []Bypass{{Expires: expires, Uses: uses}}}
	}
	for name, c := range map[string]struct {
		acc  Account
		want bool
	}{
		"nothing":                {Account{User: "alice"}, false},
		"a device":               {Account{Devices: []Device{device("1", "phone")}}, true},
		"an enrolment":           {Account{Pending: &Pending{Device: device("1", "phone"), Expires: at.Add(1)}}, false},
		"a bypass code":          {bypass(at.Add(1), 1), true},
		"one whose time is up":   {bypass(at, 1), false},
		"one that was used up":   {bypass(at.Add(1), 0), false},
		"recovery codes alone":   {Account{Recovery: ways().Recovery}, false},
		"one of several is live": {Account{Bypass: []Bypass{{Expires: at, Uses: 1}, {Expires: at.Add(1), Uses: 1}}}, true},
	} {
		if got := c.acc.CanAnswer(at); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
