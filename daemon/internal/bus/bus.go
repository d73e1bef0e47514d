// Package bus is all that the daemon says on the system bus: the question to polkit whether somebody
// who isn't root may do what is root's, and the signals about logins and accounts. It decides about
// nobody's login and holds up none: without a bus, polkit's answer is no and the signals are lost. It
// connects in the background, and again when the bus goes or hangs.
//
// Who polkit is asked about. The daemon has somebody at its control socket, uid and pid from the
// kernel. polkit knows subjects by pid and start time, or by name on the bus. The start time would have
// to be read from /proc after the pid may have become another process's, and our sandbox may hide
// others there; so the caller says in the request which unique name it has on the bus, and it is a
// name's owner that polkit judges. What the caller says is believed only where the bus, from the kernel
// too, has the same uid and the same pid for that name:
//
//   - The name of somebody else, or of a setuid program that somebody started: another uid.
//   - The name of another process of the same user, which may be in a session that polkit trusts more:
//     another pid. A pid that was used again doesn't help: the name is then still of a process of the
//     same user.
//   - A name that ends before polkit looks: a bus gives no name twice, and what it says and what polkit
//     says come over one connection, so from one bus. polkit then finds nobody.
//   - A caller that ends: the request's context ends with its connection, and the question with that.
//
// Somebody is asked for a password only where the caller says it can wait for that; the dialogue shows
// the account by its canonical name, which rules see too. Only the owner of an action may ask about
// others and give such details: the policy file says that this is the user totpd.
//
// Who hears the signals. Broadcast, they would tell every local user who has a second factor and whose
// login failed: a bus has rules for who may receive, but by user and group in a file, not by the account
// that a signal is about. So each goes to those who have subscribed and to nobody else: root gets all,
// others those of the account of their uid. Nobody else can listen in: a bus hands messages that have a
// destination to others only when its configuration allows that, or to monitors of root.
//
// Always true: nothing here waits for a bus longer than its limit; a message from the bus may be
// anything and of any size; a signal holds no code, no secret and no password.
package bus

import (
	"context"
	"errors"
	"fmt"
	"log"
	"sync"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/share"
)

// What the daemon is on the bus.
const (
	Name      = "org.totpd"
	Path      = dbus.ObjectPath("/org/totpd")
	Interface = "org.totpd.Events"
)

// SystemAddress is where the system bus is unless the environment names another one.
const SystemAddress = "unix:path=/run/dbus/system_bus_socket"

// The pauses between two attempts to connect, or to get the name, double from first to longest. A
// connection that held for longest makes them short again.
const (
	firstPause   = time.Second
	longestPause = 15 * time.Second
)

// queueMax is how many events wait to be sent. Further ones are lost, and counted.
const queueMax = 256

// Bus is the daemon's place on a system bus, there or not. Its methods may be called at the same time.
type Bus struct {
	address string
	nameOf  func(context.Context, uint32) (string, error) // the canonical name of a uid
	log     *log.Logger

	link      atomic.Pointer[link] // nil: no bus now
	events    chan audit.Event
	lost      atomic.Int64 // events since the last that was sent
	questions atomic.Int64

	end  context.CancelFunc
	done sync.WaitGroup
}

// link is a connection, and those who have subscribed on it.
type link struct {
	*conn
	bus         *Bus
	calls       count // that are being answered, by connection
	lookups     *share.Slots
	subscribers subscribers
}

// Open returns a Bus at a D-Bus address, and connects in the background until Close. nameOf finds the
// user whose signals go to a uid.
func Open(address string, nameOf func(context.Context, uint32) (string, error), l *log.Logger) *Bus {
	ctx, end := context.WithCancel(context.Background())
	b := &Bus{address: address, nameOf: nameOf, log: l, events: make(chan audit.Event, queueMax), end: end}
	b.done.Go(func() { b.run(ctx) })
	return b
}

// Close leaves the bus.
func (b *Bus) Close() {
	b.end()
	b.done.Wait()
}

// connection returns the present one, nil when there is none.
func (b *Bus) connection() *conn {
	if l := b.link.Load(); l != nil {
		return l.conn
	}
	return nil
}

// run connects, and again when it is over. It says when there is no bus, and when there is one again.
func (b *Bus) run(ctx context.Context) {
	pause, told := firstPause, false
	for ctx.Err() == nil {
		begun := time.Now()
		l, err := b.connect(ctx)
		if err == nil {
			if told {
				b.log.Print("bus: connected")
			}
			told = false
			err = b.hold(ctx, l)
		}
		if ctx.Err() != nil {
			return
		}
		if !told {
			b.log.Printf("bus: %v; while there is no system bus, root alone may help others, and nobody is told of events", err)
			told = true
		}
		if time.Since(begun) > longestPause {
			pause = firstPause
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
		pause = min(2*pause, longestPause)
	}
}

// connect returns a link that answers calls and is seen by Authorize.
func (b *Bus) connect(ctx context.Context) (*link, error) {
	l := &link{bus: b, lookups: share.New(lookupsMax, lookupsEach)}
	var err error
	if l.conn, err = dial(ctx, b.address); err != nil {
		return nil, err
	}
	// Who leaves is no subscriber any more.
	gone := fmt.Sprintf("type='signal',sender='%s',path='%s',interface='%s',member='NameOwnerChanged',arg2=''", driver, driverPath, driver)
	if _, err := l.driver(ctx, "AddMatch", gone); err != nil {
		l.close(err)
		return nil, fmt.Errorf("watch who leaves the bus: %w", err)
	}
	l.serve(l.receive)
	b.link.Store(l)
	return l, nil
}

// hold takes the name by which subscribers find us, and sends events until the link is over. It returns
// why it is.
func (b *Bus) hold(ctx context.Context, l *link) error {
	defer b.link.Store(nil)
	defer l.close(errGone)
	for len(b.events) > 0 { // of those who had subscribed on the link before
		<-b.events
	}
	appear, pause, told := time.NewTimer(0), firstPause, false
	defer appear.Stop()
	for {
		select {
		case <-appear.C:
			// While the package is being installed, the bus hasn't read yet that we may.
			if err := l.appear(ctx); err != nil {
				appear.Reset(pause)
				pause = min(2*pause, longestPause)
				if !told {
					b.log.Printf("bus: be %s on the bus: %v; until then nobody is told of events", Name, err)
				}
				told = true
			} else if told {
				b.log.Printf("bus: %s is on the bus now", Name)
			}
		case e := <-b.events:
			l.tell(ctx, e)
			if n := b.lost.Swap(0); n > 0 {
				b.log.Printf("bus: %d events were not told: too many at once", n)
			}
		case <-l.over:
			return l.why()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// appear takes the name, or gets in line behind a daemon that is about to end.
func (l *link) appear(ctx context.Context) error {
	_, err := l.driver(ctx, "RequestName", Name, uint32(0))
	return err
}

// Record has the event told to whom it concerns. It never waits.
func (b *Bus) Record(e audit.Event) {
	l := b.link.Load()
	if l == nil || l.subscribers.none() {
		return
	}
	select {
	case b.events <- e:
	default:
		b.lost.Add(1)
	}
}

func (l *link) tell(ctx context.Context, e audit.Event) {
	for _, t := range signalsOf(e) {
		for _, name := range l.subscribers.hearers(t) {
			if _, err := l.send(ctx, signal(name, t.name, t.body...), nil); err != nil && !errors.Is(err, errGone) {
				l.bus.log.Printf("bus: tell %s of %s: %v", name, t.name, err)
			}
		}
	}
}
