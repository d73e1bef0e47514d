package main

import (
	"testing"
	"time"
)

func TestAHintIsOneWordForAShell(t *testing.T) {
	for name, want := range map[string]string{
		"alice": "alice", "jörg.o-k_1@example": "jörg.o-k_1@example", "a b": "'a b'", "o'hara": `'o'\''hara'`,
		"$(reboot)": "'$(reboot)'", "--yes": "'--yes'", "": "''", "a\nb": "'a?b'", `EX\bob`: `'EX\bob'`,
	} {
		if got := quote(name); got != want {
			t.Errorf("quote %q: %s, want %s", name, got, want)
		}
	}
}

func TestDurationsInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                  "0 seconds",
		time.Second:        "1 second",
		89 * time.Second:   "89 seconds",
		90 * time.Second:   "2 minutes",
		240 * time.Second:  "4 minutes",
		100 * time.Minute:  "100 minutes",
		119 * time.Minute:  "119 minutes",
		150 * time.Minute:  "3 hours",
		47 * time.Hour:     "47 hours",
		365 * 24 * 3600e9:  "365 days",
		1499 * time.Second: "25 minutes",
	} {
		if got := inWords(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
}
