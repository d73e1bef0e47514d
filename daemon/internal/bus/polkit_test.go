package bus

import (
	"bufio"
	"context"
	"errors"
	"maps"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/packaging/testbus"
)

// polkit puts one on the bus that answers as the test says.
func (w *world) polkit(t *testing.T, answer func(testbus.Check) testbus.Result) *testbus.Polkit {
	t.Helper()
	p, err := testbus.NewPolkit(w.Bus, answer)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return p
}

func yes(testbus.Check) testbus.Result { return testbus.Result{Authorized: true} }

// ask is the question of this process, which is on the bus as busName.
func ask(busName string) Question {
	return Question{
		UID: uint32(os.Geteuid()), PID: int32(os.Getpid()), BusName: busName,
		Action: "org.totpd.manage.disable", Details: map[string]string{"user": "alice"},
	}
}

func TestAnswers(t *testing.T) {
	w := newWorld(t)
	asked, results := make(chan testbus.Check, 1), make(chan testbus.Result, 1)
	w.polkit(t, func(c testbus.Check) testbus.Result { asked <- c; return <-results })
	name := w.join(t, os.Geteuid()).Names()[0]
	for _, tt := range []struct {
		result testbus.Result
		want   Answer
	}{
		{testbus.Result{}, Denied},
		{testbus.Result{Authorized: true}, Authorized},
		{testbus.Result{Challenge: true}, Challenge},
		{testbus.Result{Details: map[string]string{"polkit.dismissed": "true"}}, Dismissed},
		{testbus.Result{Details: map[string]string{"other": "true"}}, Denied},
	} {
		for _, interactive := range []bool{false, true} {
			results <- tt.result
			q := ask(name)
			q.Interactive = interactive
			answer, err := w.daemon.Authorize(soon(t), q)
			got := <-asked
			if err != nil || answer != tt.want {
				t.Errorf("%+v: %v, %v", tt.result, answer, err)
			}
			if got.BusName != name || got.Action != q.Action || got.Interactive != interactive || !maps.Equal(got.Details, q.Details) {
				t.Errorf("polkit was asked %+v", got)
			}
		}
	}
}

// Whatever name a caller gives, polkit isn't even asked unless it is that process's own.
func TestNamesOfOthers(t *testing.T) {
	w := newWorld(t)
	w.polkit(t, func(c testbus.Check) testbus.Result {
		t.Errorf("polkit was asked about %s", c.BusName)
		return testbus.Result{Authorized: true}
	})
	own := w.join(t, os.Geteuid())
	gone := w.join(t, os.Geteuid())
	goneName := gone.Names()[0]
	gone.Close()
	other := w.otherProcess(t)
	for what, change := range map[string]func(*Question){
		"another process's name, same user": func(q *Question) { q.BusName = other },
		"a name that is gone":               func(q *Question) { q.BusName = goneName },
		"a name that never was":             func(q *Question) { q.BusName = ":1.99999" },
		"no name":                           func(q *Question) { q.BusName = "" },
		"a name that isn't unique":          func(q *Question) { q.BusName = Name },
		"the bus":                           func(q *Question) { q.BusName = driver },
		"a name that is something else too": func(q *Question) { q.BusName = own.Names()[0] + "\x00" },
		"a rule":                            func(q *Question) { q.BusName = ":1.1',arg0='x" },
		"another user":                      func(q *Question) { q.UID++ },
		"no process":                        func(q *Question) { q.PID = 0 },
		"a process that the kernel hides":   func(q *Question) { q.PID = -1 },
		"another process":                   func(q *Question) { q.PID = int32(os.Getppid()) },
	} {
		q := ask(own.Names()[0])
		change(&q)
		if answer, err := w.daemon.Authorize(soon(t), q); answer != Denied || err == nil {
			t.Errorf("%s: %v, %v", what, answer, err)
		}
	}
}

// TestNameOfAnotherUser needs root, to be another user: with the same pid, only the uid tells.
func TestNameOfAnotherUser(t *testing.T) {
	w := newWorld(t)
	w.polkit(t, yes)
	theirs := w.join(t, nobody).Names()[0]
	if answer, err := w.daemon.Authorize(soon(t), ask(theirs)); answer != Denied || err == nil {
		t.Errorf("as root: %v, %v", answer, err)
	}
	q := ask(theirs)
	q.UID = nobody
	if answer, err := w.daemon.Authorize(soon(t), q); answer != Authorized || err != nil {
		t.Errorf("as themselves: %v, %v", answer, err)
	}
}

// otherProcess is the name of another process of the same user on the bus.
func (w *world) otherProcess(t *testing.T) string {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), joinAs+"="+w.Address())
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stdin.Close(); cmd.Wait() })
	name, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(name)
}

func TestWithoutPolkit(t *testing.T) {
	w := newWorld(t)
	name := w.join(t, os.Geteuid()).Names()[0]
	if answer, err := w.daemon.Authorize(soon(t), ask(name)); answer != Denied || err == nil {
		t.Errorf("before: %v, %v", answer, err)
	}
	p := w.polkit(t, yes)
	if answer, err := w.daemon.Authorize(soon(t), ask(name)); answer != Authorized {
		t.Errorf("with: %v, %v", answer, err)
	}
	p.Close()
	if !testbus.Eventually(func() bool {
		answer, err := w.daemon.Authorize(soon(t), ask(name))
		return answer == Denied && err != nil
	}) {
		t.Error("after: authorized")
	}
}

// A question whose time is over, or whose asker is gone, is taken back.
func TestWithdraw(t *testing.T) {
	w := newWorld(t)
	withdrawn := make(chan bool, 2)
	w.polkit(t, func(c testbus.Check) testbus.Result {
		select {
		case <-c.Withdrawn:
			withdrawn <- true
		case <-time.After(10 * time.Second):
			withdrawn <- false
		}
		return testbus.Result{Authorized: true}
	})
	q := ask(w.join(t, os.Geteuid()).Names()[0])
	q.Interactive = true
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if answer, err := w.daemon.Authorize(ctx, q); answer != Denied || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v, %v", answer, err)
	}
	if !<-withdrawn {
		t.Error("the dialogue stays open")
	}
	// Where nobody is asked, polkit has no more time than it takes to start.
	begun := time.Now()
	q.Interactive = false
	if answer, err := w.daemon.Authorize(t.Context(), q); answer != Denied || err == nil {
		t.Errorf("%v, %v", answer, err)
	}
	if took := time.Since(begun); took < patience || took > patience+2*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestBusGoesAndComes(t *testing.T) {
	w := newWorld(t)
	w.polkit(t, yes)
	name := w.join(t, os.Geteuid()).Names()[0]
	w.Stop()
	if answer, err := w.daemon.Authorize(soon(t), ask(name)); answer != Denied || err == nil {
		t.Errorf("without a bus: %v, %v", answer, err)
	}
	if !testbus.Eventually(func() bool { return strings.Contains(w.log.String(), "while there is no system bus") }) {
		t.Errorf("nothing was said:\n%s", w.log)
	}
	if err := w.Start(); err != nil {
		t.Fatal(err)
	}
	w.connected(t)
	// The names begin anew: that of before is somebody else's, or nobody's.
	if answer, err := w.daemon.Authorize(soon(t), ask(":1.9999")); answer != Denied || err == nil {
		t.Errorf("%v, %v", answer, err)
	}
	w.polkit(t, yes)
	if answer, err := w.daemon.Authorize(soon(t), ask(w.join(t, os.Geteuid()).Names()[0])); answer != Authorized {
		t.Errorf("after: %v, %v", answer, err)
	}
	if strings.Count(w.log.String(), "\n") != 2 || !strings.HasSuffix(w.log.String(), "bus: connected\n") {
		t.Errorf("said:\n%s", w.log)
	}
}

// A bus that hangs is given up, and found again when it doesn't any more.
func TestBusHangs(t *testing.T) {
	w := newWorld(t)
	w.polkit(t, yes)
	name := w.join(t, os.Geteuid()).Names()[0]
	w.Freeze()
	begun := time.Now()
	if answer, err := w.daemon.Authorize(soon(t), ask(name)); answer != Denied || err == nil {
		t.Errorf("%v, %v", answer, err)
	}
	if took := time.Since(begun); took > driverTime+2*time.Second {
		t.Errorf("took %v", took)
	}
	if !testbus.Eventually(func() bool { return w.daemon.connection() == nil }) {
		t.Error("not given up")
	}
	w.Thaw()
	if !testbus.Eventually(func() bool { answer, _ := w.daemon.Authorize(soon(t), ask(name)); return answer == Authorized }) {
		t.Errorf("not found again:\n%s", w.log)
	}
}

func TestCloseWhileTheBusHangs(t *testing.T) {
	w := newWorld(t)
	w.Freeze()
	begun := time.Now()
	w.daemon.Close()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}
