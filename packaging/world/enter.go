package world

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
)

// Enter puts the calling program into a new world. It starts the program a second time, with the same
// arguments, in new namespaces; there Enter returns the world. In the first run it does not return: it
// waits and exits as the second did. Only where there can be no world does it return in the first run,
// with ErrForbidden or ErrNotBuilt.
//
// Call it first thing in main or TestMain. Both runs print to the same standard output.
func Enter(o Options) (*World, error) {
	if dir, second := Second(); second {
		return arrive(o, dir)
	}
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: it takes root", ErrForbidden)
	}
	for _, need := range []string{"build/stage", "build/debs"} {
		if _, err := os.Stat(filepath.Join(o.Top, need)); err != nil {
			return nil, fmt.Errorf("%w: %s is missing; run 'make world'", ErrNotBuilt, need)
		}
	}
	dir, err := os.MkdirTemp(filepath.Join(o.Top, "build"), "world.")
	if err != nil {
		return nil, err
	}
	code, err := Rerun(dir, o.Network)
	if rmErr := os.RemoveAll(dir); rmErr != nil {
		fmt.Fprintln(os.Stderr, "world:", rmErr)
	}
	switch {
	case errors.Is(err, ErrRefused):
		return nil, fmt.Errorf("%w: %w", ErrForbidden, err)
	case err != nil:
		return nil, err
	}
	if o.Afterwards != nil {
		code = o.Afterwards(code)
	}
	os.Exit(code)
	return nil, nil
}

// arrive builds the world around the second run. What the machine refuses ends the program here, so
// that the first run can say why.
func arrive(o Options, dir string) (*World, error) {
	w := &World{Options: o, Terminals: NewTerminals(runDir)}
	// The machine's /proc is still there, and numbers processes as the machine does.
	if self, err := os.Readlink("/proc/self"); err == nil {
		w.OuterPID, _ = strconv.Atoi(self)
	}
	if err := build(o, dir); err != nil {
		Refuse(err)
	}
	if err := settle(o.Name); err != nil {
		return nil, err
	}
	var err error
	w.Syslog, err = openSyslog("/dev/log", LogDir+"/syslog")
	return w, err
}
