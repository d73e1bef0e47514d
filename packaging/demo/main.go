// Command demo tells one user's story on real parts: enrols through a real terminal, has the QR code
// read from its screen, logs in with password and code, is refused without, loses the phone and uses a
// recovery code, and is helped by root. Another one must enrol, inside the first ssh login. It prints each
// step as it happens and ends with 0 only when every step went as it should.
//
// It runs in a throwaway world (package world). Where the machine forbids one, it tells the same story
// through libpam alone, and says what that can't show.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/totpd/totpd/packaging/world"
)

func main() {
	hold := flag.Bool("hold", false, "leave the world up afterwards, until Ctrl-C or for an hour")
	alone := flag.Bool("libpam", false, "tell the story through libpam alone, also where a world could be made")
	flag.Parse()
	os.Exit(run(*hold, *alone))
}

func run(hold, alone bool) int {
	top, err := world.FindTop(".")
	if err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	err = fmt.Errorf("%w: not wanted", world.ErrForbidden)
	if !alone {
		var w *world.World
		// The machine's network, so that a person's own ssh client reaches the world.
		w, err = world.Enter(world.Options{Top: top, Name: "demo", Network: true})
		if err == nil {
			return inWorld(w, hold)
		}
	}
	if !errors.Is(err, world.ErrForbidden) {
		fmt.Fprintln(os.Stderr, "demo:", err)
		return 1
	}
	fmt.Printf("This machine gives us %v.\n", err)
	return throughLibpam(top, hold)
}

// story prints the steps and knows whether all went well.
type story struct {
	began     time.Time
	steps     int
	terminals int // that were opened
	err       error
	stop      <-chan os.Signal
}

func newStory() *story {
	stop := make(chan os.Signal, 1)
	// SIGPIPE too: whoever read the steps is gone, and the demo still has to clean up.
	signal.Notify(stop, syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	return &story{began: time.Now(), stop: stop}
}

// step does one step unless one before it failed, and prints in plain words what and how it went.
func (s *story) step(what string, do func() error) {
	if s.err != nil {
		return
	}
	s.steps++
	fmt.Printf("%2d. %s ... ", s.steps, what)
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case s.err = <-done:
	case sig := <-s.stop:
		s.err = fmt.Errorf("interrupted: %v", sig)
	}
	if s.err != nil {
		fmt.Printf("FAILED\n    %v\n", s.err)
		return
	}
	fmt.Println("ok")
}

// end prints how the story went, with what helps to find out why it failed, and returns the exit status.
func (s *story) end(terms *world.Terminals, logs string) int {
	if s.err != nil {
		fmt.Printf("\n%s%s\nThe demo failed at step %d.\n", terms.Screens(2), logs, s.steps)
		return 1
	}
	fmt.Printf("All %d steps went as they should, in %.0f s.\n", s.steps, time.Since(s.began).Seconds())
	return 0
}
