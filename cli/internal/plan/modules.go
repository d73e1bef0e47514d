package plan

import (
	"fmt"
	"slices"

	"github.com/totpd/totpd/cli/internal/stack"
)

// checkModules refuses a service in which nobody gets in because libpam can't load a module, and notes the lines
// that refuse some logins for that reason.
func (p *Plan) checkModules(t *stack.Tree, service string) *Refusal {
	for _, typ := range []stack.Type{stack.Auth, stack.Account, stack.Session} {
		entries, err := t.Stack(service, typ)
		if err != nil {
			return &Refusal{service, err.Error(), "nothing was changed"}
		}
		refusing, closed := stack.Unloadable(entries)
		if typ == stack.Auth && len(refusing) > 0 { // that root gets in by pam_rootok is no way for others
			closed = closed || slices.ContainsFunc(stack.Judge(entries), func(f stack.Finding) bool { return f.Kind == stack.Closed })
		}
		for _, e := range refusing {
			if closed {
				return &Refusal{e.Where(), fmt.Sprintf("nobody gets in through %s, with or without a code: %s", service, e.Missing),
					"install the package of " + e.Name() + ".so, or take the line out"}
			}
			p.note("%s: logins that come to this line are refused: %s (%s)", service, e.Missing, e.Where())
		}
	}
	return nil
}
