package sshd

import (
	"bufio"
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Settings are the effective ones that matter for a second factor.
type Settings struct {
	UsePAM         bool
	KbdInteractive bool // the method that PAM's questions take
	Password       bool // sshd's own password method, which shows no second prompt
	Pubkey         bool
	LoginGrace     time.Duration // in which a login has to be done; 0: no limit
	RootLogin      string        // "yes", "no", "prohibit-password" or "forced-commands-only"
	Methods        [][]string    // AuthenticationMethods: each way in, as the methods in order; nil: any one method
	all            map[string][]string
}

// Values returns what "sshd -T" prints for a keyword, one string a line.
func (s *Settings) Values(keyword string) []string { return s.all[strings.ToLower(keyword)] }

// ParseSettings reads what "sshd -T" prints.
func ParseSettings(text []byte) (*Settings, error) {
	s := &Settings{all: map[string][]string{}}
	lines := bufio.NewScanner(bytes.NewReader(text))
	lines.Buffer(nil, sizeMax)
	for lines.Scan() {
		keyword, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), " ")
		if keyword != "" {
			s.all[strings.ToLower(keyword)] = append(s.all[strings.ToLower(keyword)], value)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read what sshd -T prints: %w", err)
	}
	for _, must := range []string{"passwordauthentication", "pubkeyauthentication", "permitrootlogin"} {
		if len(s.all[must]) == 0 {
			return nil, fmt.Errorf("read what sshd -T prints: there is no %s in it", must)
		}
	}
	// Without PAM in it, sshd doesn't know UsePAM. Before OpenSSH 8.7 two keywords had to agree.
	s.UsePAM = s.yes("usepam")
	s.KbdInteractive = s.yes("kbdinteractiveauthentication") || len(s.all["kbdinteractiveauthentication"]) == 0
	if len(s.all["challengeresponseauthentication"]) > 0 {
		s.KbdInteractive = s.KbdInteractive && s.yes("challengeresponseauthentication")
	}
	s.Password = s.yes("passwordauthentication")
	s.Pubkey = s.yes("pubkeyauthentication")
	s.RootLogin = s.all["permitrootlogin"][0]
	if s.RootLogin == "without-password" {
		s.RootLogin = "prohibit-password"
	}
	for _, seconds := range s.all["logingracetime"] {
		s.LoginGrace, _ = time.ParseDuration(seconds + "s")
	}
	for _, value := range s.all["authenticationmethods"] {
		for _, way := range strings.Fields(value) {
			if way != "any" {
				s.Methods = append(s.Methods, strings.Split(way, ","))
			}
		}
	}
	return s, nil
}

func (s *Settings) yes(keyword string) bool {
	return len(s.all[keyword]) > 0 && s.all[keyword][0] == "yes"
}

// Ways are all the ways in that these settings leave open, each as the methods in order. A method that is
// switched off closes the ways through it.
func (s *Settings) Ways() [][]string {
	on := map[string]bool{
		"publickey": s.Pubkey, "password": s.Password, "keyboard-interactive": s.KbdInteractive,
		"hostbased": s.yes("hostbasedauthentication"), "gssapi-with-mic": s.yes("gssapiauthentication"),
		"none": s.yes("permitemptypasswords") && s.Password,
	}
	ways := s.Methods
	if ways == nil {
		for _, method := range []string{"publickey", "password", "keyboard-interactive", "hostbased", "gssapi-with-mic", "none"} {
			ways = append(ways, []string{method})
		}
	}
	var open [][]string
	for _, way := range ways {
		if !slices.ContainsFunc(way, func(method string) bool {
			method, _, _ = strings.Cut(method, ":") // keyboard-interactive:pam
			return !on[method]
		}) {
			open = append(open, way)
		}
	}
	return open
}
