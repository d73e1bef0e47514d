package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/daemon/control"
)

// logOptions are the options of log.
type logOptions struct {
	since     string
	reference string
	limit     int
	follow    bool
	all       bool
}

// pollEvery is how often -f asks for what is new.
const pollEvery = time.Second

func newLog(c *command) *cobra.Command {
	var o logOptions
	cmd := &cobra.Command{
		Use:   "log [USER] [OPTIONS]",
		Short: "Show who logged in and what was changed, when and from where",
		Long: `Print a line for each login and each change of a second factor, with how it went
and why, and the reference that the person was shown; the newest last.

Without USER it is your own; root's is everybody's. Those of others are for root
to see, and for whom polkit allows org.totpd.manage.log; with --all, they see
everybody's.

--reference finds what the person read on the screen. Where the daemon could not
be reached the PAM module has refused the login by itself, and its line is in
the system log: journalctl --grep REF.

--since takes a time that has passed (90m, 12h, 7d), or a day such as 2026-03-01
with or without a time of day. --json prints one object a line, with id, time,
user, kind, result and, where there are such, reason, service, source, tty,
caller_uid, device, reference, detail and action. How long events are kept is
set in totpd.toml(5), [log].`,
		Example:           "  totpctl log --reference 7F3K-Q2ND",
		Args:              atMostUser,
		ValidArgsFunction: c.completeUser,
		RunE: func(cmd *cobra.Command, args []string) error {
			return c.log(cmd.Context(), userOf(args), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.since, "since", "", "what happened since this `TIME`")
	f.StringVar(&o.reference, "reference", "", "what the person was shown as reference `REF`")
	f.IntVar(&o.limit, "limit", 50, "the newest `N`; 0: all")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with what happens next, until Ctrl-C")
	f.BoolVar(&o.all, "all", false, "everybody's")
	for _, flag := range []string{"since", "reference", "limit"} {
		cmd.RegisterFlagCompletionFunc(flag, cobra.NoFileCompletions)
	}
	return c.withPolkit(c.withJSON(cmd))
}

// request checks the options.
func (o logOptions) request(user string, now time.Time) (control.LogRequest, error) {
	r := control.LogRequest{User: user, Reference: referenceOf(o.reference)}
	switch {
	case o.all && user != "":
		return r, &misuse{"--all is everybody's log, and a user is named", "leave one of them out"}
	case o.limit < 0:
		return r, &misuse{"--limit is 0 or more", "totpctl log --limit 50"}
	case o.since != "":
		var err error
		if r.Since, err = since(o.since, now); err != nil {
			return r, &misuse{"--since is a time such as 90m, 12h, 7d or 2026-03-01, not " + quote(o.since), "totpctl log --since 12h"}
		}
	}
	return r, nil
}

// referenceOf is a reference as it was shown, however it was read out and typed.
func referenceOf(typed string) string {
	ref := strings.NewReplacer(" ", "", "-", "").Replace(strings.ToUpper(typed))
	if len(ref) == 8 {
		ref = ref[:4] + "-" + ref[4:]
	}
	return ref
}

func (c *command) log(ctx context.Context, user string, o logOptions) error {
	r, err := o.request(user, c.now())
	if err != nil {
		return err
	}
	everybody := o.all || user == "" && os.Geteuid() == 0
	ask := func(asking context.Context, client *control.Client) error {
		fetch := func(r control.LogRequest) (control.Log, error) {
			if everybody {
				return client.LogAll(asking, r)
			}
			return client.Log(asking, r)
		}
		return c.printLog(ctx, fetch, r, o)
	}
	if everybody {
		err = c.asAdmin(ctx, toLook, ask)
	} else {
		err = c.forUser(ctx, user, toLook, ask)
	}
	if err != nil && o.follow && ctx.Err() != nil {
		return nil // somebody has had enough of it
	}
	if code := codeOf(err); code == control.ErrUnreachable || code == control.ErrTimeout {
		c.sayElsewhere(r.Reference)
	}
	return failed("log", user, err)
}

// sayElsewhere says where a reference is that the daemon doesn't know: that of a login which the PAM module had to
// refuse by itself. Without a reference it says nothing.
func (c *command) sayElsewhere(reference string) {
	if reference == "" {
		return
	}
	c.say("Where a login could not reach the daemon, its line is in the system log. As root:")
	c.say("  journalctl --grep %s", quote(reference))
	c.say("  grep -r %s /var/log     where there is no journal", quote(reference))
}

// printLog prints the newest entries, and with -f those that come, also across restarts of the daemon.
func (c *command) printLog(ctx context.Context, fetch func(control.LogRequest) (control.Log, error), r control.LogRequest, o logOptions) error {
	entries, err := newest(fetch, r, o.limit)
	if err != nil {
		return err
	}
	if len(entries) == 0 && !o.follow {
		c.say("Nothing was found.")
		c.sayElsewhere(r.Reference)
	}
	for {
		for _, e := range entries {
			if err := c.printEntry(e); err != nil {
				return err
			}
			r.After = e.ID
		}
		if !o.follow {
			return nil
		}
		select {
		case <-time.After(pollEvery):
		case <-ctx.Done():
			return nil
		}
		log, err := fetch(r)
		if code := codeOf(err); err != nil && code != control.ErrUnreachable && code != control.ErrTimeout {
			return err
		}
		entries = log.Entries
	}
}

// newest asks for the newest entries, up to limit of them or all, from the newest back.
func newest(fetch func(control.LogRequest) (control.Log, error), r control.LogRequest, limit int) ([]control.LogEntry, error) {
	var pages [][]control.LogEntry // the newest first
	got := 0
	for {
		r.Limit = control.LogMax
		if limit > 0 {
			r.Limit = min(limit-got, control.LogMax)
		}
		log, err := fetch(r)
		if err != nil {
			return nil, err
		}
		pages = append(pages, log.Entries)
		if got += len(log.Entries); len(log.Entries) < r.Limit || got == limit {
			slices.Reverse(pages)
			return slices.Concat(pages...), nil
		}
		r.Before = log.Entries[0].ID
	}
}

func (c *command) printEntry(e control.LogEntry) error {
	if c.json {
		return c.printJSON(e)
	}
	_, err := fmt.Fprintln(c.out, inPlainWords(e, c.colours()))
	return err
}

// whats are the words for what was decided about.
var whats = map[string]string{
	"login": "login", "enrol": "enrolment", "disable": "disable", "authorize": "help allowed by polkit",
	"control": "request", "devices": "change of devices", "recovery": "new recovery codes", "bypass": "bypass code",
	"export": "export of keys", "unlock": "unlock", "reset": "reset", "forget": "forgetting of computers",
	"backup": "backup", "setup": "check of this host's logins",
}

// results are the words for how it was decided. That of what was done is its name alone.
var results = map[string]string{
	"accepted": "accepted", "not_due": "without a code", "retry": "asked again", "refused": "refused",
	"unavailable": "could not be decided", "abandoned": "broken off", "started": "begun", "done": "done",
	"lost": "a code may not be asked for any more",
}

// whys are the words for reasons that logins don't share with events.
var whys = map[string]string{
	"code": "right code", "code_repeated": "right code, asked for twice", "exempt": "exempt by a rule",
	"unknown_user": "no such user", "not_own_login": "a program of somebody else asked", "before_open": "before anything was asked",
	"not_allowed": "not allowed", "authenticate": "a password is needed first", "polkit": "", "store": "the accounts can't be read or written",
	"other_uid": "the account is that of another uid", "renamed": "the account is under a former name",
	"adopted":       "after a change of name or uid",
	"broken_record": "the account's record is broken", "broken_secret": "the account's record is broken: the key doesn't open its secret",
	"wrong_password": "wrong password", "already_enrolled": "already enrolled",
	"enrolled": "enrolled in the login", "not_enrolled": "no second factor set up", "remembered": "a remembered computer",
	"grace":           "a code was right in this terminal a moment ago",
	"enrol_elsewhere": "no second factor set up, and no enrolment from there",
	"no_choice":       "no way to enrol was chosen", "wrong_choice": "no way to enrol was chosen",
	"not_proven": "enrolling takes a right password", "before_proof": "before it was known who asks",
	"no_first_code": "no right first code", "enrolment_over": "the enrolment took too long",
	"code_wrong": "not a code of that key", "code_expired": "a code whose time was over",
	"code_clock": "a code of another time", "code_malformed": "no code was typed",
	"before_choice": "before a way to enrol was chosen", "before_first_code": "before the first code of an enrolment",
	"after_enrolment": "once enrolled", "before_code": "before a code, after a wrong password or none",
	"after_code": "after the code", "not_delivered": "the login program had given up before the answer",
	"bad_bypass": "no such time or number of uses", "no_bypass": "no such code", "no_computer": "no such computer",
	"accept_loss": "lost accounts, or changes of them, were given up",
}

// inPlainWords is an entry as a line for people.
func inPlainWords(e control.LogEntry, on colours) string {
	who := e.Time.Local().Format(time.DateTime) + " " + printable(cmp.Or(e.User, "-")+": "+cmp.Or(whats[e.Kind], e.Kind))
	result := printable(cmp.Or(results[e.Result], e.Result))
	switch e.Result {
	case "refused", "unavailable":
		result = on.bad(result)
	case "retry":
		result = on.warn(result)
	case "accepted":
		result = on.good(result)
	}
	var text string
	why, known := whys[e.Reason]
	if !known {
		why = cmp.Or(reasons[e.Reason], strings.ReplaceAll(e.Reason, "_", " "))
	}
	for _, more := range []struct{ before, value string }{
		{": ", why}, {", ", e.Device}, {", by ", e.Service}, {", from ", e.Source}, {", at ", terminal(e.TTY)},
		{", asked by ", askedBy(e)}, {", ", strings.TrimPrefix(e.Action, "org.totpd.manage.")}, {" [", e.Detail},
	} {
		if more.value == "" {
			continue
		}
		if text += more.before + more.value; more.before == " [" {
			text += "]"
		}
	}
	if e.Reference != "" {
		text += " (reference " + e.Reference + ")"
	}
	return who + " " + result + printable(text)
}

// terminal is where somebody sits: sshd calls all of them ssh.
func terminal(tty string) string {
	if tty == "ssh" {
		return ""
	}
	return tty
}

// askedBy names who asked: in a login that is root's program and tells nothing.
func askedBy(e control.LogEntry) string {
	if e.Caller == "" || e.Service != "" && e.Caller == "0" {
		return ""
	}
	return nameOf(e.Caller)
}
