package doctor

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func TestHealthy(t *testing.T) {
	h := newHost(t)
	r := h.examine()
	if len(r.Findings) > 0 || os.Geteuid() == 0 && len(r.Unseen) > 0 {
		t.Errorf("a healthy host has\n%s", listing(r))
	}
	for _, topic := range []string{"module", "stack", "sshd", "daemon", "unit", "socket", "config", "store", "key", "clock"} {
		if !slices.ContainsFunc(r.Fine, func(l Line) bool { return l.Topic == topic }) && os.Geteuid() == 0 {
			t.Errorf("nothing is said of %s", topic)
		}
	}
}

// A store that lies elsewhere behind a link, and a key that systemd hands over, are fine.
func TestHealthyElsewhere(t *testing.T) {
	h := newHost(t)
	h.run("mkdir srv; mv var/lib/totpd srv/accounts; ln -s ../../srv/accounts var/lib/totpd; rm srv/accounts/totpd.key")
	h.write("run/credentials/totpd.service/totpd.key", "secret")
	r := h.examine()
	if len(r.Findings) > 0 {
		t.Error(listing(r))
	}
	if r.Facts.Key == nil || r.Facts.Key.Credential != "/run/credentials/totpd.service/totpd.key" {
		t.Errorf("key %+v", r.Facts.Key)
	}
}

// What totpctl setup has changed is fine as long as it can be taken back.
func TestHealthyAfterSetup(t *testing.T) {
	h := newHost(t)
	h.setUp()
	r := h.examine()
	if len(r.Findings) > 0 || !slices.ContainsFunc(r.Fine, func(l Line) bool { return l.Topic == "setup" }) {
		t.Errorf("%s%+v", listing(r), r.Fine)
	}
}

// Where a key of sshd's stands for the password, as totpctl setup has it, all is well too.
func TestHealthyWithKeys(t *testing.T) {
	const key = "auth [success=done ignore=ignore default=die] pam_totpd.so with_key\n"
	for methods, rest := range map[string]string{
		"publickey,keyboard-interactive keyboard-interactive": "@include common-auth\nauth required pam_totpd.so\n",
		"publickey,keyboard-interactive":                      "@include common-auth\nauth required pam_totpd.so\n",
	} {
		h := newHost(t)
		h.write("etc/pam.d/sshd", key+rest)
		h.write("etc/ssh/sshd_config.d/totpd.conf", "KbdInteractiveAuthentication yes\nPasswordAuthentication no\nAuthenticationMethods "+methods+
			"\nMatch User root\n\tAuthenticationMethods publickey,keyboard-interactive\n\tPermitRootLogin yes\n")
		if r := h.examine(); len(r.Findings) > 0 {
			t.Errorf("%s:\n%s", methods, listing(r))
		}
	}
}

// Each kind has an id of a known topic, once, and some fault shows it.
func TestKinds(t *testing.T) {
	var seen []string
	for _, k := range Kinds {
		if slices.Contains(seen, k.ID) || !slices.Contains(topics, topicOf(k.ID)) || !slices.Contains(severities, k.Severity) || k.Meaning == "" {
			t.Errorf("%+v", k)
		}
		seen = append(seen, k.ID)
		if !slices.ContainsFunc(faults, func(f fault) bool { return slices.Contains(strings.Fields(f.want), k.ID) }) {
			t.Errorf("no fault shows %s", k.ID)
		}
	}
}
