package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/godbus/dbus/v5"
	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/system"
)

// Where totpd tells its events on the system bus.
const (
	eventsName  = "org.totpd"
	eventsPath  = "/org/totpd"
	eventsIface = "org.totpd.Events"
)

func newEvents(c *command) *cobra.Command {
	return c.withJSON(&cobra.Command{
		Use:   "events [OPTIONS]",
		Short: "Follow refused logins, locks and enrolments",
		Long: `Print a line for each login of yours that was refused, and when your second
factor is set up, locked or taken away, as it happens. root sees everybody's.
totpctl log shows what happened before. Ctrl-C ends it.

They come over the system bus, also across restarts of totpd. --json prints one
object a line, with time, event (refused, locked, enrolled, disabled, lost or
restored), user and, where there are such, service, source, reason, reference,
device and detail. lost says that logins are no longer as totpctl setup made
them, and restored that they are again: these are for root.`,
		Example:           "  totpctl events --json",
		Args:              noArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := c.events(cmd.Context()); err != nil {
				return &failure{verb: "events", err: err, hint: eventsHint()}
			}
			return nil
		},
	})
}

// event is one signal. The order is that of --json.
type event struct {
	Time      time.Time `json:"time"`
	Event     string    `json:"event"`
	User      string    `json:"user"` // empty: it is about the host
	Service   string    `json:"service,omitempty"`
	Source    string    `json:"source,omitempty"`
	Reason    string    `json:"reason,omitempty"`
	Device    string    `json:"device,omitempty"`
	Detail    string    `json:"detail,omitempty"`
	Reference string    `json:"reference,omitempty"`
}

// events prints what is told until the person has enough of it, which is no failure.
func (c *command) events(ctx context.Context) error {
	conn, err := systemBus(ctx)
	if err != nil {
		return fmt.Errorf("connect to the system bus: %w", err)
	}
	defer conn.Close()
	signals := make(chan *dbus.Signal, 64)
	conn.Signal(signals)
	err = conn.AddMatchSignalContext(ctx, dbus.WithMatchSender("org.freedesktop.DBus"),
		dbus.WithMatchInterface("org.freedesktop.DBus"), dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, eventsName))
	if err != nil {
		return err
	}
	var owner string // of the name: nobody else's signals are totpd's
	if err := conn.BusObject().CallWithContext(ctx, "org.freedesktop.DBus.GetNameOwner", 0, eventsName).Store(&owner); err != nil {
		c.say("totpd is not on the system bus: waiting for it.")
	} else if err := c.subscribe(ctx, conn); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case s, ok := <-signals:
			switch {
			case !ok:
				return errors.New("the system bus has gone")
			case s.Name == "org.freedesktop.DBus.NameOwnerChanged" && s.Sender == "org.freedesktop.DBus":
				if owner = newOwner(s, owner); owner == "" {
					c.say("totpd has left the system bus: waiting for it.")
				} else if err := c.subscribe(ctx, conn); err != nil {
					return err
				}
			case s.Sender == owner:
				if e, ok := eventOf(s, c.now()); ok {
					if err := c.printEvent(e); err != nil {
						return err
					}
				}
			}
		}
	}
}

// subscribe says whose events come.
func (c *command) subscribe(ctx context.Context, conn *dbus.Conn) error {
	within, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	var account string
	err := conn.Object(eventsName, eventsPath).CallWithContext(within, eventsIface+".Subscribe", 0).Store(&account)
	switch {
	case ctx.Err() != nil:
		return nil
	case err != nil:
		return fmt.Errorf("subscribe: %w", err)
	case account == "":
		c.say("Waiting for everybody's events. Ctrl-C ends it.")
	default:
		c.say("Waiting for events of %s. Ctrl-C ends it.", printable(account))
	}
	return nil
}

// newOwner is who owns the name from now on.
func newOwner(s *dbus.Signal, now string) string {
	if len(s.Body) == 3 && s.Body[0] == eventsName {
		now, _ = s.Body[2].(string)
	}
	return now
}

// eventOf reads a signal. One that isn't known is skipped: a later totpd may tell more.
func eventOf(s *dbus.Signal, now time.Time) (event, bool) {
	name, ours := strings.CutPrefix(s.Name, eventsIface+".")
	e := event{Time: now.Round(time.Second), Event: strings.ToLower(name)}
	fields := map[string][]*string{
		"Refused":  {&e.User, &e.Service, &e.Source, &e.Reason, &e.Reference},
		"Locked":   {&e.User, &e.Reference},
		"Enrolled": {&e.User, &e.Device},
		"Disabled": {&e.User},
		"Lost":     {&e.Detail, &e.Reference},
		"Restored": {&e.Reference},
	}[name]
	if !ours || fields == nil || len(s.Body) < len(fields) {
		return event{}, false
	}
	for i, f := range fields {
		text, ok := s.Body[i].(string)
		if !ok {
			return event{}, false
		}
		*f = printable(text)
	}
	return e, true
}

// reasons are those of refused logins that not everybody understands as they are.
var reasons = map[string]string{
	"wrong_code":       "wrong code",
	"wrong_code_locks": "one wrong code too many",
	"used_code":        "a code that was used already",
	"malformed":        "no code was typed",
	"before_answer":    "broken off at the question for the code",
	"wait":             "too soon after wrong codes",
	"not_enrolled":     "not enrolled",
}

func (c *command) printEvent(e event) error {
	if c.json {
		return c.printJSON(e)
	}
	colour := c.colours()
	text := map[string]string{
		"refused":  colour.warn("login refused") + ": " + cmp.Or(reasons[e.Reason], e.Reason),
		"locked":   colour.bad("locked") + " after too many wrong codes",
		"enrolled": "second factor set up: " + e.Device,
		"disabled": "second factor taken away",
		"lost":     colour.bad("logins are no longer as totpctl setup made them") + ": " + e.Detail,
		"restored": "logins are as totpctl setup made them again",
	}[e.Event]
	for _, more := range []struct{ what, value string }{{"by", e.Service}, {"from", e.Source}} {
		if more.value != "" {
			text += ", " + more.what + " " + more.value
		}
	}
	if e.Reference != "" {
		text += " (reference " + e.Reference + ")"
	}
	_, err := fmt.Fprintf(c.out, "%s %s: %s\n", e.Time.Local().Format(time.DateTime), cmp.Or(e.User, "this host"), text)
	return err
}

// eventsHint is for when the system bus gives no events.
func eventsHint() string {
	if !system.Booted() {
		return "events come over the system bus: start that, then the daemon anew; totpctl log has the events too"
	}
	return "as root: systemctl status dbus totpd; journalctl -u totpd has the events too"
}
