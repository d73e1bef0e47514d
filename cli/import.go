package main

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/foreign"
)

// importOptions are the options of import as typed.
type importOptions struct {
	homes        bool
	users        string
	ignorePIN    bool
	keyFile      string
	passwordFile string
	assign       string
	replace      bool
	dryRun       bool
}

// source is a program, or a format, that users are taken over from.
type source struct {
	name    string
	options []string // those that are for it alone
	read    func(*command, context.Context, []string, importOptions) ([]foreign.Found, error)
	after   string // what is left to do
}

var sources = []source{
	{"google-authenticator", []string{"homes", "users"}, (*command).fromGoogle,
		"their codes are good here from now on: put pam_totpd in the place of pam_google_authenticator (totpctl setup)"},
	{"oath", []string{"ignore-pin"}, (*command).fromOATH,
		"their codes are good here from now on: put pam_totpd in the place of pam_oath (totpctl setup)"},
	{"pskc", []string{"key-file", "password-file", "assign"}, (*command).fromPSKC, ""},
	{"otpauth", nil, (*command).fromOTPAuth, ""},
}

func newImport(c *command) *cobra.Command {
	var o importOptions
	cmd := &cobra.Command{
		Use:   "import SOURCE FILE... [OPTIONS]",
		Short: "Take users over from another program",
		Long: `Take users over, whose codes are then good here at once. SOURCE is one of:
  google-authenticator  state files of pam_google_authenticator. --homes reads
                        ~/.google_authenticator of everybody, or of --users.
                        Elsewhere, USER=FILE says whose a file is; so does
                        '/DIR/${USER}/FILE', as secret= has it in the PAM file
  oath                  the UsersFile of pam_oath
  pskc                  containers of hardware tokens (RFC 6030), also encrypted
                        ones; a signature is not checked
  otpauth               lists of otpauth links, a line each, with the user
                        first, or with this host or its issuer in the label
Codes that the other program has recorded as used are not accepted again, and
scratch codes become recovery codes.

A user is taken over as a whole or not at all. Whoever is enrolled already is
left alone, unless --replace is given. The report says who was taken over, who
was not and why, and what was left out. --dry-run changes nothing; --json prints
the report: dry_run, taken (each with user, devices, recovery_codes, places and
notes) and not_taken (user, places and reasons). What is not understood is
reported by its place alone, FILE:LINE. A file below a directory that isn't
root's is read with the rights of the directory's owner. For root. Where a file
has a key in it, delete it in the end.

Exit status: 0 all were taken over, 1 some were not, 2 wrong usage.`,
		Example:           "  totpctl import google-authenticator --homes --dry-run",
		Args:              oneSource,
		ValidArgsFunction: completeSource,
		RunE: func(cmd *cobra.Command, args []string) error {
			s := sources[slices.IndexFunc(sources, func(s source) bool { return s.name == args[0] })]
			if err := o.check(cmd, s, args[1:]); err != nil {
				return err
			}
			return c.importFrom(cmd.Context(), s, args[1:], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.homes, "homes", false, "google-authenticator: the files in people's homes")
	f.StringVar(&o.users, "users", "", "with --homes: only of these `USERS`, with commas\nbetween, or of those in @FILE, a line each")
	f.BoolVar(&o.ignorePIN, "ignore-pin", false, "oath: also users with a PIN, without it")
	f.StringVar(&o.keyFile, "key-file", "", "pskc: the key that was agreed on, in hexadecimal\nin `FILE`")
	f.StringVar(&o.passwordFile, "password-file", "", "pskc: the password, in the first line of `FILE`")
	f.StringVar(&o.assign, "assign", "", "pskc: whose the devices are, from `FILE`, with lines\nSERIALNUMBER USER")
	f.BoolVar(&o.replace, "replace", false, "also users who are enrolled: what they have is lost")
	f.BoolVarP(&o.dryRun, "dry-run", "n", false, "say how it would go, and change nothing")
	cmd.RegisterFlagCompletionFunc("users", cobra.NoFileCompletions)
	return c.withJSON(cmd)
}

func sourceNames() []string {
	var names []string
	for _, s := range sources {
		names = append(names, s.name)
	}
	return names
}

// oneSource accepts a source and what it reads.
func oneSource(_ *cobra.Command, args []string) error {
	names := strings.Join(sourceNames(), ", ")
	switch {
	case len(args) == 0:
		return fmt.Errorf("import from what? it is one of %s", names)
	case !slices.Contains(sourceNames(), args[0]):
		return fmt.Errorf("import from %s? it is one of %s", quote(args[0]), names)
	}
	return nil
}

func completeSource(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 {
		return sourceNames(), cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveDefault
}

// check says which options and arguments don't fit the source.
func (o importOptions) check(cmd *cobra.Command, s source, files []string) error {
	for _, other := range sources {
		for _, name := range other.options {
			if cmd.Flags().Changed(name) && other.name != s.name {
				return &misuse{fmt.Sprintf("--%s is for %s", name, other.name), "leave it out: totpctl import " + s.name}
			}
		}
	}
	switch {
	case o.homes && len(files) > 0:
		return &misuse{"--homes finds the files, and some are named", "leave one of them out"}
	case !o.homes && o.users != "":
		return &misuse{"--users is for the files in homes", "totpctl import google-authenticator --homes --users " + quote(o.users)}
	case !o.homes && len(files) == 0:
		return &misuse{"import " + s.name + " of which file?", "totpctl import " + s.name + " FILE"}
	case o.keyFile != "" && o.passwordFile != "":
		return &misuse{"a container is opened by a key or by a password", "leave one of them out"}
	case o.homes && os.Geteuid() != 0:
		return &failure{verb: "import", err: errors.New("--homes is for root"), hint: "as root: totpctl import " + s.name + " --homes"}
	}
	return nil
}

// importFrom reads, takes over and reports.
func (c *command) importFrom(ctx context.Context, s source, files []string, o importOptions) error {
	found, err := s.read(c, ctx, files, o)
	if err == nil {
		err = ctx.Err()
	}
	if err != nil {
		return failed("import", "", err)
	}
	found = foreign.Merge(found)
	if err := c.onlyUsers(ctx, found); err != nil {
		return failed("import", "", err)
	}
	report, err := c.takeOver(ctx, found, o)
	if err != nil {
		return failed("import", "", err)
	}
	if err := c.printImport(report); err != nil {
		return failed("import", "", err)
	}
	if !o.dryRun && len(report.Taken) > 0 && s.after != "" {
		c.say("hint: %s", s.after)
	}
	if len(report.NotTaken) > 0 {
		return errNotAll
	}
	return nil
}

func (c *command) fromOATH(_ context.Context, files []string, o importOptions) ([]foreign.Found, error) {
	return fromEach(files, func(path, text string) ([]foreign.Found, error) {
		return foreign.OATH(path, text, time.Local, o.ignorePIN), nil
	})
}

func (c *command) fromOTPAuth(ctx context.Context, files []string, _ importOptions) ([]foreign.Found, error) {
	daemon, err := c.client().Version(ctx)
	if err != nil {
		return nil, err
	}
	here := foreign.Site{Host: daemon.Host, Issuer: daemon.Issuer}
	return fromEach(files, func(path, text string) ([]foreign.Found, error) { return foreign.OTPAuth(path, text, here), nil })
}

func (c *command) fromPSKC(_ context.Context, files []string, o importOptions) ([]foreign.Found, error) {
	var unlock foreign.Unlock
	switch {
	case o.keyFile != "":
		f, err := readNamed(o.keyFile, lineMax)
		if err != nil {
			return nil, err
		}
		key, err := hex.DecodeString(strings.TrimSpace(f.text))
		if err != nil || len(key) != 16 && len(key) != 24 && len(key) != 32 {
			return nil, fmt.Errorf("%s: not a key: it has 32, 48 or 64 hexadecimal digits", printable(o.keyFile))
		}
		unlock = foreign.WithKey(key)
	case o.passwordFile != "":
		f, err := readNamed(o.passwordFile, lineMax)
		if err != nil {
			return nil, err
		}
		line, _, _ := strings.Cut(f.text, "\n")
		unlock = foreign.WithPassword([]byte(strings.TrimSuffix(line, "\r")))
	}
	users := map[string]string{}
	if o.assign != "" {
		f, err := readNamed(o.assign, foreign.PSKCMax)
		if err != nil {
			return nil, err
		}
		number := 0
		for line := range strings.Lines(f.text) {
			number++
			switch words := strings.Fields(line); {
			case len(words) == 0 || words[0][0] == '#':
			case len(words) != 2 || users[words[0]] != "":
				return nil, fmt.Errorf("%s:%d: not a serial number and a user, or the same number again", printable(o.assign), number)
			default:
				users[words[0]] = words[1]
			}
		}
	}
	return fromEach(files, func(path, text string) ([]foreign.Found, error) {
		return foreign.PSKC(path, strings.NewReader(text), unlock, users, c.now())
	})
}

// fromEach reads files as a whole; one that can't be read ends it.
func fromEach(files []string, parse func(path, text string) ([]foreign.Found, error)) ([]foreign.Found, error) {
	var all []foreign.Found
	for _, path := range files {
		f, err := readNamed(path, foreign.PSKCMax)
		if err != nil {
			return nil, err
		}
		found, err := parse(path, f.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", printable(path), err)
		}
		if len(found) == 0 {
			found = append(found, unreadable("", path, errors.New("no key was found in it")))
		}
		all = append(all, found...)
	}
	return all, nil
}
