package main

import (
	"cmp"
	"encoding/xml"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/throttle"
)

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// all returns what the first group of the expression finds, each once, in order.
func all(expression, text string) []string {
	var found []string
	for _, m := range regexp.MustCompile(expression).FindAllStringSubmatch(text, -1) {
		found = append(found, m[1])
	}
	slices.Sort(found)
	return slices.Compact(found)
}

// TestManual holds totpd(8) to the daemon: what it lists is all that there is, and there is nothing else.
func TestManual(t *testing.T) {
	page := strings.NewReplacer(`\-`, `-`, `\(dq`, `"`).Replace(readFile(t, "../packaging/man/totpd.8"))
	var usage strings.Builder
	parse([]string{"-h"}, &usage)
	lines, events := readFile(t, "internal/audit/line.go"), readFile(t, "internal/audit/audit.go")
	_, results, _ := strings.Cut(page, "\n.It Li TOTPD_RESULT\nOne of ")
	results, _, _ = strings.Cut(results, "\n.It")
	for _, c := range []struct {
		what     string
		said, is []string
	}{
		{"options", all(`(?m)^\.It Fl (\w+)`, page), all(`(?m)^  -(\w+)`, usage.String())},
		{"journal fields", all(`(?m)^\.It Li (TOTPD_\w+)`, page), all(`"(TOTPD_[A-Z_]+)"`, lines)},
		{"MESSAGE_IDs", all(`\b([0-9a-f]{32})\b`, page), all(`"([0-9a-f]{32})"`, lines)},
		{"results", all(`([a-z_]+)`, results), all(`Result = "([a-z_]+)"`, events)},
		{"polkit actions", all(`(?m)^\.It Li (org\.totpd\.manage\.\w+)`, page),
			all(`<action id="([^"]+)">`, readFile(t, "../packaging/polkit/org.totpd.policy"))},
		{"D-Bus methods", all(`\.Fn ([A-Z]\w+)\n`, page), []string{"Subscribe"}},
		{"D-Bus signals", all(`(?m)^\.It Fn (.*)$`, page), signals(t)},
	} {
		if len(c.is) == 0 || !slices.Equal(c.said, c.is) {
			t.Errorf("%s: totpd(8) has %q\nthe daemon has %q", c.what, c.said, c.is)
		}
	}
	defaults := config.Default()
	for _, path := range []string{defaults.Listen.Login, defaults.Listen.Control, defaults.Listen.Password, defaults.Store.Path, defaults.Key.File} {
		if !strings.Contains(page, ".It Pa "+path+"\n") {
			t.Errorf("totpd(8) has no entry for %s", path)
		}
	}
	for _, name := range environment(t) {
		if !slices.Contains(all(`\bEv (\w+)`, page), name) {
			t.Errorf("totpd(8) has no word of the environment variable %s", name)
		}
	}
}

// TestSecurityFigures holds the figures of SECURITY.md to the code.
func TestSecurityFigures(t *testing.T) {
	text := readFile(t, "../SECURITY.md")
	want := func(what, figure string) {
		t.Helper()
		if !strings.Contains(text, figure) {
			t.Errorf("SECURITY.md has no %q: %s", figure, what)
		}
	}
	cfg := config.Default()
	limits := limitsOf(cfg)
	var waits time.Duration
	guess := float64(2*cfg.Code.Skew+1) / math.Pow10(cfg.Code.Digits)
	guesses := func(source string) int {
		codes := throttle.Codes{Limits: limits, Source: source, Odds: int(math.Round(guess * 1e8)), Usual: int(math.Round(guess * 1e8))}
		now := time.Unix(0, 0)
		acc := throttle.Know(account.Account{}, "known", now)
		waits = 0
		for {
			v := codes.Decide(acc, now)
			switch v.Kind {
			case throttle.Wait:
				waits += v.Until.Sub(now)
				now = v.Until
			case throttle.Locked:
				return throttle.Failures(acc)
			default:
				acc = codes.Failed(acc, now)
			}
		}
	}
	odds := func(guesses int) float64 { return 10000 * (1 - math.Pow(1-guess, float64(guesses))) }
	known := guesses("known")
	want("guesses until the lock", fmt.Sprintf("| %d, in a row or not", known))
	want("odds until the lock", fmt.Sprintf("= **%.0f in 10,000**", odds(known)))
	strangers := guesses("strange")
	want("a stranger's", fmt.Sprintf("; %d from where the owner has never logged in", strangers))
	want("a stranger's odds", fmt.Sprintf("| one of %d is right | %.1f in 10,000:", strangers, odds(strangers)))
	want("all waits until then", fmt.Sprintf("= %d,%03d s =", int(waits.Seconds())/1000, int(waits.Seconds())%1000))

	server := readFile(t, "internal/server/login.go") + readFile(t, "internal/server/control.go")
	found := regexp.MustCompile(`bounds\{all: (\d+), others: (\d+), each: \[kinds\]int\{(.*?)\}\}`).FindAllStringSubmatch(server, -1)
	if len(found) != 3 {
		t.Errorf("%d bounds, and SECURITY.md has 3", len(found))
	}
	for _, b := range found {
		each := map[string]string{}
		for _, m := range regexp.MustCompile(`(\w+): (\d+)`).FindAllStringSubmatch(b[3], -1) {
			each[m[1]] = m[2]
		}
		want("bounds", fmt.Sprintf(" | %s | %s | %s | %s | %s |\n", b[1], b[2], each["users"], cmp.Or(each["persons"], "-"), cmp.Or(each["namelesses"], "none")))
	}
}

// signals are those of the bus, each with its arguments, as the page spells them.
func signals(t *testing.T) []string {
	var node struct {
		Interfaces []struct {
			Signals []struct {
				Name string `xml:"name,attr"`
				Args []struct {
					Name string `xml:"name,attr"`
				} `xml:"arg"`
			} `xml:"signal"`
		} `xml:"interface"`
	}
	if err := xml.Unmarshal([]byte(readFile(t, "internal/bus/org.totpd.Events.xml")), &node); err != nil {
		t.Fatal(err)
	}
	var found []string
	for _, i := range node.Interfaces {
		for _, s := range i.Signals {
			text := s.Name
			for _, a := range s.Args {
				text += " " + a.Name
			}
			found = append(found, text)
		}
	}
	slices.Sort(found)
	return found
}

// environment are the variables that the daemon's own code reads.
func environment(t *testing.T) []string {
	var found []string
	err := filepath.WalkDir(".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
			found = append(found, all(`Getenv\("(\w+)"\)`, readFile(t, path))...)
		}
		return err
	})
	if err != nil || len(found) == 0 {
		t.Fatal(found, err)
	}
	return found
}
