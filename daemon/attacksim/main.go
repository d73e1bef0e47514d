// Command attacksim lets somebody who has the password guess codes for a year, from any number of addresses
// and over any number of connections at once, beside an owner who logs in as people do. What it attacks is
// the very code that judges logins (verify and throttle); the time is made up.
//
// It prints a table, and fails when a guesser gets in with odds of more than 3 in 10,000 between two
// unlocks, or when strangers make the owner wait for longer than 30 s where the owner has logged in before.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"sync"
	"text/tabwriter"
	"time"
)

// What is promised, in SECURITY.md too.
const (
	oddsMax = 3e-4
	waitMax = 30 * time.Second
)

func main() {
	days := flag.Int("days", 365, "days of attack")
	flag.Parse()
	if err := run(os.Stdout, *days, attacks); err != nil {
		fmt.Fprintln(os.Stderr, "attacksim:", err)
		os.Exit(1)
	}
}

// run plays each attack and prints the table. Its error names the first promise that was broken.
func run(w io.Writer, days int, attacks []attack) (broken error) {
	results := make([]result, len(attacks))
	var all sync.WaitGroup
	for i, a := range attacks {
		all.Go(func() { results[i] = play(a, days) })
	}
	all.Wait()
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "attack\towner's devices\tguesses judged\todds between two unlocks\tunlocks\towner: not made good\tlongest wait, known source\tlocked out there\tnew source")
	for i, a := range attacks {
		r := results[i]
		fmt.Fprintf(table, "%s\t%s\t%d\t%.2f in 10,000\t%d\t%d\t%v\t%s\t%v%s\n", a.name, a.owner.name, r.guesses, r.odds*1e4,
			r.unlocks, r.failed, r.wait, times(r.lockedOut), r.waitNew.Round(time.Second), orLocked(r.lockedNew))
		if err := r.broken(a); err != nil && broken == nil {
			broken = err
		}
	}
	table.Flush()
	return broken
}

// broken says which promise the result breaks. Nothing is promised about the owner's wait where the guesser
// sits behind the owner's own address.
func (r result) broken(a attack) error {
	switch {
	case r.odds > oddsMax+1e-12:
		return fmt.Errorf("%s, %s: the odds are %.2f in 10,000, at most 3 are promised", a.name, a.owner.name, r.odds*1e4)
	case a.neighbour:
		return nil
	case r.wait > waitMax:
		return fmt.Errorf("%s, %s: the owner waits %v from a known source, at most %v are promised", a.name, a.owner.name, r.wait, waitMax)
	case r.lockedOut > 0:
		return fmt.Errorf("%s, %s: the owner is locked out at a known source", a.name, a.owner.name)
	}
	return nil
}

func times(n int) string {
	if n == 0 {
		return "never"
	}
	return fmt.Sprintf("%d times", n)
}

func orLocked(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(", locked %d times", n)
}
