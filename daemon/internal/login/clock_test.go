package login

import (
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/audit"
)

// What is known against the host's clock stands in the line of each refusal that could come of it, and
// nowhere else: not before the person, not with what has other causes.
func TestDoubtedClock(t *testing.T) {
	const doubt = "the host's clock is not synchronised"
	w := newWorld()
	w.cfg.ClockDoubt = func() string { return doubt }
	code, wrong := w.code(t), w.wrong(t)
	var shown []string
	for _, answers := range [][]string{{code}, {code, "no code"}, {wrong, wrong, wrong}, nil} {
		shown = append(shown, w.login(t, "alice", answers...).tells...)
	}
	w.pass(time.Hour)
	w.cfg.ClockDoubt = func() string { return "" }
	w.login(t, "alice", w.wrong(t))
	got := map[string][]string{}
	for _, e := range w.events.all {
		got[e.Reason] = append(got[e.Reason], e.Detail)
		if e.Result == audit.Accepted && e.Detail != "" {
			t.Errorf("an accepted login: %s", e.Detail)
		}
	}
	for reason, want := range map[string][]string{
		"used_code":  {doubt},
		"wrong_code": {doubt, doubt, "until 2026-03-01T12:00:05Z; " + doubt, "until 2026-03-01T13:00:10Z"},
		"malformed":  {""},
		"wait":       {"until 2026-03-01T12:00:05Z"},
	} {
		if strings.Join(got[reason], "|") != strings.Join(want, "|") {
			t.Errorf("%s: %q, want %q", reason, got[reason], want)
		}
	}
	if strings.Contains(strings.Join(shown, "\n"), "clock") {
		t.Errorf("the person is told of it: %q", shown)
	}
}
