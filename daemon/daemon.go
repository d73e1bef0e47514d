package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"os"
	"sync/atomic"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/bus"
	"github.com/totpd/totpd/daemon/internal/clock"
	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/enrol"
	"github.com/totpd/totpd/daemon/internal/login"
	"github.com/totpd/totpd/daemon/internal/owner"
	"github.com/totpd/totpd/daemon/internal/password"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/internal/seal"
	"github.com/totpd/totpd/daemon/internal/server"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/throttle"
	"github.com/totpd/totpd/daemon/wire"
)

// stopTime is how long a stop may take: less than systemd waits before it kills.
const stopTime = 4 * time.Second

// daemon is the parts, wired.
type daemon struct {
	log      *log.Logger
	file     string        // of the configuration, empty: the default one
	cfg      config.Config // as it is in effect
	host     string
	begun    time.Time
	store    *store.Store
	accounts accounts
	key      key
	audit    *audit.Log
	names    *server.Names
	owner    func(context.Context, account.Identity, account.Account) error // nil while there are no accounts
	bus      *bus.Bus                                                       // nil while the daemon can only turn people away
	clock    *clock.Host                                                    // likewise
	sockets  sockets
	parts    atomic.Pointer[parts]
	logins   *server.Logins
	control  *server.Control
	end      context.CancelFunc // of what goes on beside all that; nil while there is nothing
}

// accounts and key are what the parts need of store and key.
type (
	accounts interface {
		enrol.Store
		server.Accounts
	}
	key interface{ enrol.Key }
)

// parts are made anew by a reload. Dialogues under way end with those they began with.
type parts struct {
	login    *login.Service
	enrol    *enrol.Service
	limits   throttle.Limits
	rules    policy.Rules
	speakers login.Speakers

	history config.Log
}

func newDaemon(file string, cfg config.Config, lines *audit.Queue) *daemon {
	return &daemon{log: logTo(lines), file: file, cfg: cfg, begun: time.Now(), audit: audit.Queued(lines), names: server.NewNames()}
}

// start opens everything, in an order in which a second daemon fails before it touches anything.
func start(ctx context.Context, file string, cfg config.Config, lines *audit.Queue) (*daemon, error) {
	d := newDaemon(file, cfg, lines)
	var err error
	if d.host, err = os.Hostname(); err != nil {
		return nil, fmt.Errorf("find the name of this host: %w", err)
	}
	if d.sockets, err = openSockets(cfg.Listen); err != nil {
		return nil, turnAwayAnyway(file, err, lines)
	}
	var k *seal.Key
	if d.store, err = store.Open(cfg.Store.Path); err == nil {
		k, err = openKey(ctx, d.store, cfg)
	}
	if err != nil {
		defer d.close()
		return nil, d.turnAway(atTheFirst(err, file, cfg))
	}
	owned := owner.New(d.store, d.names.Find)
	d.bus = bus.Open(cmp.Or(os.Getenv("DBUS_SYSTEM_BUS_ADDRESS"), bus.SystemAddress), d.names.OfUID, d.log)
	d.audit.Tell(d.bus.Record)
	keepHistory(d.audit, d.store, d.log)
	d.clock = clock.Watch(d.bus.Property, d.log)
	d.owner = owned.Check
	d.build(owned, k)
	var beside context.Context
	beside, d.end = context.WithCancel(ctx)
	go d.prune(beside)
	return d, nil
}

// build makes what serves.
func (d *daemon) build(a accounts, k key) {
	d.accounts, d.key = a, k
	d.parts.Store(d.wire(d.cfg))
	begin := func(c login.Caller, o wire.Open) server.Dialogue { return d.parts.Load().login.Begin(c, o) }
	d.logins = server.NewLogins(begin, d.names, d.log)
	d.logins.Speaks = func(user, service string) bool { return d.parts.Load().speakers.May(user, service) }
	asked := d.cfg.Listen.Password
	p := server.Parts{
		Version:  versionText(),
		Accounts: a,
		Names:    d.names,
		Owner:    d.owner,
		Password: password.New(asked, asked != config.Default().Listen.Password).Check,
		Audit:    d.audit,
		Log:      d.log,
		Clock:    time.Now,
		Settings: func() (server.Enrolment, throttle.Limits) { p := d.parts.Load(); return p.enrol, p.limits },
		Rules:    func() policy.Rules { return d.parts.Load().rules },
	}
	if d.bus != nil {
		p.Authorize = d.bus.Authorize
	}
	d.control = server.NewControl(p)
}

// wire makes the parts that a reload replaces.
func (d *daemon) wire(cfg config.Config) *parts {
	limits := limitsOf(cfg)
	var doubt func() string
	if d.clock != nil {
		doubt = d.clock.Doubt
	}
	enrolment := enrol.New(d.accounts, d.key, enrol.Config{
		Issuer: cfg.Code.Issuer, Host: d.host, Digits: cfg.Code.Digits, Period: cfg.Code.Period,
		Algorithm: account.Algorithm(cfg.Code.Algorithm), Skew: cfg.Code.Skew, Limits: limits,
	}, time.Now, d.audit)
	return &parts{
		login: login.New(d.accounts, d.key, login.Config{
			Prompt: cfg.Login.Prompt, Tries: cfg.Login.Tries, Skew: cfg.Code.Skew, Limits: limits, Since: d.begun,
			ClockDoubt: doubt, Rules: cfg.Rules, Speakers: cfg.SpeaksIn(), Owner: d.owner,
		}, time.Now, d.audit, d.names.Find, d.names.GroupsOf, enrolment),
		enrol:    enrolment,
		limits:   limits,
		rules:    cfg.Rules,
		speakers: cfg.SpeaksIn(),
		history:  cfg.Log,
	}
}

func limitsOf(cfg config.Config) throttle.Limits {
	return throttle.Limits{
		Free: cfg.Throttle.Free, FirstWait: cfg.Throttle.FirstWait,
		LongestWait: cfg.Throttle.LongestWait, Lock: cfg.Throttle.Lock,
	}
}

// serve accepts on the sockets. What it returns receives an error when one of them can't go on.
func (d *daemon) serve() <-chan error {
	failed := make(chan error, 2)
	go func() {
		if err := d.logins.Serve(d.sockets.login); err != nil {
			failed <- fmt.Errorf("serve logins: %w", err)
		}
	}()
	go func() {
		if err := d.control.Serve(d.sockets.control); err != nil {
			failed <- fmt.Errorf("serve totpctl: %w", err)
		}
	}()
	if err := d.sockets.passwordFault; err != nil {
		d.log.Printf("no passwords are checked for login programs here: %v", err)
	}
	if l, ok := d.sockets.password.(*net.UnixListener); ok {
		go (&password.Door{Complaints: d.log, RootOnly: true}).Serve(l)
	}
	return failed
}

// ready tells systemd that logins are answered, and keeps telling it as long as they can be.
func (d *daemon) ready() {
	d.log.Printf("ready: logins at %s, totpctl at %s", d.sockets.login.Addr(), d.sockets.control.Addr())
	d.notify("READY=1\nSTATUS=Answering logins")
	go d.watchdog()
	go d.tellStrangers(d.cfg)
}

// reload reads the configuration again. A broken one changes nothing.
func (d *daemon) reload() {
	d.notify(reloading())
	defer d.notify("READY=1")
	cfg, err := config.Load(d.file)
	if err != nil {
		d.log.Printf("reload: %v; the settings stay as they were", err)
		return
	}
	for _, name := range changedForGood(d.cfg, cfg) {
		d.log.Printf("reload: %s has changed and takes effect after a restart", name)
	}
	cfg.Listen, cfg.Store, cfg.Key = d.cfg.Listen, d.cfg.Store, d.cfg.Key
	d.cfg = cfg
	d.parts.Store(d.wire(cfg))
	d.log.Print("reload: done")
	go d.tellStrangers(cfg)
}

// changedForGood names the settings that only a restart changes.
func changedForGood(old, now config.Config) []string {
	var names []string
	for _, setting := range []struct{ name, old, now string }{
		{"listen.login", old.Listen.Login, now.Listen.Login},
		{"listen.control", old.Listen.Control, now.Listen.Control},
		{"listen.password", old.Listen.Password, now.Listen.Password},
		{"store.path", old.Store.Path, now.Store.Path},
		{"key.file", old.Key.File, now.Key.File},
	} {
		if setting.old != setting.now {
			names = append(names, setting.name)
		}
	}
	return names
}

// stop ends the dialogues and the requests under way, and returns nil also when some did not end in
// time: what they changed is durable or never happened.
func (d *daemon) stop() error {
	d.notify("STOPPING=1")
	ctx, cancel := context.WithTimeout(context.Background(), stopTime)
	defer cancel()
	control := make(chan error, 1)
	go func() { control <- d.control.Stop(ctx) }()
	if err := errors.Join(d.logins.Stop(ctx), <-control); err != nil {
		d.log.Printf("stop: some were cut off: %v", err)
	}
	return nil
}

func (d *daemon) close() {
	d.sockets.close()
	if d.end != nil {
		d.end()
	}
	if d.clock != nil {
		d.clock.Close()
	}
	if d.bus != nil {
		d.bus.Close()
	}
	if d.store == nil {
		return
	}
	if err := d.store.Close(); err != nil {
		d.log.Printf("close the store: %v", err)
	}
}
