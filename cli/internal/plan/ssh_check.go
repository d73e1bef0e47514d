package plan

import (
	"context"
	"fmt"
	"strings"

	"github.com/totpd/totpd/cli/internal/sshd"
)

// checkSSH has sshd itself say, on a copy, what its settings come to, and compares with what is meant.
func (p *Plan) checkSSH(ctx context.Context, h *Host) *Refusal {
	got, err := h.effective(ctx, p.files(), nil)
	if err != nil {
		return sshdSays(err)
	}
	config, err := sshd.ReadConfigWith(h.Root, h.config(), p.files())
	if err != nil {
		return &Refusal{h.config(), err.Error(), "nothing was changed"}
	}
	for _, want := range []struct {
		keyword string
		holds   bool
	}{
		{"UsePAM", got.UsePAM},
		{"KbdInteractiveAuthentication", got.KbdInteractive},
		{"PasswordAuthentication", got.Password == p.SSH.OnePrompt},
		{"AuthenticationMethods", waysOf(got.Methods) == p.SSH.methods()},
		{"PubkeyAuthentication", got.Pubkey || p.SSH.Mode != KeyCode},
	} {
		if !want.holds {
			return inTheWay(config, want.keyword)
		}
	}
	if r := p.checkRoot(ctx, h); r != nil {
		return r
	}
	return p.compareLogins(ctx, h, config, got)
}

// checkRoot compares root's settings with what is meant.
func (p *Plan) checkRoot(ctx context.Context, h *Host) *Refusal {
	if p.SSH.rootMethods == "" {
		return nil
	}
	if len(p.SSH.rootBlocks) > 0 { // compareLogins looks at each
		p.note("ssh: %s", p.SSH.Root)
		return nil
	}
	got, err := h.effective(ctx, p.files(), sshd.From("root"))
	if err != nil {
		return sshdSays(err)
	}
	if waysOf(got.Methods) != p.SSH.rootMethods || p.SSH.rootLogin != "" && got.RootLogin != p.SSH.rootLogin {
		return &Refusal{DropIn, "sshd doesn't come to what is meant for root: another Match block stands before it",
			"look for Match User root: grep -rn Match /etc/ssh/sshd_config*"}
	}
	p.note("ssh: %s", p.SSH.Root)
	return nil
}

func waysOf(methods [][]string) string {
	var ways []string
	for _, way := range methods {
		ways = append(ways, strings.Join(way, ","))
	}
	return strings.Join(ways, " ")
}

// inTheWay names the line that counts in place of ours.
func inTheWay(config *sshd.Config, keyword string) *Refusal {
	everybody, _ := config.Setting(keyword)
	for _, d := range everybody {
		if d.File != DropIn {
			return &Refusal{d.Place.String(), fmt.Sprintf("%q counts before what %s says", d.String(), DropIn),
				"remove that line, or move it into a file that sorts later"}
		}
	}
	return &Refusal{"sshd", "it doesn't come to the " + keyword + " that is meant",
		"see what its service passes on the command line: /etc/default/ssh, /etc/sysconfig/sshd, systemctl cat ssh"}
}

// CheckSSHD has sshd check its settings as they would be with a plan.
func CheckSSHD(ctx context.Context, h *Host, p *Plan) error {
	_, err := h.effective(ctx, p.files(), sshd.From("root"))
	return err
}
