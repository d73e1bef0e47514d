package plan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
	"github.com/totpd/totpd/cli/internal/sshd"
	"github.com/totpd/totpd/cli/internal/system"
)

// Mode is what ssh asks for.
type Mode string

// The modes.
const (
	AnyCode           Mode = "any+code"
	PasswordCode      Mode = "password+code"
	KeyCode           Mode = "key+code"
	KeyOrPasswordCode Mode = "key-or-password+code"
)

// Modes are all modes, the one to propose first.
var Modes = []Mode{AnyCode, PasswordCode, KeyCode, KeyOrPasswordCode}

// Says is what a mode means, in a few words.
func (m Mode) Says() string {
	return map[Mode]string{
		AnyCode:           "a key or the password, and then a code",
		PasswordCode:      "the password and a code; a key alone no longer lets in",
		KeyCode:           "a key and a code; the password no longer lets in",
		KeyOrPasswordCode: "a key alone, or the password and a code",
	}[m]
}

// methods are AuthenticationMethods for a mode.
var methods = map[Mode]string{
	AnyCode:           "publickey,keyboard-interactive keyboard-interactive",
	PasswordCode:      "keyboard-interactive",
	KeyCode:           "publickey,keyboard-interactive",
	KeyOrPasswordCode: "publickey keyboard-interactive",
}

// combinedMethods are those where password and code are typed together: at the prompt of sshd's own method
// password too.
var combinedMethods = map[Mode]string{
	AnyCode:           "publickey,keyboard-interactive password keyboard-interactive",
	PasswordCode:      "password keyboard-interactive",
	KeyOrPasswordCode: "publickey password keyboard-interactive",
}

// HasOnePrompt tells whether the mode has a password that a code can be typed with.
func (m Mode) HasOnePrompt() bool { return combinedMethods[m] != "" }

// DropIn is the file of ours among sshd's settings. Of several that set the same, the first by name counts.
const DropIn = sshd.DropIns + "/00-totpd.conf"

// SSH is what sshd is to do.
type SSH struct {
	Mode        Mode
	OnePrompt   bool   // password and code are typed together
	Root        string // what happens to root, for the notes; empty: nothing
	old         bool   // before 8.7 another keyword had to agree with KbdInteractiveAuthentication
	rootMethods string // AuthenticationMethods of root alone; empty: as for everybody
	rootLogin   string // PermitRootLogin of root alone
	rootBlocks  []rootBlock
	roots       []string
}

// withKey tells whether a key may come before the code, so that PAM must do without the password.
func (s *SSH) withKey() bool {
	return s.Mode == AnyCode || s.Mode == KeyCode || strings.Contains(s.rootMethods, "publickey,keyboard-interactive") ||
		slices.ContainsFunc(s.rootBlocks, func(b rootBlock) bool { return strings.Contains(b.methods, "publickey,keyboard-interactive") })
}

// methods are AuthenticationMethods.
func (s *SSH) methods() string {
	if s.OnePrompt {
		return combinedMethods[s.Mode]
	}
	return methods[s.Mode]
}

// addSSH works out sshd's settings.
func (p *Plan) addSSH(ctx context.Context, h *Host, mode Mode, onePrompt bool) {
	if r := p.workOutSSH(ctx, h, mode, onePrompt); r != nil {
		p.refuse(r)
	}
}

func (p *Plan) workOutSSH(ctx context.Context, h *Host, mode Mode, onePrompt bool) *Refusal {
	major, minor, err := h.SSHD.Version(ctx)
	if err != nil {
		return &Refusal{h.SSHD.Program, err.Error(), "nothing was changed"}
	}
	p.SSH = &SSH{Mode: mode, OnePrompt: onePrompt, old: major < 8 || major == 8 && minor < 7}
	before, err := h.effective(ctx, map[string][]byte{DropIn: nil}, nil) // without us, also the second time
	if err != nil {
		return sshdSays(err)
	}
	root, err := h.effective(ctx, map[string][]byte{DropIn: nil}, sshd.From("root"))
	if err != nil {
		return sshdSays(err)
	}
	p.SSH.roots = rootNames(h)
	if r := p.SSH.forRoot(h, before, root); r != nil {
		return r
	}
	text := p.SSH.text()
	if major < 8 || major == 8 && minor < 2 {
		return &Refusal{h.SSHD.Program, fmt.Sprintf("OpenSSH %d.%d can't include files", major, minor),
			"put these lines at the top of " + h.config() + " by hand: " + strings.Join(settingsOf(text), "; ")}
	}
	file := change.File{Path: DropIn, After: text, Edits: whole(text)}
	base, now, r := h.base(DropIn)
	if r != nil && now == nil {
		return r
	}
	if r != nil { // it is ours as a whole, and made anew
		p.note("%s was edited after totpctl setup and is made anew; the edited one is kept in %s", DropIn, change.Dir)
	}
	if base != nil {
		return &Refusal{DropIn, "there is a file of this name with lines that aren't ours", "move those lines into another file, such as " + sshd.DropIns + "/50-local.conf"}
	}
	file.Now = now
	p.addFile(file)
	if r := p.includeDropIn(h); r != nil {
		return r
	}
	p.Reload = slices.ContainsFunc(p.Files, func(f change.File) bool { return strings.HasPrefix(f.Path, "/etc/ssh/") && f.Changes() })
	if r := p.checkSSH(ctx, h); r != nil {
		return r
	}
	p.tellPeople(h, before)
	return nil
}

// config is sshd's first file.
func (h *Host) config() string {
	if h.SSHD.Config != "" {
		return h.SSHD.Config
	}
	return sshd.ConfigFile
}

// effective asks sshd for its settings as they would be with these files: on a copy.
func (h *Host) effective(ctx context.Context, files map[string][]byte, c *sshd.Connection) (*sshd.Settings, error) {
	dir, err := h.scratch("sshd")
	if err != nil {
		return nil, err
	}
	copying := sshd.MakeCopy
	if c == nil {
		copying = sshd.MakeCopyForAll
	}
	copied, err := copying(h.Root, h.config(), dir, files)
	if err != nil {
		return nil, err
	}
	server := *h.SSHD
	server.Config = copied.Path
	got, err := server.Effective(ctx, c)
	if failure := new(sshd.Failure); errors.As(err, &failure) {
		failure.Said = copied.Original(failure.Said)
	}
	return got, err
}

// sshdSays is a refusal with sshd's own words.
func sshdSays(err error) *Refusal {
	hint := "nothing was changed"
	switch text := err.Error(); {
	case strings.Contains(text, "privilege separation directory"):
		hint = "start it first"
		if system.Booted() {
			hint += ": systemctl start ssh (or sshd)"
		}
	case strings.Contains(text, `"any" must appear alone`):
		hint = `sshd takes "any" in no Match block once there are methods for everybody: put "publickey keyboard-interactive" there, or what is meant`
	case strings.Contains(text, "no hostkeys"):
		hint = "make its host keys first: ssh-keygen -A"
	}
	return &Refusal{"sshd", err.Error(), hint}
}

// asleep tells whether sshd didn't say anything because it doesn't run, or only while somebody logs in.
func asleep(r *Refusal) bool {
	return r.Where == "sshd" && strings.Contains(r.Why, "privilege separation directory")
}

// text is the drop-in's.
func (s *SSH) text() []byte {
	var b strings.Builder
	password := `# sshd's own password method can show no second prompt. PAM asks for the password all the same.
PasswordAuthentication no`
	if s.OnePrompt {
		password = `# Password and code are typed together, at the one prompt of either method.
PasswordAuthentication yes`
	}
	fmt.Fprintf(&b, `# Made by "totpctl setup"; "totpctl setup --undo" removes it. It comes first, so that it counts.
# ssh asks for %s.
UsePAM yes
KbdInteractiveAuthentication yes
%s
AuthenticationMethods %s
`, s.Mode.Says(), password, s.methods())
	if s.old {
		b.WriteString("ChallengeResponseAuthentication yes\n")
	}
	if len(s.rootBlocks) > 0 {
		b.WriteString("\n# Where root may log in stays as the Match blocks of this host have it.\n")
	}
	for _, block := range s.rootBlocks {
		fmt.Fprintf(&b, "Match User %s %s\n\tPermitRootLogin %s\n", strings.Join(s.roots, ","), block.match, block.login)
		if block.methods != "" {
			fmt.Fprintf(&b, "\tAuthenticationMethods %s\n", block.methods)
		}
	}
	if s.rootMethods != "" {
		fmt.Fprintf(&b, "\n# %s\nMatch User %s\n", s.Root, strings.Join(s.roots, ","))
		if s.rootLogin != "" {
			fmt.Fprintf(&b, "\tPermitRootLogin %s\n", s.rootLogin)
		}
		fmt.Fprintf(&b, "\tAuthenticationMethods %s\n", s.rootMethods)
	}
	return []byte(b.String())
}

// settingsOf are the lines of a drop-in that aren't comments.
func settingsOf(text []byte) []string {
	var all []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
			all = append(all, line)
		}
	}
	return all
}

// forRoot keeps the way in that root has now, also for keys that root is given later. Where root may come by key
// alone ("prohibit-password"), sshd ends every login of root that PAM lets in: "PAM auth succeeded when it should
// have failed". So root gets PermitRootLogin yes, and methods that begin with the key: without one nobody comes
// to the password.
//
// Where Match blocks set PermitRootLogin, each has its counterpart in our file, in the same order: ours comes first,
// and would open what they close.
func (s *SSH) forRoot(h *Host, everybody, root *sshd.Settings) *Refusal {
	if s.Mode == KeyOrPasswordCode || !root.Pubkey {
		return nil
	}
	config, err := sshd.ReadConfigWith(h.Root, h.config(), map[string][]byte{DropIn: nil})
	if err != nil {
		return &Refusal{h.config(), err.Error(), "nothing was changed"}
	}
	_, conditional := config.Setting("PermitRootLogin")
	general := root.RootLogin
	if len(conditional) > 0 {
		general = everybody.RootLogin
	}
	s.rootLogin, s.rootMethods = rootBy(general)
	switch general {
	case "prohibit-password":
		s.Root = "root needs a key, as before, and then a code like everybody; so do keys that are added later."
	case "forced-commands-only":
		s.Root = "root's keys run the commands that they are bound to, as before, without a code."
	}
	needed := s.rootMethods != ""
	for _, d := range conditional {
		block := rootBlock{match: strings.ReplaceAll(d.Match, ", ", " "), login: strings.ToLower(strings.Join(d.Args, " "))}
		login, methods := rootBy(block.login)
		if needed = needed || methods != ""; login != "" {
			block.login = login
		}
		if block.methods = methods; block.login == "yes" && methods == "" {
			block.methods = s.methods()
		}
		s.rootBlocks = append(s.rootBlocks, block)
	}
	if !needed {
		s.rootBlocks = nil
	}
	return nil
}

// rootBlock is what holds for root under conditions of the host's own.
type rootBlock struct{ match, login, methods string }

// rootBy returns PermitRootLogin and AuthenticationMethods for a PermitRootLogin that was meant without totpd; empty:
// as it is.
func rootBy(was string) (login, methods string) {
	switch was {
	case "prohibit-password", "without-password":
		return "yes", "publickey,keyboard-interactive"
	case "forced-commands-only":
		return "", "publickey"
	}
	return "", ""
}

// rootNames are the users that sshd treats as root: all whose number is 0.
func rootNames(h *Host) []string {
	names := []string{"root"}
	for _, who := range people(h, nil) {
		if who.uid == 0 && who.name != "root" {
			names = append(names, who.name)
		}
	}
	return names
}

// includeDropIn sees to it that sshd reads our file, and first.
func (p *Plan) includeDropIn(h *Host) *Refusal {
	host := h.config()
	base, now, r := h.base(host)
	if r != nil {
		return r
	}
	if base == nil {
		return &Refusal{host, "sshd has no settings", "nothing was changed"}
	}
	files := p.files()
	files[host] = base
	config, err := sshd.ReadConfigWith(h.Root, host, files)
	if err != nil {
		return &Refusal{host, err.Error(), "nothing was changed"}
	}
	f := change.File{Path: host, Now: now, Base: base, After: base}
	if !slices.Contains(config.Files, DropIn) {
		if r := checkFile(h, host, base); r != nil {
			return r
		}
		f.Edits = []change.Edit{{Line: 1, Add: []string{
			`# totpd: the second factor's settings ("totpctl setup --undo" takes this out)`, "Include " + DropIn}}}
		if f.After, err = change.Apply(base, f.Edits); err != nil {
			return &Refusal{host, err.Error(), "nothing was changed"}
		}
	}
	if f.Changes() || len(f.Edits) > 0 {
		p.addFile(f)
	}
	return nil
}

// scratch makes a new directory for a copy.
func (h *Host) scratch(what string) (string, error) {
	return os.MkdirTemp(h.Scratch, what+"-")
}
