package host

import (
	"errors"
	"fmt"
	"os"
	"testing"
)

var (
	lab   *Lab
	noLab error
)

func TestMain(m *testing.M) {
	lab, noLab = Enter()
	if noLab != nil && !errors.Is(noLab, ErrForbidden) {
		fmt.Fprintln(os.Stderr, noLab)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// inLab skips a test where there are no test hosts. 'make test' as root forbids that.
func inLab(t *testing.T) *Lab {
	t.Helper()
	if noLab != nil {
		if os.Getenv("TOTPD_E2E_REQUIRED") != "" {
			t.Fatal(noLab)
		}
		t.Skip(noLab)
	}
	return lab
}
