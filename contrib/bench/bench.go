package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const million = 1_000_000

// size is how much is measured.
type size struct {
	loggingIn, many, most   int // users: who log in, and in the two large stores
	warm, rounds            int
	slowRounds              int // of pam_oath with many users
	workers, crowds, starts int
}

var (
	fullSize  = size{loggingIn: 256, many: 100_000, most: million, warm: 40, rounds: 250, slowRounds: 30, workers: 64, crowds: 5, starts: 7}
	quickSize = size{loggingIn: 64, many: 500, most: 2000, warm: 1, rounds: 3, slowRounds: 2, workers: 8, crowds: 1, starts: 1}
)

// bench is what the measurements share.
type bench struct {
	size
	dir     string
	only    string // parts to measure; empty: all
	log     string
	totpd   string // program
	module  string
	permit  string // module
	people  *people
	host    host
	small   store  // template: only the people
	peers   string // folder of the peers' modules
	running map[string]*daemon
}

// prepare makes everything below dir that the measurements need.
func prepare(o options, dir string) (*bench, error) {
	b := &bench{size: fullSize, dir: dir, only: o.only, log: o.log, running: map[string]*daemon{}}
	if o.quick {
		b.size = quickSize
	}
	b.totpd, b.module = filepath.Join(o.top, "build/totpd"), filepath.Join(o.top, "build/pam_totpd.so")
	for _, needed := range []string{b.totpd, b.module} {
		if _, err := os.Stat(needed); err != nil {
			return nil, fmt.Errorf("%w: run 'make build' first", err)
		}
	}
	libraries, err := b.findPeers(o.top)
	if err != nil {
		return nil, err
	}
	if b.people, err = newPeople(b.loggingIn, million); err != nil {
		return nil, err
	}
	if err := furnish(dir, b.people.users, o.log); err != nil {
		return nil, err
	}
	if err := b.prepareHost(libraries); err != nil {
		return nil, err
	}
	return b, b.prepareSmall()
}

// findPeers unpacks the peers' packages where that hasn't been done, and returns the folder of their
// libraries.
func (b *bench) findPeers(top string) (string, error) {
	cmd := exec.Command(filepath.Join(top, "packaging/world/debs.sh"))
	cmd.Stderr = os.Stderr
	tree, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("unpack the peers' packages: %w", err)
	}
	triplet, err := exec.Command("cc", "-print-multiarch").Output()
	if err != nil {
		return "", fmt.Errorf("ask the C compiler for the architecture: %w", err)
	}
	architecture := strings.TrimSpace(string(triplet))
	libraries := filepath.Join(strings.TrimSpace(string(tree)), "usr/lib", architecture)
	b.peers = filepath.Join(libraries, "security")
	b.permit = filepath.Join("/usr/lib", architecture, "security/pam_permit.so")
	return libraries, nil
}

func (b *bench) prepareHost(libraries string) error {
	program, err := compile(b.dir)
	if err != nil {
		return err
	}
	conf, err := newServices(filepath.Join(b.dir, "pam.d"))
	if err != nil {
		return err
	}
	ga, oath := filepath.Join(b.peers, "pam_google_authenticator.so"), filepath.Join(b.peers, "pam_oath.so")
	b.host = host{
		program: program, conf: conf, codes: filepath.Join(b.dir, "codes"), blocks: filepath.Join(b.dir, "blocks"),
		preload: []string{b.module, ga, oath, b.permit, filepath.Join(filepath.Dir(b.permit), "pam_deny.so")},
		env:     append(os.Environ(), "LD_LIBRARY_PATH="+libraries),
	}
	if err := b.people.write(b.host.codes); err != nil {
		return err
	}
	return errors.Join(
		conf.add("ga", ga+" secret="+b.path("ga")+"/${USER} user=root"),
		conf.add("oath", oath+" usersfile="+b.path("oath")+" window=1"),
		conf.add("oath.many", oath+" usersfile="+b.path("oath.many")+" window=1"),
		conf.add("permit", b.permit),
		conf.add("totpd", b.module+" socket="+store(b.path("totpd")).loginSocket()),
		conf.add("totpd.unasked", b.module+" socket="+store(b.path("totpd")).loginSocket()+"\nauth required "+b.permit),
		conf.add("totpd.many", b.module+" socket="+store(b.path("totpd.many")).loginSocket()),
	)
}

func (b *bench) prepareSmall() error {
	s, err := newStore(b.path("template"))
	if err != nil {
		return err
	}
	d, err := s.start(b.totpd)
	if err != nil {
		return err
	}
	b.small = s
	return errors.Join(s.enrol(b.people.users), d.stop())
}

func (b *bench) path(name string) string { return filepath.Join(b.dir, name) }

// renew gives the peers and totpd the state in which no code is used up yet, and starts a daemon.
func (b *bench) renew() error {
	if err := b.end(); err != nil {
		return err
	}
	for _, name := range []string{"ga", "oath", "totpd"} {
		if err := os.RemoveAll(b.path(name)); err != nil {
			return err
		}
	}
	s, err := b.small.copyTo(b.path("totpd"))
	if err != nil {
		return err
	}
	b.people.forget()
	return errors.Join(
		newGA(b.path("ga"), b.people.users),
		newOATH(b.path("oath"), b.people.users, len(b.people.users)),
		b.begin(s),
	)
}

// renewMany makes stores of so many users for totpd and, when asked for, for pam_oath, and starts a
// second daemon. It returns the times from start to ready of some starts before.
func (b *bench) renewMany(users int, oath bool) ([]time.Duration, error) {
	many := b.path("totpd.many")
	if err := os.RemoveAll(many); err != nil {
		return nil, err
	}
	s, err := b.small.copyTo(many)
	if err != nil {
		return nil, err
	}
	if err := s.fill(users); err != nil {
		return nil, fmt.Errorf("fill a store: %w", err)
	}
	if oath {
		if err := newOATH(b.path("oath.many"), b.people.users, users); err != nil {
			return nil, err
		}
	}
	var ready []time.Duration
	for range b.starts {
		d, err := s.start(b.totpd)
		if err != nil {
			return nil, err
		}
		ready = append(ready, d.ready)
		if err := d.stop(); err != nil {
			return nil, err
		}
	}
	return ready, b.begin(s)
}

// begin starts a daemon. What was written before goes to the disk first, so that it isn't written
// during a measurement.
func (b *bench) begin(s store) error {
	syscall.Sync()
	d, err := s.start(b.totpd)
	if err == nil {
		b.running[filepath.Base(string(s))] = d
	}
	return err
}

func (b *bench) lastWords() string {
	var text string
	for _, d := range b.running {
		text += d.said.String()
	}
	return text
}

// end stops all daemons.
func (b *bench) end() error {
	var errs []error
	for name, d := range b.running {
		errs = append(errs, d.stop())
		delete(b.running, name)
	}
	return errors.Join(errs...)
}

// measure does all measurements.
func (b *bench) measure() (_ *report, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%w\nlast words of the daemons:\n%s", err, b.lastWords())
		}
		err = errors.Join(err, b.end())
	}()
	r := newReport(b)
	for _, part := range []struct {
		name    string
		measure func(*report) error
	}{
		{"same", b.same}, {"fork", b.forked}, {"unasked", b.unasked}, {"dormant", b.dormant}, {"daemon", b.daemonSide}, {"crowd", b.crowd},
		{"100k", b.medium}, {"1m", b.large},
	} {
		if b.only != "" && !strings.Contains(","+b.only+",", ","+part.name+",") {
			continue
		}
		if err := b.renew(); err != nil {
			return nil, err
		}
		if err := part.measure(r); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (b *bench) same(r *report) error {
	t, err := b.host.alternate("same", b.warm, b.rounds, "totpd", "ga", "oath", "permit", ":fdatasync")
	if err != nil {
		return err
	}
	r.times("one login, same process", t)
	r.ratio("login_same_process_vs_ga", nanoseconds(t["totpd"]), nanoseconds(t["ga"]))
	return nil
}

func (b *bench) forked(r *report) error {
	t, err := b.host.alternate("fork", b.warm/2, b.rounds, "totpd", "ga", "oath", "permit")
	if err != nil {
		return err
	}
	r.times("one login, new process", t)
	r.ratio("login_new_process_vs_ga", nanoseconds(t["totpd"]), nanoseconds(t["ga"]))
	return nil
}

func (b *bench) unasked(r *report) error {
	t, err := b.host.alternate("unasked", b.warm, 2*b.rounds, "totpd.unasked", "permit")
	if err != nil {
		return err
	}
	r.times("new process, nothing is asked", t)
	r.ratio("unasked_vs_permit", nanoseconds(t["totpd.unasked"]), nanoseconds(t["permit"]))
	return nil
}

func (b *bench) dormant(r *report) error {
	t, err := b.host.alternate("dormant", b.warm, 2*b.rounds, "totpd", "permit")
	if err != nil {
		return err
	}
	r.times("new process, setcred alone", t)
	r.ratio("dormant_vs_permit", nanoseconds(t["totpd"]), nanoseconds(t["permit"]))
	return nil
}

func (b *bench) daemonSide(r *report) error {
	socket := store(b.path("totpd")).loginSocket()
	login, sync, err := dialogues(socket, b.host.blocks, b.people, b.warm, b.rounds)
	if err != nil {
		return err
	}
	r.times("daemon alone", map[string][]time.Duration{"totpd": login, ":fdatasync": sync})
	r.ratio("durable_vs_fdatasync", nanoseconds(login), nanoseconds(sync))
	return nil
}

func (b *bench) crowd(r *report) error {
	rates := map[string][]float64{}
	for range b.crowds {
		if err := b.renew(); err != nil {
			return err
		}
		for _, name := range []string{"ga", "totpd"} {
			rate, err := b.host.concurrent(b.workers, name)
			if err != nil {
				return err
			}
			rates[name] = append(rates[name], rate)
		}
	}
	r.rates(fmt.Sprintf("%d processes at once", b.workers), rates)
	r.ratio("concurrent_64_vs_ga", median(rates["totpd"]), median(rates["ga"]))
	return nil
}

func (b *bench) medium(r *report) error {
	if _, err := b.renewMany(b.many, true); err != nil {
		return err
	}
	t, err := b.host.alternate("same", 5, b.slowRounds, "totpd.many", "oath.many")
	if err != nil {
		return err
	}
	r.times(fmt.Sprintf("one login, %d users", b.many), t)
	r.ratio("login_100k_users_vs_oath", nanoseconds(t["totpd.many"]), nanoseconds(t["oath.many"]))
	resident, err := b.running["totpd.many"].residentMB()
	r.value("resident_mb_100k_users", resident)
	return err
}

func (b *bench) large(r *report) error {
	ready, err := b.renewMany(b.most, false)
	if err != nil {
		return err
	}
	t, err := b.host.alternate("same", b.warm, b.rounds, "totpd", "totpd.many")
	if err != nil {
		return err
	}
	r.times(fmt.Sprintf("one login, %d users beside %d", b.most, b.loggingIn), t)
	r.ratio("growth_1_to_1m_users", nanoseconds(t["totpd.many"]), nanoseconds(t["totpd"]))
	r.value("ready_ms_1m_users", nanoseconds(ready)/1e6)
	return nil
}

func nanoseconds(times []time.Duration) float64 { return float64(median(times)) }
