package plan

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/totpd/totpd/cli/internal/change"
)

// TestLeftOutIsNotMissing: what was left out isn't wanted, but when its file comes back as it was, it would ask.
func TestLeftOutIsNotMissing(t *testing.T) {
	const vsftpd = "auth required pam_shells.so\n@include login\n"
	h := hostOf(t, "debian", map[string]string{"etc/pam.d/i3lock": locker, "usr/sbin/vsftpd": "", "etc/pam.d/vsftpd": vsftpd})
	j := h.Journal.(*change.Journal)
	if err := j.Apply(change.Change{Files: makePlan(t, h, "login").Files, Why: "totpctl setup --service login"}); err != nil {
		t.Fatal(err)
	}
	wants := Wanted(j.Records(), nil)
	for _, w := range wants {
		if strings.Contains(strings.Join(w.Services, " "), "vsftpd") {
			t.Errorf("wanted: %+v", wants)
		}
	}
	if found := Missing(context.Background(), h, wants); len(found) > 0 {
		t.Errorf("after setup: %+v", found)
	}
	if err := os.WriteFile(filepath.Join(h.Root, "etc/pam.d/vsftpd"), []byte(vsftpd), 0o644); err != nil {
		t.Fatal(err)
	}
	if found := Missing(context.Background(), h, wants); len(found) != 1 || found[0].Where != "/etc/pam.d/vsftpd" ||
		found[0].What != "it asks for a code, which its program can't: totpctl setup had left it out" {
		t.Errorf("with vsftpd's own file again: %+v", found)
	}
}
