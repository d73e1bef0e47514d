package audit

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const catalog = "../../../packaging/catalog/totpd.catalog"

// What journalctl -x shows has an entry for each MESSAGE_ID and for nothing else, and names fields that
// there are.
func TestCatalog(t *testing.T) {
	text, err := os.ReadFile(catalog)
	if err != nil {
		t.Fatal(err)
	}
	var fields []string
	for _, f := range (&Event{}).all() {
		fields = append(fields, f.journal)
	}
	var told []string
	entries := regexp.MustCompile(`(?m)^-- `).Split(string(text), -1)
	for _, entry := range entries[1:] {
		id, rest, _ := strings.Cut(entry, "\n")
		told = append(told, id)
		header, body, _ := strings.Cut(rest, "\n\n")
		for _, key := range []string{"Subject: ", "Defined-By: totpd", "Support: ", "Documentation: man:"} {
			if !strings.Contains(header, key) {
				t.Errorf("entry %s has no %q", id, key)
			}
		}
		if len(body) < 100 {
			t.Errorf("entry %s says little: %q", id, body)
		}
		for _, name := range regexp.MustCompile(`TOTPD_[A-Z_]+`).FindAllString(rest, -1) {
			if !slices.Contains(fields, name) {
				t.Errorf("entry %s: no event has a field %s", id, name)
			}
		}
		for line := range strings.Lines(rest) {
			if len(line) > 100 || strings.Count(line, "@")%2 != 0 {
				t.Errorf("entry %s: %q", id, line)
			}
		}
	}
	for kind, id := range messageIDs {
		if n := len(told) - len(slices.DeleteFunc(slices.Clone(told), func(s string) bool { return s == id })); n != 1 {
			t.Errorf("%s has %d entries", kind, n)
		}
	}
	if len(told) != len(messageIDs) {
		t.Errorf("%d entries for %d kinds", len(told), len(messageIDs))
	}
}

// journald takes the catalog as it is.
func TestCatalogCompiles(t *testing.T) {
	tool, err := exec.LookPath("journalctl")
	if err != nil {
		t.Skip("needs journalctl")
	}
	root := t.TempDir()
	dir := filepath.Join(root, "usr/lib/systemd/catalog")
	if err := errors.Join(os.MkdirAll(dir, 0o755), os.MkdirAll(filepath.Join(root, "var/lib/systemd/catalog"), 0o755)); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(catalog)
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "totpd.catalog"), text, 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(tool, "--root="+root, "--update-catalog").CombinedOutput(); err != nil || len(out) > 0 {
		t.Fatalf("%v: %s", err, out)
	}
	out, err := exec.Command(tool, "--root="+root, "--dump-catalog").CombinedOutput()
	for kind, id := range messageIDs {
		if !strings.Contains(string(out), id) {
			t.Errorf("%s isn't in what was compiled: %v, %s", kind, err, out)
		}
	}
}
