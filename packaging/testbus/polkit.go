package testbus

import (
	"errors"
	"fmt"
	"sync"

	"github.com/godbus/dbus/v5"
)

// Check is a question as polkit gets it.
type Check struct {
	BusName     string
	Action      string
	Details     map[string]string
	Interactive bool
	Withdrawn   <-chan struct{} // closed when whoever asked doesn't want to know any more
}

// Result is polkit's answer.
type Result struct {
	Authorized, Challenge bool
	Details               map[string]string
}

// Polkit stands in for polkit on a bus: it answers as the test says.
type Polkit struct {
	conn   *dbus.Conn
	answer func(Check) Result

	mu        sync.Mutex
	withdrawn map[string]chan struct{} // by the name that whoever asks gives a question
}

// NewPolkit puts a polkit on the bus whose answers are those of the function.
func NewPolkit(b *Bus, answer func(Check) Result) (*Polkit, error) {
	conn, err := dbus.Connect(b.Address())
	if err != nil {
		return nil, err
	}
	p := &Polkit{conn: conn, answer: answer, withdrawn: map[string]chan struct{}{}}
	err = conn.Export(p, "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority")
	if err == nil {
		var reply dbus.RequestNameReply
		reply, err = conn.RequestName("org.freedesktop.PolicyKit1", dbus.NameFlagDoNotQueue)
		if err == nil && reply != dbus.RequestNameReplyPrimaryOwner {
			err = errors.New("there is a polkit already")
		}
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return p, nil
}

// Close takes it from the bus.
func (p *Polkit) Close() { p.conn.Close() }

// Subject is a struct of polkit's protocol.
type Subject struct {
	Kind    string
	Details map[string]dbus.Variant
}

// Outcome is a struct of polkit's protocol.
type Outcome struct {
	Authorized, Challenge bool
	Details               map[string]string
}

// CheckAuthorization is polkit's method.
func (p *Polkit) CheckAuthorization(s Subject, action string, details map[string]string, flags uint32, ticket string) (Outcome, *dbus.Error) {
	name, _ := s.Details["name"].Value().(string)
	if s.Kind != "system-bus-name" || name == "" {
		return Outcome{}, dbus.MakeFailedError(fmt.Errorf("subject %v", s))
	}
	withdrawn := make(chan struct{})
	p.mu.Lock()
	p.withdrawn[ticket] = withdrawn
	p.mu.Unlock()
	r := p.answer(Check{name, action, details, flags&1 != 0, withdrawn})
	if r.Details == nil {
		r.Details = map[string]string{}
	}
	return Outcome(r), nil
}

// CancelCheckAuthorization is polkit's method.
func (p *Polkit) CancelCheckAuthorization(ticket string) *dbus.Error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if withdrawn := p.withdrawn[ticket]; withdrawn != nil {
		close(withdrawn)
		delete(p.withdrawn, ticket)
	}
	return nil
}
