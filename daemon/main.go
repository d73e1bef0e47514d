// Command totpd judges one-time codes. It keeps who has a second factor, answers the PAM module on one
// socket and totpctl on another. This package reads the configuration, opens the sockets, the store and
// the key, wires the parts and tells systemd how it goes. It decides nothing about anybody.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/config"
)

// version is set by the linker.
var version = ""

// flushTime is how long the end of the daemon waits for a log that nobody reads.
const flushTime = time.Second

// options are the command line.
type options struct {
	config string // empty: config.DefaultFile, which may be missing
	expect string // a table to test the rules against
	backup string // empty, backupAccounts or backupAll

	check, begin, offline, restore, acceptLoss, version bool
}

func main() {
	o, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		os.Exit(0)
	case err != nil:
		os.Exit(2)
	case o.version:
		fmt.Println("totpd", versionText())
		return
	}
	err = run(o)
	if err != nil && !errors.Is(err, errSaid) {
		newLog().Print(err)
	}
	if err != nil {
		os.Exit(1)
	}
}

func run(o options) error {
	switch {
	case o.begin:
		return begin(o.config, newLog())
	case o.offline:
		return offline(o.config, newLog())
	case o.backup != "":
		return backup(o.config, o.backup, newLog())
	case o.restore:
		return restore(o.config, newLog())
	case o.acceptLoss:
		return acceptLoss(o.config, newLog())
	}
	cfg, err := config.Load(o.config)
	switch {
	case err == nil && o.check:
		return check(cfg, o.expect, os.Stdout, newLog())
	case err == nil:
		return serving(func(lines *audit.Queue) error { return serve(o, cfg, lines) })
	case o.check:
		return err
	}
	return serving(func(lines *audit.Queue) error { return turnAwayAnyway(o.config, err, lines) })
}

// serving runs a daemon whose log keeps nothing waiting. The error is in the log once it returns.
func serving(run func(lines *audit.Queue) error) error {
	lines := audit.NewQueue(os.Stderr)
	defer lines.Flush(flushTime)
	err := run(lines)
	if err != nil && !errors.Is(err, errSaid) {
		logTo(lines).Print(err)
		return errors.Join(errSaid, err)
	}
	return err
}

func parse(args []string, errout io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("totpd", flag.ContinueOnError)
	f.SetOutput(errout)
	f.StringVar(&o.config, "config", "", "read settings from `FILE` (default "+config.DefaultFile+")")
	f.BoolVar(&o.check, "check", false, "explain the effective settings and exit; status 1 when they are broken")
	f.StringVar(&o.expect, "expect", "", "with -check: test the rules against the table in `FILE`; status 1 when they differ")
	f.BoolVar(&o.begin, "init", false, "make the store at the first installation, and exit; nothing where there is one")
	f.BoolVar(&o.offline, "offline", false, "serve root at the other end of standard input from the store, without a daemon")
	f.StringVar(&o.backup, "backup", "", "write `WHAT`, accounts or all, to the file that is standard input")
	f.BoolVar(&o.restore, "restore", false, "put the accounts back from the file that is standard input; no daemon may run")
	f.BoolVar(&o.acceptLoss, "accept-loss", false, "go on with what is left of the accounts; no daemon may run")
	f.BoolVar(&o.version, "version", false, "print the version and exit")
	f.Usage = func() {
		fmt.Fprintln(errout, "usage: totpd [-config FILE] [-check [-expect FILE] | -init | -offline | -backup WHAT | -restore | -accept-loss]")
		f.PrintDefaults()
		fmt.Fprintln(errout, "example: totpd -config /etc/totpd/totpd.toml -check")
	}
	if err := f.Parse(args); err != nil {
		return options{}, err
	}
	wrong := ""
	switch {
	case f.NArg() > 0:
		wrong = fmt.Sprintf("unexpected argument %q", f.Arg(0))
	case o.expect != "" && !o.check:
		wrong = "-expect goes with -check"
	case o.backup != "" && o.backup != backupAccounts && o.backup != backupAll:
		wrong = "-backup is of accounts, or of all"
	case o.alone() > 1:
		wrong = "-check, -init, -offline, -backup, -restore and -accept-loss don't go together"
	default:
		return o, nil
	}
	fmt.Fprintf(errout, "totpd: %s\n", wrong)
	f.Usage()
	return options{}, errors.New(wrong)
}

// alone counts the options that each ask for something else.
func (o options) alone() int {
	n := 0
	for _, asked := range []bool{o.check, o.begin, o.offline, o.backup != "", o.restore, o.acceptLoss} {
		if asked {
			n++
		}
	}
	return n
}

// serve runs the daemon until a signal ends it.
func serve(o options, cfg config.Config, lines *audit.Queue) error {
	syscall.Umask(0o077)
	// A login is a chain of short steps with one wait for the disk in it. On one processor it stays on one
	// thread; on several, each step wakes another one, and takes longer for it. Waits for the disk and the
	// name service hold no processor.
	if os.Getenv("GOMAXPROCS") == "" {
		runtime.GOMAXPROCS(1)
	}
	// Without this, Go ends the process when journald, at the other end of standard error, is restarted.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	// Two channels: one that is full of SIGHUP would lose a SIGTERM.
	hangUp, end := make(chan os.Signal, 1), make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	signal.Notify(end, syscall.SIGTERM, syscall.SIGINT)

	d, err := start(context.Background(), o.config, cfg, lines)
	if err != nil {
		return err
	}
	defer d.close()
	failed := d.serve()
	d.ready()
	for {
		select {
		case <-hangUp:
			d.reload()
		case s := <-end:
			d.log.Printf("%v: stopping", s)
			return d.stop()
		case err := <-failed:
			return errors.Join(err, d.stop())
		}
	}
}

// newLog writes what the daemon has to say of itself; decisions are audit's. The journal names the
// program itself.
func newLog() *log.Logger { return logTo(os.Stderr) }

// logTo is newLog to what ends at standard error.
func logTo(w io.Writer) *log.Logger {
	if isJournal, _ := journal.StderrIsJournalStream(); isJournal {
		return log.New(w, "", 0)
	}
	return log.New(w, "totpd: ", 0)
}

func versionText() string {
	if version != "" {
		return version
	}
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}
