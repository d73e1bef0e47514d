package main

import (
	"strings"
	"testing"

	"github.com/totpd/totpd/daemon/internal/throttle"
)

func TestAttacks(t *testing.T) {
	var table strings.Builder
	if err := run(&table, 10, attacks); err != nil {
		t.Errorf("%v\n%s", err, &table)
	}
	for _, a := range attacks {
		if a.parallel > 0 && !strings.Contains(table.String(), a.name) {
			t.Errorf("%s is not in the table", a.name)
		}
	}
	// A guesser who gets nowhere shows nothing.
	if r := play(attack{owner: phone, parallel: 64}, 10); r.guesses != 50 || r.lockedOut != 0 {
		t.Errorf("%+v", r)
	}
}

// The rules that don't hold what is promised are found out.
func TestRulesThatFail(t *testing.T) {
	for name, a := range map[string]attack{
		"a success clears the failures, as it once did": {owner: phone, parallel: 1, forget: throttle.Unlock},
		"and the guesser is patient":                    {owner: phone, parallel: 1, patient: true, forget: throttle.Unlock},
	} {
		a.name = name
		if err := run(&strings.Builder{}, 10, []attack{a}); err == nil || !strings.Contains(err.Error(), "the odds are") {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, r := range map[string]result{
		"the odds are": {odds: 3.1e-4}, "the owner waits 31s": {wait: waitMax + 1e9}, "locked out": {lockedOut: 1},
	} {
		if err := r.broken(attack{owner: phone}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
