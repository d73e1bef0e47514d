package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
)

// benchUsers are the sizes at which a store is measured. The largest is made only for -bench.
var benchUsers = []int{1, 1_000_000}

// BenchmarkFdatasync is the floor of every durable answer: one page over written blocks.
func BenchmarkFdatasync(b *testing.B) {
	f := newRaw(b)
	defer cpuTime(b)()
	for b.Loop() {
		f.sync(b)
	}
}

// raw is a file of written blocks.
type raw struct {
	*os.File
	next int64
}

func newRaw(b *testing.B) *raw {
	file, err := os.OpenFile(filepath.Join(b.TempDir(), "raw"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { file.Close() })
	f := &raw{File: file}
	if _, err := f.WriteAt(make([]byte, walFrames*frameSize), 0); err != nil {
		b.Fatal(err)
	}
	f.sync(b)
	return f
}

func (f *raw) sync(b *testing.B) {
	if _, err := f.WriteAt(make([]byte, frameSize), f.next%walFrames*frameSize); err != nil {
		b.Fatal(err)
	}
	if err := syscall.Fdatasync(int(f.Fd())); err != nil {
		b.Fatal(err)
	}
	f.next++
}

func BenchmarkGet(b *testing.B) {
	for _, users := range benchUsers {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			s := benchStore(b, users)
			defer cpuTime(b)()
			i := 0
			for b.Loop() {
				i = (i + 7919) % users
				if _, found, err := s.Get(b.Context(), userName(i)); err != nil || !found {
					b.Fatal(found, err)
				}
			}
		})
	}
}

// BenchmarkUpdate is what one accepted login asks of the store: the used step and the time.
func BenchmarkUpdate(b *testing.B) {
	for _, users := range benchUsers {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			s := benchStore(b, users)
			defer cpuTime(b)()
			i := 0
			for b.Loop() {
				i++
				use(b, s, userName(i*7919%users), int64(i))
			}
		})
	}
}

// BenchmarkLogin is all that one accepted login asks of the store, in alternation with a raw
// fdatasync; x-fdatasync is the ratio of the medians.
func BenchmarkLogin(b *testing.B) {
	for _, users := range benchUsers {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			s, f := benchStore(b, users), newRaw(b)
			var logins, raw []time.Duration
			i := 0
			for b.Loop() {
				i++
				name := userName(i * 7919 % users)
				start := time.Now()
				if _, _, err := s.Get(b.Context(), name); err != nil {
					b.Fatal(err)
				}
				use(b, s, name, int64(i))
				between := time.Now()
				f.sync(b)
				logins, raw = append(logins, between.Sub(start)), append(raw, time.Since(between))
			}
			slices.Sort(logins)
			slices.Sort(raw)
			b.ReportMetric(float64(logins[len(logins)/2].Nanoseconds()), "median-ns")
			b.ReportMetric(float64(logins[len(logins)/2])/float64(raw[len(raw)/2]), "x-fdatasync")
		})
	}
}

func BenchmarkUpdate64AtOnce(b *testing.B) {
	for _, events := range []string{"none", "kept"} {
		b.Run("event="+events, func(b *testing.B) {
			s := benchStore(b, 1000)
			defer cpuTime(b)()
			var next atomic.Int64
			b.SetParallelism(32) // times GOMAXPROCS: 64 on two processors
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					i := next.Add(1)
					useWith(eventOf(events, i), b, s, userName(int(i%1000)), i)
				}
			})
		})
	}
}

// BenchmarkHistory is what the event of a login costs it, in a history as long as it gets.
func BenchmarkHistory(b *testing.B) {
	for _, events := range []string{"none", "kept"} {
		b.Run("event="+events, func(b *testing.B) {
			s := benchStore(b, 1000)
			for i := range 100_000 {
				s.Record(eventFor(int64(i)))
				if i%notesMax == 0 {
					time.Sleep(2 * noteWithin)
				}
			}
			time.Sleep(2 * noteWithin)
			defer cpuTime(b)()
			i := int64(0)
			for b.Loop() {
				i++
				useWith(eventOf(events, i), b, s, userName(int(i*7919%1000)), i)
			}
		})
	}
}

func eventOf(events string, i int64) context.Context {
	if events == "none" {
		return context.Background()
	}
	return audit.Keep(context.Background(), func() audit.Event { return eventFor(i) })
}

func eventFor(i int64) audit.Event {
	return audit.Event{
		At: time.Unix(1_700_000_000+i, 0), Kind: audit.Login, User: userName(int(i * 7919 % 1000)), Service: "sshd", Source: "2001:db8::1",
		TTY: "ssh", Caller: "0", Result: audit.Accepted, Reason: "code", Device: "phone", Reference: audit.NewReference(),
	}
}

func BenchmarkOpen(b *testing.B) {
	for _, users := range benchUsers {
		b.Run(fmt.Sprint("users=", users), func(b *testing.B) {
			s := benchStore(b, users)
			path := s.path
			s.Close()
			for b.Loop() {
				s, err := Open(path)
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				s.Close()
				b.StartTimer()
			}
		})
	}
}

// cpuTime reports the processor time of each operation, which a busy machine changes less than the
// time on the clock.
func cpuTime(b *testing.B) func() {
	used := func() float64 {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return float64(r.Utime.Nano() + r.Stime.Nano())
	}
	before := used()
	return func() { b.ReportMetric((used()-before)/float64(b.N), "cpu-ns/op") }
}

// use marks a step as used, as an accepted login does.
func use(tb testing.TB, s *Store, user string, step int64) {
	useWith(context.Background(), tb, s, user, step)
}

func useWith(ctx context.Context, tb testing.TB, s *Store, user string, step int64) {
	err := s.Update(ctx, user, func(a account.Account) (account.Account, error) {
		d := &a.Devices[0]
		d.Used = append(d.Used, step)
		if len(d.Used) > account.UsedMax {
			d.Used = d.Used[len(d.Used)-account.UsedMax:]
		}
		d.LastUsed = time.Unix(1_700_000_000+step%1_000_000, 0).UTC()
		return a, nil
	})
	if err != nil {
		tb.Error(err)
	}
}

func userName(i int) string { return fmt.Sprintf("user%07d", i) }

// benchStore returns a store of many enrolled users, each with some used steps.
func benchStore(tb testing.TB, users int) *Store {
	dir := tb.TempDir()
	path := filepath.Join(dir, "totpd.db")
	if err := create(path); err != nil {
		tb.Fatal(err)
	}
	fill(tb, path, users)
	s, err := Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

// fill adds users by one large transaction.
func fill(tb testing.TB, path string, users int) {
	db := connect(path, "rw", "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF;")
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("BEGIN IMMEDIATE"); err != nil {
		tb.Fatal(err)
	}
	put, err := db.Prepare(putRecord)
	if err != nil {
		tb.Fatal(err)
	}
	a := enrolled("x", "phone")
	for step := range int64(20) {
		a.Devices[0].Used = append(a.Devices[0].Used, 56_000_000+step)
	}
	for i := range users {
		uid := uint32(100_000 + i)
		a.User, a.UID = userName(i), &uid
		record, err := encode(a)
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := put.Exec(a.User, string(record), sumOf(a.User, record), uidOf(a)); err != nil {
			tb.Fatal(err)
		}
	}
	if _, err := db.Exec("COMMIT"); err != nil {
		tb.Fatal(err)
	}
}

func enrolled(user, device string) account.Account {
	return account.Account{User: user, Devices: []account.Device{{
		ID: "0123456789abcdef", Name: device, Digits: 6, Period: 30, Algorithm: account.SHA1,
		Sealed: make([]byte, 49), Added: time.Unix(1_700_000_000, 0).UTC(),
	}}}
}
