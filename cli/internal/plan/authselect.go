package plan

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/change"
)

// Where authselect has things.
const (
	authselectDir    = "/etc/authselect"
	authselectConf   = authselectDir + "/authselect.conf"
	authselectVendor = "/usr/share/authselect/vendor/totpd"
)

// authselectFiles are PAM's among those that it makes.
var authselectFiles = []string{"system-auth", "password-auth", "postlogin"}

// AuthselectProfile returns the profile in use, with its features: what "authselect select" was given.
func AuthselectProfile(root string) (profile string, features []string, err error) {
	text, err := os.ReadFile(filepath.Join(root, authselectConf))
	if err != nil {
		return "", nil, err
	}
	words := strings.Fields(string(text))
	if len(words) == 0 {
		return "", nil, os.ErrNotExist
	}
	return words[0], words[1:], nil
}

// addAuthselect works out which features our profile needs to do what the present one does, and what files
// authselect will make.
func (p *Plan) addAuthselect(h *Host) *Refusal {
	profile, features, err := AuthselectProfile(h.Root)
	named := "name the services instead: --service " + strings.Join(Offered(h), ",")
	if err != nil {
		return &Refusal{authselectConf, "authselect isn't in use on this host", named}
	}
	switch profile {
	case "totpd":
		return nil // it is there; listCommon judges it
	case "sssd":
		features = append(features, "with-sssd")
	case "local", "minimal":
	default:
		return &Refusal{"authselect", "the profile in use is " + profile + ", and the profile totpd can do what sssd, local and minimal do", named}
	}
	var known []string
	for _, name := range append([]string{"nsswitch.conf"}, authselectFiles...) {
		template, err := os.ReadFile(filepath.Join(h.Root, authselectVendor, name))
		if err != nil {
			return &Refusal{authselectVendor, err.Error(), "reinstall the package totpd"}
		}
		known = append(known, offered(string(template))...)
		if r := p.addRendered(h, name, string(template), features); r != nil {
			return r
		}
	}
	var missing []string
	for _, f := range features {
		if !slices.Contains(known, f) {
			missing = append(missing, f)
		}
	}
	if len(missing) > 0 {
		return &Refusal{"authselect", "the profile totpd has not all that " + profile + " does here: " + strings.Join(missing, ", "), named}
	}
	p.note("authselect writes /etc/nsswitch.conf anew, too; fingerprint-auth and smartcard-auth become empty")
	p.Tools = append(p.Tools, strings.Join(append([]string{Authselect, "totpd"}, features...), " "))
	return nil
}

// addRendered shows what will become of one file.
func (p *Plan) addRendered(h *Host, name, template string, features []string) *Refusal {
	text, err := render(template, features)
	if err != nil {
		return &Refusal{authselectVendor + "/" + name, err.Error(), "reinstall the package totpd"}
	}
	host := authselectDir + "/" + name
	now, err := h.Journal.Read(host)
	if err != nil {
		return &Refusal{host, err.Error(), "nothing was changed"}
	}
	if name == "nsswitch.conf" {
		return nil // authselect mixes it with /etc/authselect/user-nsswitch.conf
	}
	p.Shared = append(p.Shared, change.File{Path: host, Now: now, Base: now, After: []byte(authselectHead(now) + text)})
	return nil
}

// authselectHead are the comments at the beginning, which authselect writes anew.
func authselectHead(now []byte) string {
	var b strings.Builder
	for line := range strings.Lines(string(now)) {
		if strings.TrimSpace(line) != "" && line[0] != '#' {
			break
		}
		b.WriteString(line)
	}
	return b.String()
}
