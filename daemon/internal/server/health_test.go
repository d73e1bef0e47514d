package server

import (
	"database/sql"
	"os"
	"os/user"
	"strings"
	"testing"
	"time"

	"github.com/totpd/totpd/daemon/control"
)

// What logins would fail of is told by its kind, and soon.
func TestHealth(t *testing.T) {
	for _, tt := range []struct {
		name         string
		plant        func(t *testing.T, file string, p *Names)
		store, names control.Fault
		says         string
	}{
		{name: "well", plant: func(*testing.T, string, *Names) {}},
		{name: "another program holds the lock", store: control.FaultLocked, says: "another program holds the lock", plant: func(t *testing.T, file string, _ *Names) {
			db, err := sql.Open("sqlite3", "file:"+file+"?_txlock=immediate")
			if err != nil {
				t.Fatal(err)
			}
			tx, err := db.Begin()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { tx.Rollback(); db.Close() })
		}},
		{name: "the database was replaced", store: control.FaultReplaced, says: "replaced", plant: func(t *testing.T, file string, _ *Names) {
			text, err := os.ReadFile(file)
			if err == nil {
				err = os.WriteFile(file+".new", text, 0o600)
			}
			if err == nil {
				err = os.Rename(file+".new", file)
			}
			if err != nil {
				t.Fatal(err)
			}
		}},
		{name: "the database is gone", store: control.FaultReplaced, says: "removed", plant: func(t *testing.T, file string, _ *Names) {
			if err := os.Remove(file); err != nil {
				t.Fatal(err)
			}
		}},
		{name: "the name service hangs", names: control.FaultOther, says: "name service doesn't answer", plant: func(t *testing.T, _ string, n *Names) {
			over := make(chan struct{})
			t.Cleanup(func() { close(over) })
			n.Patience = 100 * time.Millisecond
			n.byName = func(string) (*user.User, error) {
				<-over
				return nil, user.UnknownUserError("x")
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := serveControl(t)
			tt.plant(t, a.file, a.Names)
			var got control.Health
			began := time.Now()
			if _, e := a.post(t, 0, control.VerbHealth, control.Nothing{}, &got); e != nil {
				t.Fatal(e)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("told after %v", took)
			}
			if got.Store.Fault != tt.store || got.Names.Fault != tt.names || !strings.Contains(got.Store.Cause+got.Names.Cause, tt.says) {
				t.Errorf("%+v", got)
			}
		})
	}
}
