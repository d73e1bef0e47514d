package doctor

import (
	"errors"
	"io/fs"

	"github.com/totpd/totpd/cli/internal/stack"
)

// pamService is where the daemon has passwords checked.
const pamService = "totpd"

// lookPasswordService looks at the service by which the daemon has passwords checked. Were a code due
// there, whoever's phone is gone could neither enrol nor disable.
func (s *stacks) lookPasswordService() {
	const file = "/etc/pam.d/" + pamService
	const plain = `printf 'auth requisite pam_unix.so\naccount required pam_unix.so\n' >` + file
	if _, _, err := s.tree.Find(pamService); errors.Is(err, fs.ErrNotExist) {
		s.found("stack-totpd-missing", file, plain+"  # or others, where passwords come from a directory",
			"%s is missing, so the daemon can't have passwords checked: nobody can enrol", file)
		return
	}
	entries, err := s.tree.Stack(pamService, stack.Auth)
	if err != nil {
		s.unseen("stack", "%v", err)
		return
	}
	for i, e := range entries {
		if !e.Ours() || e.Sub {
			continue
		}
		remedy := drop(entries, i)
		if len(e.Via) > 0 {
			remedy = plain + "  # a stack of its own, without what others include"
		}
		s.found("stack-totpd", e.Where(), remedy,
			"the service by which totpd has passwords checked asks for a code itself: nobody can enrol, or disable a lost phone")
		return
	}
}
