package manners

import (
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

// opens gathers the Opens of a daemon's logins.
type opens struct {
	sync.Mutex
	all []wire.Open
}

// read returns an Open, and which it is: 0 for none.
func (o *opens) read(f *frames) (wire.Open, int) {
	frame, _ := f.next()
	open, err := wire.DecodeOpen(frame)
	if err != nil {
		return wire.Open{}, 0
	}
	o.Lock()
	defer o.Unlock()
	o.all = append(o.all, open)
	return open, len(o.all)
}

// A daemon that doesn't know the newest Version hangs up on it, and hears the one before.
func TestEarlierDaemon(t *testing.T) {
	var o opens
	w := newWorld(t, asan, func(c net.Conn) {
		f := frames2(c)
		if open, n := o.read(f); n == 0 || open.Version != 1 {
			return
		}
		c.Write(append(tell(), ask()...))
		f.next()
		c.Write(accept())
	})
	if got := w.alice(t); got != "0, asked 1, told hello" {
		t.Error(got)
	}
	if len(o.all) != 2 || o.all[0].Version != 2 || o.all[0].ID != o.all[1].ID {
		t.Errorf("%+v", o.all)
	}
}

// A daemon that was stopped just before it would have heard the Open hears the newest Version again.
func TestStoppedAtTheOpen(t *testing.T) {
	var o opens
	w := newWorld(t, plain, func(c net.Conn) {
		f := frames2(c)
		if _, n := o.read(f); n < 3 {
			return
		}
		c.Write(append(tell(), ask()...))
		f.next()
		c.Write(accept())
	})
	if got := w.alice(t); got != "0, asked 1, told hello" {
		t.Error(got)
	}
	if len(o.all) != 3 || o.all[2].Version != 2 {
		t.Errorf("%+v", o.all)
	}
}

// Whoever has given a good code and can't be asked for more is let in all the same.
func TestOptionalQuestion(t *testing.T) {
	optional := must(wire.AppendAsk(nil, wire.Optional, "Remember this computer? "))
	for questions, want := range map[int]string{1: "", 2: "123456"} {
		answer := make(chan string, 1)
		w := newWorld(t, asan, func(c net.Conn) {
			f := frames2(c)
			f.next()
			c.Write(ask())
			f.next()
			c.Write(optional)
			frame, _ := f.next()
			answer <- string(frame.Text)
			c.Write(accept())
		})
		if got := strings.TrimSpace(w.run(t, "gives-up", questions)); got != "0, asked 2, told" {
			t.Error(got)
		}
		if got := <-answer; got != want {
			t.Errorf("the daemon got %q", got)
		}
	}
}

// The calls on one handle are one login until one of them ends well; a child's are another's.
func TestRetriesAreOneLogin(t *testing.T) {
	var o opens
	w := newWorld(t, asan, func(c net.Conn) {
		f := frames2(c)
		if _, n := o.read(f); n == 0 {
			return
		}
		c.Write(ask())
		f.next()
		o.Lock()
		n := len(o.all)
		o.Unlock()
		if n == 3 || n == 8 {
			c.Write(accept())
		} else {
			c.Write(wire.AppendVerdict(nil, wire.Refused))
		}
	})
	if out := w.run(t, "retries", 6); out != "7 7 0 7 7 7 7 0\n" {
		t.Errorf("results %q", out)
	}
	var ids []int // equal where the ids are
	for i := range o.all {
		ids = append(ids, slices.IndexFunc(o.all, func(b wire.Open) bool { return b.ID == o.all[i].ID }))
	}
	if !slices.Equal(ids, []int{0, 0, 0, 3, 3, 3, 6, 3}) {
		t.Errorf("logins %v", ids)
	}
}

// The daemon learns how wide the login program's terminal is, but for sshd's.
func TestColumns(t *testing.T) {
	var o opens
	w := newWorld(t, plain, func(c net.Conn) {
		f := frames2(c)
		o.read(f)
		c.Write(ask())
		f.next()
		c.Write(accept())
	})
	w.log = nil // and with it the /dev of its own, which has no terminals
	w.run(t, "terminal", 132)
	w.alice(t)
	if len(o.all) != 3 || o.all[0].Columns != 132 || o.all[1].Columns != 0 || o.all[2].Columns != 0 {
		t.Errorf("%+v", o.all)
	}
}
