package doctor

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/totpd/totpd/daemon/control"
)

// lookRules asks, as root, what the rules say about the people of this host who have not enrolled: whoever must
// have a second factor and has none is in for a surprise. It is about logins from the host itself; those of a
// directory (LDAP and the like) aren't listed here.
func (x *exam) lookRules() {
	if !x.answers || !x.listed || len(x.required) == 0 {
		return
	}
	service := x.required[0]
	if slices.Contains(x.required, "sshd") {
		service = "sshd"
	}
	enrolled := map[string]bool{}
	for _, a := range x.accounts {
		enrolled[a.User] = a.Enrolled
	}
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	client := control.NewClient(x.controlSocket())
	var refused, required []string
	asked := 0
	for _, name := range x.residents() {
		if enrolled[name] || asked == lookedUp {
			continue
		}
		asked++
		p, err := client.Policy(ctx, control.PolicyRequest{User: name, Service: service})
		switch {
		case err != nil:
			x.unseen("people", "what the rules say about %s can't be found out: %v", name, err)
			return
		case p.Asks == control.AsksTooMuch, p.Asks == control.AsksToEnrol && x.together[service]:
			refused = append(refused, name)
		case p.Asks == control.AsksToEnrol:
			required = append(required, name)
		}
	}
	if len(refused) > 0 {
		x.found("people-refused", "", "totpctl policy explain "+shell(refused[0])+" --service "+shell(service)+"  # or let them enrol: totpctl enrol "+shell(refused[0]),
			"%s can't log in by %s: a code is required, they have no device, and they can't enrol in the login", few(refused), service)
	}
	if len(required) > 0 {
		x.found("people-required", "", "nothing, when it is meant so; totpctl policy explain "+shell(required[0])+" --service "+shell(service)+" says why",
			"%s must enrol at the next login by %s", few(required), service)
	}
}

// residents are root and those with a number that people have, and a shell.
func (x *exam) residents() []string {
	text, err := os.ReadFile(x.path("/etc/passwd"))
	if err != nil {
		return nil
	}
	var all []string
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), ":")
		if len(f) != 7 || strings.HasSuffix(f[6], "/nologin") || strings.HasSuffix(f[6], "/false") {
			continue
		}
		if uid, err := strconv.Atoi(f[2]); err == nil && (uid == 0 || uid >= 1000 && uid < 65534) {
			all = append(all, f[0])
		}
	}
	return all
}
