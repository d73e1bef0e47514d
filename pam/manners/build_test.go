package manners

import (
	"debug/elf"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/totpd/totpd/daemon/wire"
)

func TestExports(t *testing.T) {
	f, err := elf.Open(plain.module)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.DynamicSymbols()
	if err != nil {
		t.Fatal(err)
	}
	var exported []string
	for _, s := range symbols {
		if s.Section != elf.SHN_UNDEF {
			exported = append(exported, s.Name)
		}
	}
	slices.Sort(exported)
	want := []string{"pam_sm_acct_mgmt", "pam_sm_authenticate", "pam_sm_chauthtok", "pam_sm_close_session", "pam_sm_open_session", "pam_sm_setcred"}
	if !slices.Equal(exported, want) {
		t.Errorf("exported: %q", exported)
	}
	libs, err := f.ImportedLibraries()
	if err != nil {
		t.Fatal(err)
	}
	for _, lib := range libs {
		if !slices.Contains([]string{"libpam.so.0", "libc.so.6", "ld-linux-aarch64.so.1", "ld-linux-x86-64.so.2"}, lib) {
			t.Errorf("linked with %s", lib)
		}
	}
}

// Of the standard library the module may have what never waits, never starts a goroutine and opens
// nothing. What isn't in this list is thought about before it comes in.
func TestImports(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../pam").Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := regexp.MustCompile(`^(internal/(abi|asan|bisect|byteorder|bytealg|chacha8rand|coverage/rtcov|cpu|godebugs|goarch|goexperiment|goos|itoa|msan|oserror|profilerecord|race|reflectlite|runtime/.*|stringslite|strconv|sync|synctest|trace.*|unsafeheader)` +
		`|cmp|errors|iter|runtime|runtime/cgo|runtime/internal/.*|slices|sync|sync/atomic|syscall|unsafe|math/bits|unicode/utf8` +
		`|github.com/totpd/totpd/(pam|daemon/wire))$`)
	for _, path := range strings.Fields(string(out)) {
		if !allowed.MatchString(path) {
			t.Errorf("imports %s", path)
		}
	}
}

// The limits and numbers of the headers are those of package wire.
func TestLimits(t *testing.T) {
	headers := read(t, "../module.h") + read(t, "../id.h") + read(t, "../frame.h")
	for text, want := range map[string]string{
		`WIRE_MAX_FRAME \((.*)\)`: fmt.Sprintf("%d + (16 << 10)", wire.HeaderSize),
		`PROVEN "(.*)"`:           wire.Proven,
		`TAILS_MAX (.*)`:          fmt.Sprint(wire.TailsMax),
		`TAIL_MAX (.*)`:           fmt.Sprint(wire.TailMax),
		`ID_SIZE = 2 \* ([0-9]+)`: fmt.Sprint(wire.IDSize / 2),
		`(WIRE_OLDEST = .*) }`:    fmt.Sprintf("WIRE_OLDEST = %d, WIRE_VERSION = %d", wire.Oldest, wire.Version),
		`(WIRE_INFO = .*) }`:      fmt.Sprintf("WIRE_INFO = %d, WIRE_ERROR = %d", wire.Info, wire.Error),
		`(WIRE_ACCEPTED = .*) }`: fmt.Sprintf("WIRE_ACCEPTED = %d, WIRE_NOT_DUE = %d, WIRE_REFUSED = %d, WIRE_UNAVAILABLE = %d",
			wire.Accepted, wire.NotDue, wire.Refused, wire.Unavailable),
	} {
		if m := regexp.MustCompile(text).FindStringSubmatch(headers); m == nil || m[1] != want {
			t.Errorf("%s: %q, want %s", text, m, want)
		}
	}
	letters := `letters(?:\[\])? = "(.*)"`
	ours, daemons := all(letters, read(t, "../reference.c")), all(letters, read(t, "../../daemon/internal/audit/audit.go"))
	if len(ours) != 1 || !slices.Equal(ours, daemons) {
		t.Errorf("references are of %q, the daemon's of %q", ours, daemons)
	}
	if wire.MaxFrame != wire.HeaderSize+16<<10 {
		t.Errorf("a frame has %d bytes", wire.MaxFrame)
	}
}

// Without the linker's options it would be no guest, so it refuses to work.
func TestPlainBuild(t *testing.T) {
	b := built{plain.host, filepath.Join(t.TempDir(), "pam_totpd.so")}
	if out, err := exec.Command("go", "build", "-buildmode=c-shared", "-o", b.module, "../../pam").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w := newWorld(t, b, polite)
	if out := w.runWithInput(t, "alice", "named", 1); out != "4\n" { // PAM_SYSTEM_ERR
		t.Errorf("pam_authenticate returned %q", out)
	}
	if w.log == nil {
		t.Skip("the log line needs root")
	}
	if lines := w.logged(t); len(lines) != 1 || !strings.Contains(lines[0], "module.mk") {
		t.Errorf("the log has %q", lines)
	}
}
