package login

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/policy"
	"github.com/totpd/totpd/daemon/wire"
)

// Every state meets every message; what isn't in the table ends the login, refused.
func TestEveryStateMeetsEveryMessage(t *testing.T) {
	type meeting struct {
		state   state
		message message
	}
	legal := map[meeting]wire.Outcome{
		{begun, openMessage}:         0, // asked
		{asked, answerMessage}:       wire.Accepted,
		{proving, answerMessage}:     wire.Refused, // a code proves nothing
		{choosing, answerMessage}:    0,            // a code is no choice: asked again
		{confirming, answerMessage}:  0,            // nor one of the new device
		{noting, answerMessage}:      wire.Accepted,
		{remembering, answerMessage}: wire.Accepted,
	}
	for st := begun; st < ended; st++ {
		legal[meeting{st, abandonMessage}] = 0
	}
	for st := begun; st <= ended; st++ {
		for m := openMessage; m < messages; m++ {
			w := newWorld()
			d := w.reach(t, st)
			before := len(w.events.all)
			step := d.dispatch(context.Background(), m, []byte(w.code(t)))
			got := read(t, step)
			want, ok := legal[meeting{st, m}]
			switch {
			case st == ended:
				if !step.Done || len(step.Frames) != 0 || len(w.events.all) != before {
					t.Errorf("after the end, message %d: %+v", m, got)
				}
			case ok:
				if got.verdict != want {
					t.Errorf("state %d, message %d: %+v", st, m, got)
				}
			default:
				if e := w.last(t, before+1); got.verdict != wire.Refused || e.Reason != "out_of_order" {
					t.Errorf("state %d, message %d: %+v, %+v", st, m, got, e)
				}
			}
		}
	}
}

// reach returns a dialogue in a state.
func (w *world) reach(t *testing.T, st state) *Dialogue {
	t.Helper()
	w.cfg.Rules = policy.Rules{{Require: policy.Required, Remember: 30 * 24 * time.Hour}}
	user := "alice"
	if st == proving || st == choosing || st == confirming || st == noting {
		user = "bob"
	}
	d := w.begin(user)
	answer := func(text string) { d.Answer(context.Background(), []byte(text)) }
	if st != begun {
		d.Open(context.Background())
	}
	switch st {
	case remembering:
		w.pass(time.Hour)
		answer(w.code(t))
	case choosing:
		answer(wire.Proven)
	case confirming, noting:
		answer(wire.Proven)
		answer(strconv.Itoa(d.enrolment.choices.key))
		if st == noting {
			answer(w.firstCode(t, d))
		}
	case ended:
		d.Abandon()
	case asked:
		d.rule.Remember = 0
	}
	if d.state != st {
		t.Fatalf("in state %d, want %d", d.state, st)
	}
	return d
}

// A handler that accepts where its row doesn't allow it lets nobody in.
func TestOnlyAnAnswerMayAccept(t *testing.T) {
	for i, r := range table {
		if r.mayAccept != (r.message == answerMessage && (r.state == asked || r.state == noting || r.state == remembering)) {
			t.Errorf("row %d: %+v", i, r)
		}
	}
	saved := table
	t.Cleanup(func() { table = saved })
	table = []row{{begun, openMessage, func(*Dialogue, context.Context, []byte) decision {
		return decision{result: audit.Accepted}
	}, once, false}}
	w := newWorld()
	if got := w.login(t, "alice"); got.verdict != wire.Unavailable {
		t.Errorf("%+v", got)
	}
	if e := w.last(t, 1); e.Reason != "accepted_without_answer" {
		t.Errorf("%+v", e)
	}
	table[0].handle = func(*Dialogue, context.Context, []byte) decision { return decision{result: "surprise"} }
	if got := newWorld().login(t, "alice"); got.verdict != wire.Unavailable {
		t.Errorf("an unknown result: %+v", got)
	}
}

func TestNoMoreAnswersThanTries(t *testing.T) {
	for _, tries := range []int{-1, 0, 1, 2} {
		w := newWorld()
		w.cfg.Tries = tries
		d := w.begin("alice")
		got := read(t, d.Open(context.Background()))
		answers := 0
		for !got.done {
			answers++
			got = read(t, d.Answer(context.Background(), nil))
		}
		if got.verdict != wire.Refused || answers != max(tries, 1) {
			t.Errorf("%d tries: %d answers, %+v", tries, answers, got)
		}
		if got := read(t, d.Answer(context.Background(), []byte(w.code(t)))); got.verdict != 0 || !got.done {
			t.Errorf("%d tries: after the verdict %+v", tries, got)
		}
		if tries < 1 && w.login(t, "alice", w.code(t)).verdict != wire.Refused {
			t.Errorf("%d tries let a right code in", tries)
		}
	}
}

func TestAbandoned(t *testing.T) {
	w := newWorld()
	w.begin("alice").Abandon()
	if e := w.last(t, 1); e.Result != audit.Abandoned || e.User != "alice" || e.Reason != "before_open" {
		t.Errorf("%+v", e)
	}
	d := w.begin("alice")
	d.Open(context.Background())
	d.Abandon()
	d.Abandon()
	if e := w.last(t, 2); e.Result != audit.Abandoned || e.Reason != "before_answer" {
		t.Errorf("%+v", e)
	}
	if w.store.writes != 0 {
		t.Error("something was written")
	}
}

// Many logins with one code give one acceptance, in memory and on the real store.
func TestRaceOfLoginsWithOneCode(t *testing.T) {
	disk := newDisk(t)
	alice := account.Account{User: "alice", Devices: []account.Device{device("alice")}}
	err := disk.Update(context.Background(), "alice", func(account.Account) (account.Account, error) { return alice, nil })
	if err != nil {
		t.Fatal(err)
	}
	for name, s := range map[string]Store{"memory": newWorld().store, "disk": disk} {
		w := newWorld()
		w.Service.store = s
		code := w.code(t)
		if n := w.atOnce(t, 32, code); n != 1 {
			t.Errorf("%s: one code was accepted %d times", name, n)
		}
	}
}

// Guesses made at the same time gain nothing: no more are judged than one after the other.
func TestRaceOfGuesses(t *testing.T) {
	w := newWorld()
	w.cfg.Tries = 1
	if n := w.atOnce(t, 64, w.wrong(t)); n != 0 {
		t.Fatalf("%d wrong codes were accepted", n)
	}
	if n := w.store.accounts["alice"].Codes.Failures; n != 3 {
		t.Errorf("%d guesses were judged at once, want 3", n)
	}
}

// atOnce answers n dialogues, all asked before, at the same time. It returns how many were accepted.
func (w *world) atOnce(t *testing.T, n int, code string) int {
	t.Helper()
	var wait sync.WaitGroup
	steps := make([]Step, n)
	start := make(chan struct{})
	for i := range n {
		d := w.begin("alice")
		if got := read(t, d.Open(context.Background())); len(got.asks) != 1 {
			t.Fatalf("not asked: %+v", got)
		}
		wait.Go(func() {
			<-start
			steps[i] = d.Answer(context.Background(), []byte(code))
		})
	}
	close(start)
	wait.Wait()
	accepted := 0
	for _, s := range steps {
		if read(t, s).verdict == wire.Accepted {
			accepted++
		}
	}
	return accepted
}
