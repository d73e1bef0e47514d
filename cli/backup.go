package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/home"
	"github.com/totpd/totpd/cli/internal/system"
	"github.com/totpd/totpd/daemon/control"
)

func newBackup(c *command) *cobra.Command {
	var withKey bool
	cmd := &cobra.Command{
		Use:   "backup FILE [OPTIONS]",
		Short: "Copy all accounts to a file",
		Long: `Copy all accounts, as they are at this moment, to a new FILE (mode 0600, never
overwritten), while the daemon runs or not. For root.

Secrets are sealed in it: without the daemon's key they are of no use, to a
thief and to you. The key is in a file of its own; keep a copy of it in another
place than the backup, or have it put in with --with-key and keep the backup as
you would keep the secrets. To put it back: totpctl restore.

An account whose record is broken is copied as it is, and named.

--json prints accounts, key_file, with_key and, where there are such, broken.`,
		Example:           "  totpctl backup totpd.backup",
		Args:              oneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			return asFailure("backup", c.backup(cmd.Context(), args[0], withKey))
		},
	}
	cmd.Flags().BoolVar(&withKey, "with-key", false, "put the key in, too")
	return c.withJSON(cmd)
}

func newRestore(c *command) *cobra.Command {
	var yes bool
	cmd := &cobra.Command{
		Use:   "restore FILE [OPTIONS]",
		Short: "Put all accounts back as they were in a backup",
		Long: `Put all accounts back as they are in FILE, which totpctl backup has made. For
root, while the daemon is stopped: systemctl stop totpd.socket totpd.service,
or end its process where systemd does not run it.

The backup is looked at first, and nothing is changed by one that is damaged or
sealed with a key that is neither here nor in it. The present accounts are kept
in a file beside, which is named in the end.

What was set up, taken away or locked since the backup is as it was before;
remembered computers and bypass codes are gone.
Codes that may have been used since are not accepted again, with these
exceptions: recovery codes, and those of event-based tokens; see totpd(8). You
are asked whether to go on, unless --yes is given.

--json prints accounts and, where there are such, broken, made, host, before,
key_file and key_before.`,
		Example:           "  totpctl restore totpd.backup --yes",
		Args:              oneFile,
		ValidArgsFunction: completeFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !yes {
				if err := c.askable("restore", "totpctl restore "+quote(args[0])+" --yes"); err != nil {
					return err
				}
			}
			return asFailure("restore", c.restore(cmd.Context(), args[0], yes))
		},
	}
	return c.withJSON(withYes(cmd, &yes))
}

// backup leaves a whole file, or none.
func (c *command) backup(ctx context.Context, path string, withKey bool) (err error) {
	if err := forRoot("backup " + quote(path)); err != nil {
		return err
	}
	f, err := createFile(path)
	if err != nil {
		return inFile(path, err, "name a file that doesn't exist yet")
	}
	defer func() { f.doneWith(err) }()
	what := "accounts"
	if withKey {
		what = "all"
	}
	var report control.BackupReport
	if err := c.helper(ctx, f.File, &report, "-backup", what); err != nil {
		return err
	}
	if err := f.keep(); err != nil {
		return inFile(path, err, "name a file that doesn't exist yet")
	}
	if c.json {
		return c.printJSON(report)
	}
	c.say("Done: %s in %s.", counted(report.Accounts, "account"), printable(path))
	if len(report.Broken) > 0 {
		c.say("These can't be read, and are in it as they are: %s. %s users tells why.", printable(some(report.Broken)), c.self())
	}
	if report.WithKey {
		c.say("The key is in it: whoever reads the file has all the secrets.")
	} else {
		c.say("It is of no use without the key, %s: keep a copy of that in another place.", printable(report.KeyFile))
	}
	return nil
}

func (c *command) restore(ctx context.Context, path string, yes bool) error {
	if err := forRoot("restore " + quote(path)); err != nil {
		return err
	}
	f, err := home.OpenNamed(path)
	if err != nil {
		return inFile(path, err, "name a file that totpctl backup has made")
	}
	defer f.Close()
	if !yes {
		if err := c.agree(ctx, "This puts all accounts back as they are in "+printable(path)+"; the present ones are kept beside."); err != nil {
			return err
		}
	}
	var report control.RestoreReport
	if err := c.helper(ctx, f, &report, "-restore"); err != nil {
		return err
	}
	if c.json {
		return c.printJSON(report)
	}
	when := ""
	if !report.Made.IsZero() {
		when = ", as they were on " + printable(report.Host) + " on " + date(report.Made)
	}
	c.say("Done: %s%s.", counted(report.Accounts, "account"), when)
	if len(report.Broken) > 0 {
		c.say("These can't be read, and could not then: %s.", printable(some(report.Broken)))
	}
	for _, kept := range []string{report.Before, report.KeyBefore} {
		if kept != "" {
			c.say("What was there before is %s.", printable(kept))
		}
	}
	c.say("hint: %s", system.ResumeDaemon())
	if here, err := os.Hostname(); err == nil && report.Host != "" && report.Host != here {
		c.say("hint: the backup is of another host: if its users have other uids here, totpctl adopt --all lists and keeps their accounts")
	}
	return nil
}

// asFailure returns err as the failure of a verb, with the hint that it may have already.
func asFailure(verb string, err error) error {
	if own := new(failure); errors.As(err, &own) {
		own.verb = verb
		return own
	}
	return failed(verb, "", err)
}

// forRoot refuses others.
func forRoot(command string) error {
	if os.Geteuid() == 0 {
		return nil
	}
	return &failure{err: errors.New("only root may do this"), hint: "as root: totpctl " + command}
}

func inFile(path string, err error, hint string) error {
	if wrong := new(fs.PathError); errors.As(err, &wrong) {
		err = wrong.Err
	}
	return &failure{err: fmt.Errorf("%s: %w", printable(path), err), hint: hint}
}

// helper runs the daemon's program beside a daemon, with file as its standard input, until it ends: Ctrl-C
// is this command's, and what is under way is seen to its end. What it reports goes into report.
func (c *command) helper(ctx context.Context, file *os.File, report any, args ...string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	cmd := exec.Command(offlineProgram, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	var out, said bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = file, &out, &said
	err := cmd.Run()
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	last := strings.TrimPrefix(lines[len(lines)-1], "totpd: ")
	var ended *exec.ExitError
	switch {
	case err == nil:
		for _, line := range lines {
			if line != "" {
				c.say("%s", printable(line))
			}
		}
	case errors.As(err, &ended) && last != "":
		for _, line := range lines[:len(lines)-1] {
			c.say("%s", printable(line))
		}
		return errors.New(last)
	case errors.As(err, &ended):
		return fmt.Errorf("%s: %w", offlineProgram, err)
	default:
		return fmt.Errorf("start %s: %w", offlineProgram, err)
	}
	if json.Unmarshal(out.Bytes(), report) != nil {
		return fmt.Errorf("%s doesn't say how it went: is it of the same version?", offlineProgram)
	}
	return nil
}
