package doctor

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"

	"github.com/totpd/totpd/daemon/control"
)

// byHand makes it a host without systemd, on which somebody has started the daemon as this user.
func (h *host) byHand(uid int) {
	h.Helper()
	h.Bus = ""
	h.run("rm -r run/systemd; rm run/totpd/password.sock")
	at := fmt.Sprintf("proc/%d/", h.pid)
	h.write(at+"status", fmt.Sprintf("Name:\ttotpd\nPPid:\t1\nUid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\nGid:\t%[1]d\t%[1]d\t%[1]d\t%[1]d\n", uid))
	h.write(at+"cmdline", "/usr/libexec/totpd/totpd\x00-config\x00/srv/totpd.toml\x00")
	h.run("ln -s /srv/totpd.log " + at + "fd-2; mkdir " + at + "fd; mv " + at + "fd-2 " + at + "fd/2")
	if uid != os.Geteuid() {
		h.run(fmt.Sprintf("chown -R %d:%d var/lib/totpd", uid, uid))
	}
}

// holdLock has another program in the middle of a change of the database.
func (h *host) holdLock() {
	h.Helper()
	db, err := sql.Open("sqlite3", "file:"+h.path("var/lib/totpd/totpd.db")+"?_txlock=immediate")
	if err != nil {
		h.Fatal(err)
	}
	tx, err := db.Begin()
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { tx.Rollback(); db.Close() })
}

// health has the daemon answer so when it is asked what it can do.
func (h *host) health(answer control.Health) {
	h.Helper()
	to := h.path("run/totpd/control.sock")
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "totpd"})
	proxy.Transport = &http.Transport{DialContext: func(context.Context, string, string) (net.Conn, error) { return net.Dial("unix", to) }}
	h.Control = h.path("proxy")
	l, err := net.Listen("unix", h.Control)
	if err != nil {
		h.Fatal(err)
	}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v1/"+string(control.VerbHealth) {
			proxy.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(answer)
	})}
	go s.Serve(l)
	h.Cleanup(func() { s.Close() })
}
