package doctor

import (
	"path/filepath"
	"testing"
)

// A module that is for sessions alone is a module; a library is none.
func TestTryModule(t *testing.T) {
	for pattern, want := range map[string]bool{
		"/usr/lib*/*/security/pam_limits.so": true, "/usr/lib*/*/security/pam_permit.so": true, "/usr/lib*/*/libpam.so.0": false,
	} {
		found, err := filepath.Glob(pattern)
		if err != nil || len(found) == 0 {
			t.Fatalf("%s: %v", pattern, err)
		}
		if err := TryModule(found[0]); (err == nil) != want {
			t.Errorf("%s: %v", found[0], err)
		}
	}
}
