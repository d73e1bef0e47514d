package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/totpd/totpd/daemon/control"
	"github.com/totpd/totpd/daemon/internal/account"
	"github.com/totpd/totpd/daemon/internal/audit"
	"github.com/totpd/totpd/daemon/internal/config"
	"github.com/totpd/totpd/daemon/internal/seal"
	"github.com/totpd/totpd/daemon/internal/store"
	"github.com/totpd/totpd/daemon/internal/verify"
)

// What -backup copies.
const (
	backupAccounts = "accounts"
	backupAll      = "all" // the key too
)

// The values of a backup, behind store.BackupPrefix.
const (
	backupMade = "made"
	backupHost = "host"
	backupKey  = "key"
)

// backup copies the accounts, while a daemon runs or not, to the file that is standard input, which is open
// for writing. It does so as the owner of the store, who need not be let into where the file is.
func backup(file, what string, l *log.Logger) error {
	syscall.Umask(0o077)
	caller := uint32(os.Getuid())
	cfg, err := besideDaemon(file, l)
	if err != nil {
		return err
	}
	host, _ := os.Hostname()
	values := map[string]string{backupMade: time.Now().UTC().Format(time.RFC3339), backupHost: host}
	report := control.BackupReport{KeyFile: cfg.Key.File, WithKey: what == backupAll}
	if report.WithKey {
		key, err := seal.Copy(cfg.Key.File)
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%w: it may be a credential of systemd, which is no part of a backup", err)
		}
		if err != nil {
			return err
		}
		if check, known := store.ReadMeta(cfg.Store.Path, keyCheck); known && check != key.Check() {
			return fmt.Errorf("the store %s is sealed with another key than %s: it would be of no use in the backup", cfg.Store.Path, cfg.Key.File)
		}
		values[backupKey] = key.Digits()
	}
	report.Accounts, report.Broken, err = store.WriteBackup(context.Background(), cfg.Store.Path, values, os.Stdin)
	if err == nil {
		err = os.Stdin.Sync()
	}
	record(caller, "backup", cfg.Store.Path, err)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(report)
}

// restore puts back what backup has copied, from the file that is standard input. No daemon may run.
func restore(file string, l *log.Logger) error {
	syscall.Umask(0o077)
	caller := uint32(os.Getuid())
	handed, err := credentialCheck(file) // while this process is root
	if err != nil {
		return err
	}
	cfg, err := besideDaemon(file, l)
	if err != nil {
		return err
	}
	report := control.RestoreReport{KeyFile: cfg.Key.File}
	var key *seal.Copied // to be put in place
	done, err := store.Restore(cfg.Store.Path, io.Reader(os.Stdin), store.Restoration{
		Accept: func(value func(string) string) (err error) {
			report.Made, _ = time.Parse(time.RFC3339, value(store.BackupPrefix+backupMade))
			report.Host = value(store.BackupPrefix + backupHost)
			key, err = keyOf(value(keyCheck), value(store.BackupPrefix+backupKey), handed, cfg)
			return err
		},
		Change: func(a account.Account) account.Account { return verify.Restored(a, cfg.Code.Skew, time.Now()) },
		Last: func() (err error) {
			if key != nil {
				report.KeyBefore, err = key.Place(cfg.Key.File)
			}
			return err
		},
		Undo: func() {
			if key != nil {
				if err := key.Remove(cfg.Key.File, report.KeyBefore); err != nil {
					l.Printf("put key %s back: %v", cfg.Key.File, err)
				}
			}
		},
	})
	record(caller, "restore", cfg.Store.Path, err)
	if err != nil {
		return err
	}
	report.Accounts, report.Broken, report.Before = done.Accounts, done.Broken, done.Before
	return json.NewEncoder(os.Stdout).Encode(report)
}

// keyOf says which key is to be put in place for a backup that is sealed with the key of this check value:
// none, where the daemon has it already, or the one that the backup brings. It returns an error where neither
// is so, and goes by keys alone: a store may be here whose key is not. handed is the check value of the
// credential, which the daemon uses before the file.
func keyOf(check, brought, handed string, cfg config.Config) (*seal.Copied, error) {
	present := handed
	if handed == "" {
		k, err := seal.Load(cfg.Key.File)
		switch {
		case err == nil:
			present = k.Check()
		case !errors.Is(err, fs.ErrNotExist) && brought == "": // else it is set aside for the one in the backup
			return nil, err
		}
	}
	place := fmt.Sprintf("put the key of that time at %s first, of mode 0600 and with the owner of %s", cfg.Key.File, filepath.Dir(cfg.Store.Path))
	switch {
	case check == "":
		return nil, errors.New("the backup doesn't say with which key it is sealed")
	case present == check:
		return nil, nil
	case handed != "":
		return nil, errors.New("the backup is sealed with another key than this host's, which is a credential of systemd: " +
			"take that away first (totpd(8), The key)")
	case brought == "" && present == "":
		return nil, errors.New("the backup has no key in it, and there is none here: " + place)
	case brought == "":
		return nil, errors.New("the backup is sealed with another key than this host's: " + place)
	}
	key, err := seal.Parse(brought)
	if err != nil || key.Check() != check {
		return nil, errors.New("the key in the backup is not the one that it is sealed with")
	}
	return &key, nil
}

// credentialCheck returns the check value of the key that systemd would hand to the daemon: none where there is
// no such credential, or where the daemon is not systemd's. One that can't be opened here is an error: the
// daemon couldn't either.
func credentialCheck(file string) (string, error) {
	if file != "" {
		return "", nil
	}
	for _, c := range credentials {
		if _, err := os.Lstat(c.path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		out, err := readCredential(c.path, c.encrypted)
		defer clear(out)
		if err != nil {
			return "", fmt.Errorf("open the key %s: %w; put the key file in its place, and take it away (totpd(8), The key)", c.path, err)
		}
		key, err := seal.Parse(strings.TrimSpace(string(out)))
		if err != nil {
			return "", fmt.Errorf("read key %s: %w", c.path, err)
		}
		return key.Check(), nil
	}
	return "", nil
}

func readCredential(path string, encrypted bool) ([]byte, error) {
	if !encrypted {
		return os.ReadFile(path)
	}
	out, err := exec.Command("systemd-creds", "decrypt", "--name=totpd.key", path, "-").Output()
	if failed := new(exec.ExitError); errors.As(err, &failed) {
		err = errors.New(strings.TrimSpace(string(failed.Stderr)))
	}
	return out, err
}

// record writes the journal line of a backup or a restoration, and has it in the history, where there is one.
func record(caller uint32, what, path string, err error) {
	e := audit.Event{
		Kind: audit.Backup, Caller: audit.UID(caller), Result: audit.Done, Reason: what, Reference: audit.NewReference(),
	}
	if err != nil {
		e.Result, e.Detail = audit.Unavailable, err.Error()
	}
	events := audit.ToJournal()
	defer events.Flush()
	if st, err := store.OpenBeside(path); err == nil {
		defer st.Close()
		events.Tell(st.Record)
	}
	events.Record(e)
}
