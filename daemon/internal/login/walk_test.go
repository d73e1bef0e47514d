package login

import (
	"context"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"math/rand"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/verify"
	"github.com/totpd/totpd/daemon/wire"
)

// A random walk over one account, through years, wrong clocks and all that people and admins may do. Always:
// the record stays one that can be written and read, nothing is unavailable, and each login that is accepted
// is paid for, with something that no login before it was accepted for.
func TestWalk(t *testing.T) {
	steps := 1500
	if testing.Short() {
		steps = 600
	}
	for seed := range int64(3) {
		t.Run(strconv.FormatInt(seed, 10), func(t *testing.T) {
			t.Parallel()
			w := newWalker(t, seed)
			for i := range steps {
				op := ops[w.rand.Intn(len(ops))]
				if w.careful = i%500 > 250; w.careful { // and nobody changes anything: lists grow
					op = ops[w.rand.Intn(logins)]
				}
				if i%500 == 251 {
					w.unlocks()
				}
				w.did = fmt.Sprintf("step %d, %s", i, op.name)
				op.do(w)
				w.check()
				if t.Failed() {
					t.FailNow()
				}
			}
			for what, n := range map[string]int{"accepted": 100, "refused": 100, "not due": 10, "devices": 10} {
				if w.count[what] < n*steps/4000 {
					t.Errorf("%d %s, that walks nowhere", w.count[what], what)
				}
			}
		})
	}
}

// walker walks. Its world is on a real store.
type walker struct {
	*world
	t       *testing.T
	rand    *rand.Rand
	disk    *store.Store
	enrol   *enrol.Service
	did     string
	count   map[string]int
	careful bool // what is typed is right, mostly

	typed   []string                 // recovery and bypass codes that there have been
	paid    map[string]int           // what logins were accepted for, and how often
	seen    map[string]map[int64]int // by device: its used steps, and which one they were
	ids     []wire.LoginID           // of logins
	backups []account.Account
}

func newWalker(t *testing.T, seed int64) *walker {
	disk := newDisk(t)
	w := &walker{
		world: newWorld(), t: t, rand: rand.New(rand.NewSource(seed)), disk: disk, count: map[string]int{},
		paid: map[string]int{}, seen: map[string]map[int64]int{},
	}
	w.cfg.Rules = policy.Rules{{Require: policy.Required, Remember: 30 * 24 * time.Hour, Grace: time.Hour}}
	w.enrol = enrol.New(disk, sealed{}, enrol.Config{
		Host: "web1", Digits: 6, Period: 30, Algorithm: account.SHA1, Skew: 1, Limits: w.cfg.Limits,
	}, w.clock, w.events)
	w.Service = New(disk, sealed{}, w.cfg, w.clock, w.events, w.lookup, w.groups, w.enrol)
	return w
}

func (w *walker) account() account.Account {
	w.t.Helper()
	acc, _, err := w.disk.Get(context.Background(), "alice")
	if err != nil {
		w.t.Fatalf("%s: the record can't be read: %v", w.did, err)
	}
	return acc
}

// check is made after each step.
func (w *walker) check() {
	w.t.Helper()
	acc := w.account()
	if err := acc.Valid(); err != nil {
		w.t.Fatalf("%s: %v", w.did, err)
	}
	var again account.Account
	record, err := json.Marshal(acc)
	if err == nil {
		err = json.Unmarshal(record, &again)
	}
	if err != nil || !reflect.DeepEqual(acc, again) {
		w.t.Fatalf("%s: written and read it is another: %v\n%+v\n%+v", w.did, err, acc, again)
	}
	for _, d := range acc.Devices {
		seen := w.seen[d.ID]
		if seen == nil {
			seen = map[int64]int{}
			w.seen[d.ID] = seen
		}
		for _, s := range d.Used {
			if _, known := seen[s]; !known {
				seen[s] = len(seen)
			}
		}
	}
}

// pays fails unless what a login was accepted for is gone, and never paid for another.
func (w *walker) pays(before, after account.Account, id wire.LoginID) {
	w.t.Helper()
	if slices.Contains(w.ids, id) && reflect.DeepEqual(before, after) {
		w.count["repeated"]++
		return
	}
	var with []string
	for _, r := range before.Recovery {
		if !slices.ContainsFunc(after.Recovery, func(o account.Recovery) bool { return string(o.Hash) == string(r.Hash) }) {
			with = append(with, fmt.Sprintf("recovery code %x", r.Hash))
		}
	}
	for _, b := range before.Bypass {
		i := slices.IndexFunc(after.Bypass, func(o account.Bypass) bool { return o.ID == b.ID })
		switch {
		case i >= 0 && after.Bypass[i].Uses == b.Uses-1, i < 0 && b.Uses == 1 && b.Live(w.clock()):
			with = append(with, fmt.Sprintf("bypass code %s, use %d", b.ID, b.Uses))
		}
	}
	for i, d := range after.Devices {
		switch was := before.Devices[i]; {
		case d.Counter > was.Counter:
			with = append(with, fmt.Sprintf("counters to %d of %s", d.Counter, d.ID))
		case len(d.Used) > 0 && !slices.Contains(was.Used, d.Used[len(d.Used)-1]):
			step := d.Used[len(d.Used)-1]
			if n, known := w.seen[d.ID][step]; known && len(w.seen[d.ID])-n < account.UsedMax {
				w.t.Fatalf("%s: step %d of %s was accepted twice", w.did, step, d.Name)
			}
			delete(w.seen[d.ID], step)
			delete(w.paid, fmt.Sprintf("step %d of %s", step, d.ID))
			with = append(with, fmt.Sprintf("step %d of %s", step, d.ID))
		}
	}
	if len(with) != 1 {
		w.t.Fatalf("%s: accepted for %q", w.did, with)
	}
	if w.paid[with[0]]++; w.paid[with[0]] > 1 {
		w.t.Fatalf("%s: accepted for %s again", w.did, with[0])
	}
}

// logins are so many of ops: the first ones.
const logins = 32

var ops = slices.Concat(
	slices.Repeat([]op{{"login", (*walker).login}}, logins-8),
	slices.Repeat([]op{{"a moment", func(w *walker) { w.pass(time.Minute) }}}, 8),
	slices.Repeat([]op{{"time", (*walker).time}}, 6),
	[]op{
		{"restart", (*walker).restarts},
		{"enrol", (*walker).enrols}, {"enrol", (*walker).enrols}, {"give", (*walker).gives}, {"set", (*walker).sets}, {"set", (*walker).sets},
		{"rename", (*walker).renames}, {"remove", (*walker).removes}, {"recovery codes", (*walker).recovers},
		{"bypass", (*walker).bypasses}, {"bypass", (*walker).bypasses}, {"revoke", (*walker).revokes},
		{"forget", (*walker).forgets}, {"unlock", (*walker).unlocks}, {"import", (*walker).imports},
		{"seldom", (*walker).seldom},
	},
)

type op struct {
	name string
	do   func(*walker)
}

// time passes, and now and then the clock is wrong.
func (w *walker) time() {
	by := []time.Duration{
		time.Second, 10 * time.Second, 30 * time.Second, 30 * time.Second, 5 * time.Minute, 20 * time.Minute, time.Hour,
		26 * time.Hour, 400 * 24 * time.Hour, -time.Second, -time.Minute, -2 * time.Hour, -100 * 24 * time.Hour,
	}
	switch w.pass(by[w.rand.Intn(len(by))]); {
	case w.rand.Intn(40) == 0:
		wrong := []time.Time{time.Unix(0, 0), time.Unix(-5000, 7), time.Unix(12, 0), time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)}
		w.now = wrong[w.rand.Intn(len(wrong))]
	case w.now.Year() < 2026 || w.now.Year() > 2090:
		w.now = noon.Add(time.Duration(w.rand.Intn(1000)) * time.Hour)
	}
}

func (w *walker) restarts() { w.restart() }

// login is one from anywhere, with up to six answers.
func (w *walker) login() {
	ctx := context.Background()
	from := []string{
		"", "", "192.0.2.7", fmt.Sprintf("198.51.100.%d", w.rand.Intn(256)), fmt.Sprintf("2001:db8:%d::%d", w.rand.Intn(3), w.rand.Intn(9)),
		fmt.Sprintf("203.0.113.%d", w.rand.Intn(256)), "::ffff:192.0.2.7", "fe80::1%eth0", "UPPER.example", "\xff\n\"\u202e", ":0", strings.Repeat("x", 300), "::",
	}
	o := wire.Open{Version: wire.Version - byte(w.rand.Intn(2)), User: "alice", Service: "sshd", RHost: from[w.rand.Intn(len(from))], TTY: "ssh"}
	caller := Caller{UID: 0, Root: true, User: "root", Session: named(strconv.Itoa(w.rand.Intn(40)))}
	switch w.rand.Intn(8) {
	case 0:
		caller.UID, caller.Root, caller.User = 1000, false, "alice"
	case 1, 2:
		o.RHost, o.Service, o.TTY, o.RUser = "", "su\xff", "/dev/pts/"+strconv.Itoa(w.rand.Intn(40)), []string{"", "bob", "b\xffb"}[w.rand.Intn(3)]
	case 3, 4:
		o.AuthInfo = fmt.Sprintf("publickey ssh-ed25519 AAAA%d\n", w.rand.Intn(90))
	case 5:
		o.Combined = o.Version == wire.Version
	}
	switch w.rand.Intn(3) {
	case 0:
		o.ID = wire.LoginID(fmt.Sprintf("%032d", w.rand.Int63()))
	case 1:
		if len(w.ids) > 0 {
			o.ID = w.ids[w.rand.Intn(len(w.ids))]
		}
	}
	d := w.Begin(caller, o)
	was := w.account()
	got := read(w.t, d.Open(ctx))
	for range 6 {
		if got.done || w.rand.Intn(12) == 0 {
			break
		}
		before, state := w.account(), d.state
		got = read(w.t, d.Answer(ctx, []byte(w.answer(d, before))))
		after := w.account()
		if state == asked && (got.verdict == wire.Accepted || d.state == remembering) {
			w.pays(before, after, o.ID)
		}
	}
	switch got.verdict {
	case wire.Accepted:
		w.count["accepted"]++
	case wire.Refused:
		w.count["refused"]++
	case wire.NotDue:
		if w.count["not due"]++; was.Enrolled() && len(was.Remembered)+len(was.Grace) == 0 {
			w.t.Fatalf("%s: no code is due of %+v", w.did, was)
		}
	case wire.Unavailable:
		w.t.Fatalf("%s: unavailable: %+v", w.did, w.world.events.all[len(w.world.events.all)-1])
	default:
		d.Abandon()
	}
	if o.ID != "" {
		w.ids = append(w.ids[max(0, len(w.ids)-4):], o.ID)
	}
	w.world.events.all = nil
}

// answer is what somebody types, which is often right.
func (w *walker) answer(d *Dialogue, acc account.Account) string {
	chance := w.rand.Intn(100)
	if w.careful && chance > 5 {
		chance = 50
	}
	switch {
	case chance < 5:
		return []string{"", "x", "1234567", strings.Repeat("9", 300), "000000000000", "ZZZZZZZZZZ", "\xff\xfe"}[w.rand.Intn(7)]
	case d.state == choosing:
		return strconv.Itoa(d.enrolment.choices.key)
	case d.state == confirming:
		return w.firstCode(w.t, d)
	case d.state == noting:
		return ""
	case d.state == remembering:
		return []string{"y", "yes", "YES ", "n"}[w.rand.Intn(4)]
	case chance < 25 && len(w.typed) > 0:
		return strings.ToLower(w.typed[max(0, len(w.typed)-1-w.rand.Intn(12))])
	case chance < 30 || !acc.Enrolled():
		return fmt.Sprintf("%0*d", 6+2*w.rand.Intn(2), w.rand.Intn(1_000_000))
	case chance < 32:
		return fmt.Sprintf("%08d", w.rand.Intn(4)) // a short recovery code, it may be
	}
	dev := acc.Devices[w.rand.Intn(len(acc.Devices))]
	if chance < 45 && len(dev.Used) > 0 {
		return w.shows(dev, dev.Used[w.rand.Intn(len(dev.Used))])
	}
	off := int64(w.rand.Intn(3) - 1)
	if chance > 90 {
		off = int64(w.rand.Intn(100) - 45)
	}
	if dev.Resync != nil && chance < 70 {
		return w.shows(dev, dev.Resync.Step+1+int64(w.rand.Intn(2)))
	}
	if dev.Kind == account.HOTP {
		return w.shows(dev, dev.Counter+off)
	}
	return w.shows(dev, w.clock().Unix()/int64(dev.Period)+int64(dev.Drift)+off)
}

// shows is what a device shows at a step, or for a counter.
func (w *walker) shows(d account.Device, step int64) string {
	secret, err := (sealed{}).Open("alice", d.ID, d.Sealed)
	if err != nil {
		w.t.Fatal(err)
	}
	hash, _ := verify.Hash(d.Algorithm)
	code, err := hotp.GenerateCodeCustom(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret), uint64(step), hotp.ValidateOpts{Digits: otp.Digits(d.Digits), Algorithm: hash})
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}
