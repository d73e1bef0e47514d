package stack

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/msteinert/pam/v2"
)

// Stacks made at random come to the same end in libpam as here. Their modules are pam_debug, which answers
// as it is told.
func TestWalkAgreesWithLibpam(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	dir := t.TempDir()
	accepted := 0
	for round := range 1000 {
		for _, name := range []string{"svc", "inner", "inmost"} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(randomStack(random, dir, name)), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		entries, err := OpenDir(dir).Stack("svc", Auth)
		if err != nil {
			t.Fatal(err)
		}
		ends, _ := Walk(entries, 0, func(e Entry) []Answer {
			return []Answer{{Value: strings.TrimPrefix(e.Args[0], "auth=")}}
		})
		tx, err := pam.StartConfDir("svc", "root", pam.ConversationFunc(func(pam.Style, string) (string, error) { return "", nil }), dir)
		if err != nil {
			t.Fatal(err)
		}
		err = tx.Authenticate(0)
		if endErr := tx.End(); endErr != nil {
			t.Fatal(endErr)
		}
		if len(ends) != 1 || ends[0].Accepted != (err == nil) {
			t.Fatalf("round %d: libpam says %v, here %+v:\n%s", round, err, ends, strings.Join(shown(entries), "\n"))
		}
		if err == nil {
			accepted++
		} else if errors.Is(err, pam.ErrModuleUnknown) {
			t.Fatal("pam_debug.so is missing")
		}
	}
	if accepted < 100 || accepted > 900 {
		t.Errorf("%d of 1000 accepted: the stacks try too little", accepted)
	}
}

// randomStack is the text of a file. libpam 1.5 looks for included files in its own directory even after
// pam_start_confdir(3), so they are named by their paths.
func randomStack(r *rand.Rand, dir, name string) string {
	answers := []string{"success", "success", "success", "auth_err", "ignore", "user_unknown"}
	actions := []string{"ok", "done", "bad", "die", "ignore", "reset", "1", "2", "1"}
	pick := func(all []string) string { return all[r.IntN(len(all))] }
	var b strings.Builder
	for range 1 + r.IntN(6) {
		control := pick([]string{"required", "requisite", "sufficient", "optional", "[]"})
		switch deeper := map[string]string{"svc": "inner", "inner": "inmost"}[name]; {
		case deeper != "" && r.IntN(4) == 0:
			fmt.Fprintf(&b, "auth %s %s/%s\n", pick([]string{"include", "substack", "substack"}), dir, deeper)
			continue
		case control == "[]":
			control = fmt.Sprintf("[success=%s ignore=%s default=%s]", pick(actions), pick(actions), pick(actions))
		}
		fmt.Fprintf(&b, "auth %s pam_debug.so auth=%s\n", control, pick(answers))
	}
	return b.String()
}

func TestWalkReportsEveryWay(t *testing.T) {
	const password, code Fact = 1, 2
	f := Parse("/etc/pam.d/x", "x", []byte("auth sufficient pam_a.so\nauth required pam_b.so\n"))
	var entries []Entry
	for _, l := range f.Lines {
		entries = append(entries, Entry{Line: l})
	}
	ends, visits := Walk(entries, 0, func(e Entry) []Answer {
		fact := map[string]Fact{"pam_a": password, "pam_b": code}[e.Name()]
		return []Answer{{"success", fact}, {"auth_err", 0}}
	})
	want := map[End]bool{{true, false, password, 0}: true, {true, false, code, 1}: true, {false, false, 0, 1}: true}
	for _, end := range ends {
		if !want[end] {
			t.Errorf("end %+v", end)
		}
		delete(want, end)
	}
	if len(want) > 0 || len(visits) != 2 {
		t.Errorf("missing ends %v; visits %v", want, visits)
	}
}
