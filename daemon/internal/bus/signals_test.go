package bus

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/godbus/dbus/v5"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/packaging/testbus"
)

// ear is somebody who has subscribed.
type ear struct {
	*dbus.Conn
	signals chan *dbus.Signal
	account string
}

func (w *world) subscribe(t *testing.T, uid int) *ear {
	t.Helper()
	e := &ear{Conn: w.join(t, uid), signals: make(chan *dbus.Signal, 10_000)}
	e.Signal(e.signals)
	if err := e.Object(Name, Path).Call(Interface+".Subscribe", 0).Store(&e.account); err != nil {
		t.Fatal(err)
	}
	return e
}

// heard are the signals that came, once the daemon has told all that it was to tell: a last event, which
// everybody hears, ends them.
func (w *world) heard(t *testing.T, e *ear) string {
	t.Helper()
	user := e.account
	if user == "" {
		user = "the last"
	}
	w.daemon.Record(audit.Event{Kind: audit.Enrol, User: user, Result: audit.Done, Device: "the end"})
	text := ""
	for {
		select {
		case s := <-e.signals:
			if !strings.HasPrefix(s.Name, Interface) {
				continue
			}
			if s.Name == Interface+".Enrolled" && s.Body[1] == "the end" {
				if s.Body[0] == user {
					return text
				}
				continue
			}
			if s.Path != Path {
				t.Errorf("path %s", s.Path)
			}
			text += fmt.Sprintf("%s %v\n", strings.TrimPrefix(s.Name, Interface+"."), s.Body)
		case <-time.After(10 * time.Second):
			t.Fatalf("no end; heard so far:\n%s\nthe daemon said:\n%s", text, w.log)
		}
	}
}

func refusedLogin(user string) audit.Event {
	return audit.Event{
		Kind: audit.Login, User: user, Service: "sshd", Source: "192.0.2.7", Result: audit.Refused,
		Reason: "wrong_code_locks", Reference: "7F3K-Q2ND",
	}
}

// TestWhoHears needs root, to be others too.
func TestWhoHears(t *testing.T) {
	w := newWorld(t)
	root, owner, other := w.subscribe(t, 0), w.subscribe(t, nobody), w.subscribe(t, games)
	silent := w.join(t, nobody) // asks for all signals, but hasn't subscribed
	silentSignals := make(chan *dbus.Signal, 100)
	silent.Signal(silentSignals)
	if err := silent.AddMatchSignal(dbus.WithMatchInterface(Interface)); err != nil {
		t.Fatal(err)
	}
	if root.account != "" || owner.account != "nobody" || other.account != "games" {
		t.Errorf("subscribed to %q, %q, %q", root.account, owner.account, other.account)
	}
	w.daemon.Record(refusedLogin("nobody"))
	w.daemon.Record(audit.Event{Kind: audit.Disable, User: "nobody", Result: audit.Done})
	notOwn := refusedLogin("nobody")
	notOwn.Reason = "not_own_login"
	w.daemon.Record(notOwn)
	const told = "Refused [nobody sshd 192.0.2.7 wrong_code_locks 7F3K-Q2ND]\nLocked [nobody 7F3K-Q2ND]\nDisabled [nobody]\n"
	for e, want := range map[*ear]string{
		root: told + "Refused [nobody sshd 192.0.2.7 not_own_login 7F3K-Q2ND]\n", owner: told, other: "",
	} {
		if got := w.heard(t, e); got != want {
			t.Errorf("for %q:\n%swant\n%s", e.account, got, want)
		}
	}
	if err := owner.Object(Name, Path).Call(Interface+".Unsubscribe", 0).Store(); err != nil {
		t.Fatal(err)
	}
	w.daemon.Record(refusedLogin("nobody"))
	w.heard(t, root)
	for len(silentSignals) > 0 {
		if s := <-silentSignals; strings.HasPrefix(s.Name, Interface) {
			t.Errorf("without a subscription: %v", s)
		}
	}
	if n := len(owner.signals); n > 0 {
		t.Errorf("%d signals after Unsubscribe", n)
	}
}

// TestEavesdroppers needs root, to be another user: one who asks to be a monitor, and for what is sent to
// others.
func TestEavesdroppers(t *testing.T) {
	w := newWorld(t)
	owner := w.subscribe(t, nobody)
	thief := w.join(t, games)
	for method, args := range map[string][]any{
		"org.freedesktop.DBus.Monitoring.BecomeMonitor": {[]string{}, uint32(0)},
		"org.freedesktop.DBus.AddMatch":                 {"eavesdrop=true"},
	} {
		if err := thief.BusObject().Call(method, 0, args...).Err; err == nil {
			t.Errorf("%s is allowed", method)
		}
	}
	for _, rule := range []string{"", "interface='" + Interface + "'", "destination='" + owner.Names()[0] + "'", "sender='" + Name + "'"} {
		if err := thief.BusObject().Call("org.freedesktop.DBus.AddMatch", 0, rule).Err; err != nil {
			t.Errorf("%s: %v", rule, err)
		}
	}
	all := make(chan *dbus.Message, 10_000)
	thief.Eavesdrop(all)
	w.daemon.Record(refusedLogin("nobody"))
	if got := w.heard(t, owner); !strings.HasPrefix(got, "Refused ") {
		t.Errorf("the owner heard %q", got)
	}
	// The thief sees what is sent to everybody after that: then it has seen all that it was going to see.
	if err := w.join(t, 0).Emit("/x", "x.y.ForEverybody"); err != nil {
		t.Fatal(err)
	}
	for {
		select {
		case m := <-all:
			if strings.Contains(m.String(), "ForEverybody") {
				return
			}
			if strings.Contains(m.String(), Interface) || strings.Contains(m.String(), "7F3K-Q2ND") {
				t.Errorf("leaked: %v", m)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the thief hears nothing at all")
		}
	}
}

// Those who leave the bus are forgotten.
func TestLeaving(t *testing.T) {
	w := newWorld(t)
	for range 3 * subscribersEach {
		e := w.subscribe(t, os.Geteuid())
		e.Close()
		if !testbus.Eventually(w.daemon.link.Load().subscribers.none) {
			t.Fatal("still subscribed")
		}
	}
}

// TestTooMany needs root, to be another user.
func TestTooMany(t *testing.T) {
	w := newWorld(t)
	var last *dbus.Conn
	for range subscribersEach {
		last = w.subscribe(t, nobody).Conn
	}
	// Once more is the same as once.
	if err := last.Object(Name, Path).Call(Interface+".Subscribe", 0).Err; err != nil {
		t.Error(err)
	}
	var e dbus.Error
	if err := w.join(t, nobody).Object(Name, Path).Call(Interface+".Subscribe", 0).Err; !errors.As(err, &e) || e.Name != errNameLimits {
		t.Errorf("%v", err)
	}
	w.subscribe(t, games)
	w.subscribe(t, 0)
}

// TestNoName needs root, to be another user. Whose name isn't found subscribes to nothing; above all not
// to everybody's.
func TestNoName(t *testing.T) {
	for what, nameOf := range map[string]func(context.Context, uint32) (string, error){
		"unknown": func(context.Context, uint32) (string, error) { return "", errors.New("no such user") },
		"empty":   func(context.Context, uint32) (string, error) { return "", nil },
	} {
		w := &world{log: &lines{}, Bus: newTestBus(t)}
		w.daemon = Open(w.Address(), nameOf, log.New(w.log, "", 0))
		t.Cleanup(w.daemon.Close)
		w.connected(t)
		var e dbus.Error
		err := w.join(t, nobody).Object(Name, Path).Call(Interface+".Subscribe", 0).Err
		if !errors.As(err, &e) || e.Name != errNameFailed || !w.daemon.link.Load().subscribers.none() {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestSlowDirectory needs root, to be another user. Who has it asked all the time keeps nobody else from subscribing.
func TestSlowDirectory(t *testing.T) {
	t.Parallel()
	w := &world{log: &lines{}, Bus: newTestBus(t)}
	slow := func(ctx context.Context, uid uint32) (string, error) {
		if uid == nobody {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return nameOf(ctx, uid)
	}
	w.daemon = Open(w.Address(), slow, log.New(w.log, "", 0))
	t.Cleanup(w.daemon.Close)
	w.connected(t)
	for range 40 {
		object := w.join(t, nobody).Object(Name, Path)
		for range callsMax + 1 {
			object.Go(Interface+".Subscribe", dbus.FlagNoReplyExpected, nil)
		}
	}
	begun := time.Now()
	w.subscribe(t, games)
	if took := time.Since(begun); took > callTime/2 {
		t.Errorf("it took %v", took)
	}
}

// The daemon may be on the bus before the bus knows that it may be called so.
func TestLateRules(t *testing.T) {
	t.Parallel()
	w := &world{log: &lines{}, Bus: newTestBus(t)}
	w.Stop()
	if err := w.Forbid(); err != nil {
		t.Fatal(err)
	}
	w.daemon = Open(w.Address(), nameOf, log.New(w.log, "", 0))
	t.Cleanup(w.daemon.Close)
	if !testbus.Eventually(func() bool { return strings.Contains(w.log.String(), "is not allowed to own the service") }) {
		t.Fatalf("said:\n%s", w.log)
	}
	if err := w.Allow(); err != nil {
		t.Fatal(err)
	}
	w.connected(t)
	w.subscribe(t, os.Geteuid())
}

func TestBounds(t *testing.T) {
	var s subscribers
	for uid := range uint32(1000) {
		for i := range 3 {
			s.add(fmt.Sprintf(":1.%d.%d", uid+1, i), subscriber{uid: uid + 1, user: "x"})
		}
	}
	if n := len(s.byName); n != subscribersOthers {
		t.Errorf("%d of users", n)
	}
	for i := range 1000 {
		s.add(fmt.Sprintf(":2.%d", i), subscriber{})
	}
	if n := len(s.byName); n != subscribersAll {
		t.Errorf("%d with root's", n)
	}
}

func TestMethods(t *testing.T) {
	w := newWorld(t)
	c := w.join(t, os.Geteuid())
	var text string
	for _, path := range []dbus.ObjectPath{"/", "/org", Path} {
		if err := c.Object(Name, path).Call("org.freedesktop.DBus.Introspectable.Introspect", 0).Store(&text); err != nil {
			t.Errorf("%s: %v", path, err)
		}
		if err := xml.Unmarshal([]byte(text), new(struct{})); err != nil {
			t.Errorf("%s: %v in %s", path, err, text)
		}
	}
	if err := c.Object(Name, Path).Call("org.freedesktop.DBus.Peer.Ping", 0).Err; err != nil {
		t.Error(err)
	}
	for what, call := range map[string]*dbus.Call{
		"an argument":       c.Object(Name, Path).Call(Interface+".Subscribe", 0, "alice"),
		"another object":    c.Object(Name, "/org").Call(Interface+".Subscribe", 0),
		"no such object":    c.Object(Name, "/x").Call("org.freedesktop.DBus.Introspectable.Introspect", 0),
		"no such method":    c.Object(Name, Path).Call(Interface+".Anything", 0),
		"a long message":    c.Object(Name, Path).Call(Interface+".Subscribe", dbus.FlagNoReplyExpected, strings.Repeat("x", 10<<20)),
		"another interface": c.Object(Name, Path).Call("org.freedesktop.DBus.Properties.GetAll", 0, Interface),
	} {
		if call.Err == nil && call.Method != "" {
			t.Errorf("%s: no error", what)
		}
	}
	// After all that, it answers.
	if err := c.Object(Name, Path).Call(Interface+".Subscribe", 0).Err; err != nil {
		t.Error(err)
	}
}

// What the document promises is what is sent.
func TestDocument(t *testing.T) {
	var node struct {
		Interfaces []struct {
			Name    string `xml:"name,attr"`
			Signals []struct {
				Name string `xml:"name,attr"`
				Args []struct {
					Name string `xml:"name,attr"`
					Type string `xml:"type,attr"`
				} `xml:"arg"`
			} `xml:"signal"`
			Methods []struct {
				Name string `xml:"name,attr"`
			} `xml:"method"`
		} `xml:"interface"`
	}
	if err := xml.Unmarshal([]byte(introspection), &node); err != nil {
		t.Fatal(err)
	}
	promised := map[string]string{}
	for _, i := range node.Interfaces {
		for _, m := range i.Methods {
			if methods[[2]string{i.Name, m.Name}] == nil {
				t.Errorf("%s.%s is documented and isn't there", i.Name, m.Name)
			}
		}
		for _, s := range i.Signals {
			for _, a := range s.Args {
				promised[s.Name] += a.Type
			}
		}
	}
	sent := map[string]string{}
	for _, e := range []audit.Event{
		refusedLogin("x"), {Kind: audit.Enrol, Result: audit.Done}, {Kind: audit.Disable, Result: audit.Done},
		{Kind: audit.Setup, Result: audit.Lost}, {Kind: audit.Setup, Result: audit.Done},
	} {
		for _, s := range signalsOf(e) {
			sent[s.name] = dbus.SignatureOf(s.body...).String()
		}
	}
	if fmt.Sprint(promised) != fmt.Sprint(sent) {
		t.Errorf("promised %v, sent %v", promised, sent)
	}
}

// More events than can be sent hold up nobody, and the rest is counted.
func TestFlood(t *testing.T) {
	w := newWorld(t)
	e := w.subscribe(t, os.Geteuid())
	w.Freeze()
	begun := time.Now()
	for range 100_000 {
		w.daemon.Record(refusedLogin(e.account))
	}
	if took := time.Since(begun); took > time.Second {
		t.Errorf("took %v", took)
	}
	w.Thaw()
	if !testbus.Eventually(func() bool {
		w.daemon.Record(refusedLogin(e.account))
		return strings.Contains(w.log.String(), "events were not told")
	}) {
		t.Errorf("nothing was counted:\n%s", w.log)
	}
}
