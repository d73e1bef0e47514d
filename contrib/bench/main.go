package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// options are the command line.
type options struct {
	top   string // of the repository
	quick bool
	check bool
	log   string // socket or none
	only  string // parts, empty: all
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2)
	}
	if err := run(o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	var o options
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.top, "top", ".", "the repository is in `DIR`")
	f.BoolVar(&o.quick, "quick", false, "try every path with small counts: the figures mean nothing")
	f.BoolVar(&o.check, "check", false, "status 1 when a figure misses its limit")
	f.StringVar(&o.log, "log", "socket", "socket: a /dev/log that is read; none: no /dev/log")
	f.StringVar(&o.only, "only", "", "measure only these `PARTS`, with commas: same, fork, unasked, dormant, daemon, crowd, 100k, 1m")
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	if f.NArg() > 0 || (o.log != "socket" && o.log != "none") {
		f.Usage()
		return options{}, errors.New("usage")
	}
	top, err := filepath.Abs(o.top)
	o.top = top
	return o, err
}

// run measures all, in namespaces of its own, and prints the report.
func run(o options, out io.Writer) error {
	if !inside() {
		return enter(o, out)
	}
	b, err := prepare(o, os.Getenv(insideEnv))
	if err != nil {
		return err
	}
	r, err := b.measure()
	if err != nil {
		return err
	}
	text := r.String()
	if _, err := io.WriteString(out, text); err != nil {
		return err
	}
	if !o.quick && o.only == "" {
		if err := os.WriteFile(filepath.Join(o.top, "build", "bench.txt"), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if missed := r.missed(); o.check && len(missed) > 0 {
		return fmt.Errorf("beyond the limit: %v", missed)
	}
	return nil
}
