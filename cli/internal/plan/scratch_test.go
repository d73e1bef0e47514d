package plan

import (
	"os"
	"strings"
	"testing"
)

// TMPDIR is the caller's, as after su without a dash: copies that root tries don't go there.
func TestScratchIsNotWhereTMPDIRIs(t *testing.T) {
	of := t.TempDir()
	t.Setenv("TMPDIR", of)
	dir, err := NewScratch()
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if st, err := os.Stat(dir); err != nil || st.Mode().Perm() != 0o700 || strings.HasPrefix(dir, of) {
		t.Errorf("%s, %v", dir, err)
	}
}
