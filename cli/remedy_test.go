package main

import (
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"

	"github.com/spf13/cobra"

	"github.com/totpd/totpd/cli/internal/system"
	"github.com/totpd/totpd/daemon/control"
)

// remedies are what a person is told to do, for each code the daemon or its client knows.
var remedies = []struct {
	code        control.ErrorCode
	verb, named string
	want        string
}{
	{control.ErrBadRequest, "status", "", "totpctl help status"},
	{control.ErrBadRequest, "disable", "alice", "your own, with password and code: totpctl disable"},
	{control.ErrBadURI, "enrol", "alice", "it looks like otpauth://totp/HOST:USER?secret=KEY&issuer=HOST, the key in base32; an event-based one, like otpauth://hotp/HOST:USER?secret=KEY&counter=0"},
	{control.ErrBadImport, "import", "oath", "totpctl help import"},
	{control.ErrNotAllowed, "users", "", "as root: totpctl users"},
	{control.ErrNotAllowed, "status", "alice", "as root: totpctl status alice"},
	{control.ErrNotAllowed, "disable", "alice", "your own: totpctl disable; another's, as root: totpctl disable alice"},
	{control.ErrNotAllowed, "enrol", "alice", "your own: totpctl enrol; another's, as root: totpctl enrol alice"},
	{control.ErrNotAllowed, "recovery-codes new", "alice", "your own: totpctl recovery-codes new; another's, as root: totpctl recovery-codes new alice"},
	{control.ErrNotAllowed, "bypass", "alice", "as root: totpctl bypass alice"},
	{control.ErrAuthenticate, "status", "alice", "at a terminal, pkttyagent (from polkit's package) asks for it; or be root"},
	{control.ErrUnknownUser, "status", "alice", "getent passwd alice"},
	{control.ErrAlreadyEnrolled, "enrol", "", "to add a device: totpctl enrol, which asks for a code of one that is there; totpctl devices lists them"},
	{control.ErrAlreadyEnrolled, "enrol", "alice", "to add a device: totpctl enrol alice, which asks for a code of one that is there; totpctl devices alice lists them"},
	{control.ErrNotEnrolled, "disable", "", "nothing is left to do; totpctl status shows the state"},
	{control.ErrNotEnrolled, "status", "", "totpctl enrol"},
	{control.ErrNotEnrolled, "recovery-codes new", "alice", "totpctl enrol alice"},
	{control.ErrNameTaken, "enrol", "", "totpctl devices lists the names that there are"},
	{control.ErrNoDevice, "devices remove", "alice", "totpctl devices alice lists the names that there are"},
	{control.ErrLastDevice, "devices remove", "alice", "to have none: totpctl disable alice; to have another, add it first: totpctl enrol alice"},
	{control.ErrTooMany, "enrol", "", "totpctl devices lists them, totpctl devices remove takes one away"},
	{control.ErrTooMany, "bypass", "alice", "totpctl bypass alice --list shows them, --revoke ID ends one"},
	{control.ErrNoBypass, "bypass", "alice", "totpctl bypass alice --list shows those that are good now"},
	{control.ErrNoComputer, "forget", "", "totpctl remembered lists them"},
	{control.ErrNoComputer, "forget", "alice", "totpctl remembered alice lists them"},
	{control.ErrForeign, "status", "alice", "as root: totpctl log alice says whose it is; totpctl adopt alice keeps it for the user of now, totpctl reset takes it away"},
	{control.ErrBroken, "show", "alice", "as root: totpctl users tells why; totpctl reset alice takes away what is broken, and the next login enrols"},
	{control.ErrNoPending, "enrol", "", "begin again: totpctl enrol"},
	{control.ErrWrongPassword, "enrol", "", "it is the password of your login: totpctl enrol"},
	{control.ErrWrongCode, "disable", "", "type the next code that the app shows, or a recovery code: totpctl disable; without either, ask root: totpctl reset alice"},
	{control.ErrWait, "disable", "", "try again in 2 minutes: totpctl disable"},
	{control.ErrLocked, "disable", "", "only root can help: totpctl unlock alice"},
	{control.ErrNotAllowed, "show", "alice", "your own: totpctl status; another's, as root: totpctl show alice"},
	{control.ErrNotAllowed, "unlock", "alice", "as root: totpctl unlock alice"},
	{control.ErrUnreachable, "reset", "alice", "as root: systemctl start totpd.socket, or at once: totpctl --offline reset alice (another socket is named by --socket or TOTPD_SOCKET)"},
	{control.ErrNotStarted, "unlock", "alice", `if that can't be mended: sqlite3 /var/lib/totpd/totpd.db "DELETE FROM account WHERE user='alice'"; for everybody, totpctl setup --undo; more in totpd(8), RESCUE`},
	{control.ErrUnavailable, "enrol", "", "as root: journalctl -u totpd tells why"},
	{control.ErrUnreachable, "status", "", "as root: systemctl start totpd.socket (another socket is named by --socket or TOTPD_SOCKET)"},
	{control.ErrUnreachable, "enrol", "alice", "as root: systemctl start totpd.socket (another socket is named by --socket or TOTPD_SOCKET)"},
	{control.ErrUnreachable, "disable", "alice", "as root: systemctl start totpd.socket, or at once: totpctl --offline disable alice (another socket is named by --socket or TOTPD_SOCKET)"},
	{control.ErrUnreachable, "users", "", "as root: systemctl start totpd.socket, or at once: totpctl --offline users (another socket is named by --socket or TOTPD_SOCKET)"},
	{control.ErrNotStarted, "disable", "alice", `if that can't be mended: sqlite3 /var/lib/totpd/totpd.db "DELETE FROM account WHERE user='alice'"; for everybody, totpctl setup --undo; more in totpd(8), RESCUE`},
	{control.ErrNotStarted, "users", "", `if that can't be mended: sqlite3 /var/lib/totpd/totpd.db "SELECT user FROM account"; for everybody, totpctl setup --undo; more in totpd(8), RESCUE`},
	{control.ErrNotOffline, "enrol", "", "first: systemctl start totpd.socket; then totpctl enrol"},
	{control.ErrForbidden, "status", "", "everybody may connect to totpd's socket; as root: systemctl restart totpd.socket"},
	{control.ErrTimeout, "disable", "", "it may have been done all the same: totpctl status tells; as root: journalctl -u totpd"},
	{control.ErrBadAnswer, "status", "", "totpctl version tells whether command and daemon fit; --socket names totpd's control socket"},
}

func TestEachErrorHasItsRemedy(t *testing.T) {
	defer func(was func() bool) { system.Booted = was }(system.Booted)
	known := map[control.ErrorCode]bool{}
	for _, r := range remedies {
		known[r.code] = true
		cmd := &cobra.Command{Use: r.verb}
		if r.named != "" {
			if err := cmd.ParseFlags([]string{r.named}); err != nil {
				t.Fatal(err)
			}
		}
		system.Booted = func() bool { return false }
		var elsewhere strings.Builder
		explain(&elsewhere, cmd, failed(r.verb, "alice", &control.Error{Code: r.code}))
		if strings.Contains(elsewhere.String(), "systemctl") || strings.Contains(elsewhere.String(), "journalctl") {
			t.Errorf("%s, without systemd: %s", r.code, elsewhere.String())
		}
		system.Booted = func() bool { return true }
		var told strings.Builder
		e := &control.Error{Code: r.code, Message: "the cause", RetryAfter: 120, Reference: "7F3K-Q2ND"}
		if status := explain(&told, cmd, failed(r.verb, "alice", e)); status != exitFailed {
			t.Errorf("%s: exit status %d", r.code, status)
		}
		want := "totpctl: " + r.verb + " alice: the cause\nreference: 7F3K-Q2ND\nhint: " + r.want + "\n"
		if told.String() != want {
			t.Errorf("%s of %s %s:\n%s\nwant\n%s", r.code, r.verb, r.named, told.String(), want)
		}
	}
	for _, code := range codesOfControl(t) {
		if !known[code] {
			t.Errorf("no remedy is tested for the code %s", code)
		}
	}
}

// codesOfControl reads all constants of type ErrorCode from the source of package control.
func codesOfControl(t *testing.T) []control.ErrorCode {
	t.Helper()
	var codes []control.ErrorCode
	f, err := parser.ParseFile(token.NewFileSet(), "../daemon/control/error.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if kind, ok := v.Type.(*ast.Ident); ok && kind.Name == "ErrorCode" {
			text, err := strconv.Unquote(v.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes = append(codes, control.ErrorCode(text))
		}
		return false
	})
	if len(codes) < 16 {
		t.Fatalf("only %d codes found", len(codes))
	}
	return codes
}

// Where polkit can allow it, the action for its rules is named.
func TestRemedyNamesTheAction(t *testing.T) {
	for _, r := range []struct{ verb, named, want string }{
		{"users", "", "as root: totpctl users; rules of polkit can allow org.totpd.x"},
		{"status", "alice", "as root: totpctl status alice; rules of polkit can allow org.totpd.x"},
		{"disable", "alice", "your own: totpctl disable; another's, as root: totpctl disable alice; rules of polkit can allow org.totpd.x"},
	} {
		f := &failure{verb: r.verb, user: r.named, named: r.named}
		if got := f.remedy(&control.Error{Code: control.ErrNotAllowed, Action: "org.totpd.x"}); got != r.want {
			t.Errorf("%s:\n%s\nwant\n%s", r.verb, got, r.want)
		}
	}
}

// Operation and object are named once, also where the daemon names them too.
func TestAnErrorNamesOperationAndObjectOnce(t *testing.T) {
	for _, c := range []struct{ verb, user, message, want string }{
		{"enrol", "alice", "already enrolled", "enrol alice: already enrolled"},
		{"enrol", "ALICE", "enrol alice: already enrolled", "enrol alice: already enrolled"},
		{"disable", "alice", "disable: password: too long", "disable alice: password: too long"},
		{"status", "", "not allowed", "status: not allowed"},
		{"disable", "alice", "disable it not", "disable alice: disable it not"},
	} {
		if got := failed(c.verb, c.user, errors.New(c.message)).Error(); got != c.want {
			t.Errorf("%q, want %q", got, c.want)
		}
	}
}

// What comes from the daemon can't steer the terminal or forge a line.
func TestWhatComesFromElsewhereIsPrintable(t *testing.T) {
	defer func(was func() bool) { system.Booted = was }(system.Booted)
	system.Booted = func() bool { return true }
	var told strings.Builder
	e := &control.Error{Code: control.ErrUnavailable, Message: "a\x1b[2J\nhint: rm -rf /\u202e", Reference: "x\ny"}
	explain(&told, &cobra.Command{}, failed("status", "\x07bob", e))
	want := "totpctl: status ?bob: a?[2J?hint: rm -rf /?\nreference: x?y\nhint: as root: journalctl -u totpd tells why\n"
	if told.String() != want {
		t.Errorf("%q, want %q", told.String(), want)
	}
}
