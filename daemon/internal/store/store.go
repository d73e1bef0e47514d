// Package store keeps the accounts, and the history of events, in a SQLite database, and is the only code that
// touches it. It judges no code, knows no secret and reads no clock.
//
// Always true: an Update that returned nil is on the disk, and will be there after a power cut; a store that
// lacks one, or that is missing, is not opened; that a user has no account is said only where two indexes agree; the
// updates of one user happen one after the other; a record that cannot be read is never overwritten
// and fails only its own user; a failed write leaves what was stored before; an event of an Update is
// committed with it or not at all, and one that comes alone holds nobody up and may be lost.
//
// The database has one table of interest, which root can mend with any SQLite tool, also while the
// daemon runs: account(user TEXT, record TEXT), with the record as the JSON of account.Account.
//
// Versions. An upgrade and a downgrade keep the accounts, by two rules for whoever changes what is
// stored here:
//
//   - What an older totpd may pass over is added beside what it knows: tables and columns of their own
//     (a column with a default), values in meta, and in a record below "extra". The older one leaves all
//     that as it is, so that it is still there after the next upgrade.
//   - What an older totpd must not pass over raises schemaVersion: it refuses such a database as a whole,
//     and does not touch it. Whoever raises it also converts older databases when they are opened, by a
//     daemon or beside one, in one transaction, after a copy was made beside: PATH.before-VERSION. The way
//     back is that copy.
//
// Anything else that isn't known makes a record unreadable, for its user alone: with its devices under a
// name that is spelt wrong, it would look like one of somebody without a second factor.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/totpd/totpd/daemon/internal/account"
)

// readers is how many accounts can be read at the same time. Each costs about 100 kB.
const readers = 4

const (
	selectPage = `SELECT user, record, sum FROM account WHERE user > ? ORDER BY user`
	selectMeta = `SELECT value FROM meta WHERE name = ?`
)

// Store is an open database of accounts. Its methods may be called by several goroutines.
type Store struct {
	path    string
	lock    *os.File // keeps a second daemon out; nil when opened beside one
	files   original // that were opened
	index   *os.File // of the log: see fillIndex
	counter *counter

	pragmas string // of the writer

	read     *sql.DB
	lookup   lookup
	readPage *sql.Stmt
	names    *sql.Stmt
	readMeta *sql.Stmt

	queue       queue
	checkpoints *checkpointer
	written     chan struct{} // closed when the writer has ended
}

// Open opens the store at path, in a directory that nobody else may write to. It refuses a second daemon, a
// file that is missing (ErrMissing), that is no store, that others may read, that was cut off to nothing, that
// lacks commits (Lost), or that a later version of totpd has written.
func Open(path string) (*Store, error) {
	s, err := open(path, false)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return s, nil
}

// OpenBeside opens the store at path as Open does, but beside a daemon that may run, start or end at
// any time: it shares the database through SQLite's own locks, and leaves the log as it finds it while
// the daemon has it open. It is meant for a few changes in a short time.
func OpenBeside(path string) (*Store, error) {
	s, err := open(path, true)
	if err != nil {
		return nil, fmt.Errorf("open store %s: %w", path, err)
	}
	return s, nil
}

func open(path string, beside bool) (_ *Store, err error) {
	s := &Store{queue: newQueue(), written: make(chan struct{})}
	defer func() {
		if err != nil {
			s.closeFiles()
		}
	}()
	if s.path, err = resolve(path); err != nil {
		return nil, err
	}
	if !beside {
		if s.lock, err = lockDaemon(s.path); err != nil {
			return nil, err
		}
	}
	if err = ensure(s.path); err != nil {
		return nil, err
	}
	if beside {
		s.pragmas = patient
	}
	if err = convert(s.path); err != nil {
		return nil, explain(err)
	}
	if err = vouch(s.path); err != nil {
		return nil, explain(err)
	}
	w, err := s.openWriter()
	if err != nil {
		return nil, explain(err)
	}
	if err = s.prepare(w, beside); err != nil {
		if s.read != nil {
			s.read.Close()
		}
		w.close()
		return nil, explain(err)
	}
	s.checkpoints = newCheckpointer(s.path)
	go s.checkpoints.run()
	go s.write(w)
	return s, nil
}

// prepare does what the first login must not wait for.
func (s *Store) prepare(w *writer, beside bool) (err error) {
	var one int // a first read makes the log's index, where another program had left the database without a log
	if err := w.conn.QueryRowContext(context.Background(), "SELECT count(*) FROM position").Scan(&one); err != nil {
		return err
	}
	if s.index, err = fillIndex(s.path); err != nil {
		return err
	}
	if s.counter, err = openCounter(s.path); err != nil {
		return fmt.Errorf("open its counter: %w", spaceless(err))
	}
	folded := false
	if !beside {
		if err := w.setClean(false); err != nil {
			return err
		}
		// The WAL of the last run is folded in and a new one laid out.
		if folded, err = w.prepareWAL(); err != nil {
			return err
		}
	}
	if err := s.openReaders(); err != nil {
		return err
	}
	at, err := s.position()
	if err != nil {
		return err
	}
	if at.folded = at.commits; !folded {
		told, err := readCounter(s.path)
		if err != nil {
			return err
		}
		most, _ := furthest(told, at.store)
		at.folded = most.folded
	}
	return s.files.open(s.path, s.counter, at)
}

func (s *Store) openReaders() (err error) {
	s.read = connect(s.path, "ro", "PRAGMA cache_size=-256; PRAGMA query_only=ON")
	s.read.SetMaxOpenConns(readers)
	s.read.SetMaxIdleConns(readers)
	if s.lookup.record, err = s.read.Prepare(selectRecord); err != nil {
		return err
	}
	if s.lookup.again, err = s.read.Prepare(selectAgain); err != nil {
		return err
	}
	if s.readPage, err = s.read.Prepare(selectPage); err != nil {
		return err
	}
	if s.names, err = s.read.Prepare(selectNames); err != nil {
		return err
	}
	s.readMeta, err = s.read.Prepare(selectMeta)
	return err
}

// Close lets the updates that wait finish, and closes the database. Whatever is called later fails.
func (s *Store) Close() error {
	if !s.queue.close() {
		return nil
	}
	<-s.written
	return s.closeFiles()
}

func (s *Store) closeFiles() error {
	var errs []error
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.index != nil {
		errs = append(errs, s.index.Close())
	}
	if s.counter != nil {
		errs = append(errs, s.counter.close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
	}
	return errors.Join(errs...)
}

// Get returns the account of user as the last finished Update left it, and whether one is stored;
// else a zero account with User set. A read that has begun is not interrupted when ctx ends: that
// would cost every login a goroutine, half as much again as the read.
func (s *Store) Get(ctx context.Context, user string) (account.Account, bool, error) {
	none := account.Account{User: user}
	if err := account.ValidUser(user); err != nil {
		return none, false, fmt.Errorf("read account of %s: %w", shown(user), err)
	}
	if err := ctx.Err(); err != nil {
		return none, false, fmt.Errorf("read account of %s: %w", shown(user), err)
	}
	if err := s.files.there(); err != nil {
		return none, false, fmt.Errorf("read account of %s: %w", shown(user), err)
	}
	a, found, err := s.lookup.account(user)
	if err != nil {
		return none, false, fmt.Errorf("read account of %s: %w", shown(user), explain(err))
	}
	return a, found, nil
}

// NamesOf returns the names of the users whose accounts hold a uid. Whether an account still holds it, Get tells.
func (s *Store) NamesOf(ctx context.Context, uid uint32) ([]string, error) {
	names, err := s.namesOf(ctx, uid)
	if err != nil {
		return nil, fmt.Errorf("find the accounts of uid %d: %w", uid, explain(err))
	}
	return names, nil
}

func (s *Store) namesOf(ctx context.Context, uid uint32) (names []string, err error) {
	if err := s.files.there(); err != nil {
		return nil, err
	}
	rows, err := s.names.QueryContext(ctx, int64(uid))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	return names, rows.Err()
}

// List returns the accounts of up to limit users in order of user name (byte by byte), from the first one
// after the user named after. Users whose records can't be read count, and are named by an error of type
// *Broken that comes together with the accounts.
func (s *Store) List(ctx context.Context, after string, limit int) ([]account.Account, error) {
	accounts, broken, err := s.list(ctx, after, limit)
	if err != nil {
		return nil, fmt.Errorf("list accounts: %w", explain(err))
	}
	if broken != nil {
		return accounts, broken
	}
	return accounts, nil
}

func (s *Store) list(ctx context.Context, after string, limit int) ([]account.Account, *Broken, error) {
	if err := s.files.there(); err != nil {
		return nil, nil, err
	}
	rows, err := s.readPage.QueryContext(ctx, after)
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	var accounts []account.Account
	var broken *Broken
	for n := 0; n < limit && rows.Next(); n++ {
		var user string
		var record []byte
		var sum sql.NullInt64
		if err := rows.Scan(&user, &record, &sum); err != nil {
			return nil, nil, err
		}
		a, err := decode(user, record, sum)
		if err != nil {
			if broken == nil {
				broken = &Broken{Why: map[string]error{}}
			}
			broken.Users = append(broken.Users, user)
			broken.Why[user] = err
			continue
		}
		accounts = append(accounts, a)
	}
	return accounts, broken, rows.Err()
}

// Broken names the users whose records List could not read, in order of user name.
type Broken struct {
	Users []string
	Why   map[string]error // by user
}

func (b *Broken) Error() string {
	names := make([]string, len(b.Users))
	for i, u := range b.Users {
		names[i] = shown(u)
	}
	return "list accounts: these can't be read: " + strings.Join(names, ", ")
}

// Meta returns a value that belongs to the whole store, and whether one is stored under name.
func (s *Store) Meta(ctx context.Context, name string) (string, bool, error) {
	var value string
	err := s.readMeta.QueryRowContext(ctx, name).Scan(&value)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("read %s of the store: %w", shown(name), explain(err))
	}
	return value, true, nil
}
