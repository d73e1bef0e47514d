package doctor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/totpd/totpd/cli/internal/plan"
	"github.com/totpd/totpd/cli/internal/sshd"
)

// SSHD is what sshd does with logins.
type SSHD struct {
	UsePAM         bool       `json:"usepam"`
	KbdInteractive bool       `json:"kbdinteractiveauthentication"`
	Password       bool       `json:"passwordauthentication"`
	Pubkey         bool       `json:"pubkeyauthentication"`
	RootLogin      string     `json:"permitrootlogin"`
	Ways           [][]string `json:"ways"` // each way in, as the methods in order
}

// server is what is known of the host's sshd.
type server struct {
	*exam
	settings *sshd.Settings
	config   *sshd.Config // nil: it can't be read
}

// kbd is the method by which PAM's questions reach the person.
const kbd = "keyboard-interactive"

// lookSSHD looks at sshd's settings, as far as they have to do with the second factor.
func (x *exam) lookSSHD() {
	program, err := sshd.Find(cmp.Or(x.Root, "/"))
	if err != nil {
		x.fine("sshd", "there is no sshd on this host")
		return
	}
	if x.Root != "" {
		program.Config = x.path(sshd.ConfigFile)
	}
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	settings, err := program.Effective(ctx, nil)
	failure := new(sshd.Failure)
	switch {
	case err != nil && x.UID != 0:
		x.unseen("sshd", "sshd tells its settings to root alone")
		return
	case errors.As(err, &failure) && idle.MatchString(failure.Said):
		x.unseen("sshd", "sshd doesn't run, and tells its settings only then: start it")
		return
	case errors.As(err, &failure):
		x.brokenSSHD(failure)
		return
	case err != nil:
		x.unseen("sshd", "its settings can't be found out: %v", err)
		return
	}
	x.report.Facts.SSHD = &SSHD{
		UsePAM: settings.UsePAM, KbdInteractive: settings.KbdInteractive, Password: settings.Password,
		Pubkey: settings.Pubkey, RootLogin: settings.RootLogin, Ways: settings.Ways(),
	}
	if !slices.ContainsFunc(x.report.Facts.Services, func(s Service) bool { return s.Name == "sshd" }) {
		return // stack-without or stack-none says so
	}
	s := &server{exam: x, settings: settings}
	if s.config, err = sshd.ReadConfig(cmp.Or(x.Root, "/"), sshd.ConfigFile); err != nil {
		x.unseen("sshd", "%v", err)
	}
	x.sshd = s
	s.judge(program)
	x.fine("sshd", "it asks PAM and can show its questions")
}

// idle is what sshd complains about when it isn't running, whatever its settings: systemd makes that
// directory when it starts sshd.
var idle = regexp.MustCompile("(?i)missing privilege separation directory")

// complaint is how sshd names a line: "/etc/ssh/sshd_config line 12: Bad configuration option: x".
var complaint = regexp.MustCompile(`(/[^\s:]+):? line (\d+): (.*?)(;|$)`)

func (x *exam) brokenSSHD(f *sshd.Failure) {
	place, what := sshd.ConfigFile, f.Said
	if m := complaint.FindStringSubmatch(f.Said); m != nil {
		place, what = strings.TrimPrefix(m[1], strings.TrimSuffix(x.Root, "/"))+":"+m[2], m[3]
	}
	x.found("sshd-broken", place, "/usr/sbin/sshd -t  # fix the line until it says nothing, then: "+x.reloadSSHD(),
		"sshd can't read its settings and doesn't start any more: %s", what)
}

func (s *server) judge(program *sshd.Server) {
	kbdOpen := slices.ContainsFunc(s.settings.Ways(), s.asks)
	switch {
	case !s.settings.UsePAM:
		place, remedy, more := s.wrong("UsePAM", "yes")
		s.found("sshd-usepam", place, remedy, "sshd doesn't ask PAM (UsePAM no), so nobody is asked for a code over ssh%s", more)
		s.cantAsk = !s.settings.Password
	case !s.settings.KbdInteractive && !(s.together["sshd"] && s.settings.Password):
		place, remedy, more := s.wrong("KbdInteractiveAuthentication", "yes")
		s.found("sshd-kbdint", place, remedy, "sshd can't ask for a code: KbdInteractiveAuthentication is off%s", more)
		s.cantAsk = true
	case !kbdOpen:
		place, remedy, _ := s.wrong("AuthenticationMethods", "any")
		s.found("sshd-methods", place, remedy, "no way in goes through %s, so sshd never asks for a code", kbd)
		s.cantAsk = true
	}
	s.judgeWays()
	root, err := s.of(program, "root")
	if err == nil {
		s.judgeRoot(root)
		s.judgeRootKey(root)
	}
	s.judgeMatch()
	s.judgeClosed()
	s.judgeAge()
}

// asks tells whether a code is asked for in one of the methods of a way.
func (s *server) asks(way []string) bool {
	return slices.ContainsFunc(way, isKbd) || s.together["sshd"] && s.settings.UsePAM && slices.Contains(way, "password")
}

func isKbd(method string) bool { return method == kbd || strings.HasPrefix(method, kbd+":") }

// judgeWays looks at each way in: whether a code is asked for, and whether that can be done.
func (s *server) judgeWays() {
	var bare []string
	password, alone := false, false
	for _, way := range s.settings.Ways() {
		password = password || slices.Contains(way, "password") && s.settings.UsePAM
		asks := s.asks(way)
		if !asks && !slices.Contains(way, "password") {
			bare = append(bare, strings.Join(way, ","))
		}
		alone = alone || asks && len(way) == 1
	}
	if s.together["sshd"] && s.settings.UsePAM && !password {
		place, remedy, more := s.wrong("PasswordAuthentication", "yes")
		s.found("sshd-one-prompt", place, remedy+"  # and \"password\" among AuthenticationMethods",
			"the stack of sshd has one prompt for password and code, and sshd's password method, which needs that, is off%s", more)
	}
	if password && !s.together["sshd"] {
		place, remedy, more := s.wrong("PasswordAuthentication", "no")
		s.found("sshd-password", place, remedy,
			"sshd's own password method is on, which can't show a second question: whoever has a second factor is refused there%s", more)
	}
	if s.alone && alone {
		place, remedy, _ := s.wrong("AuthenticationMethods", "publickey,"+kbd)
		s.found("sshd-code-alone", place, remedy, "the stack of sshd asks for a code and no password, and sshd asks for no key before: the code is all that it takes")
	}
	if len(bare) > 0 {
		place, _, _ := s.wrong("AuthenticationMethods", "any")
		s.found("sshd-bypass", place, "totpctl setup --service sshd --ssh any+code  # unless it is meant so",
			"no code is asked for of whoever comes by %s", strings.Join(bare, " or "))
	}
}

// of are the settings for one user.
func (s *server) of(program *sshd.Server, user string) (*sshd.Settings, error) {
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	return program.Effective(ctx, sshd.From(user))
}

// judgeRoot: with a password of its own and no second factor, root is the account to guess.
func (s *server) judgeRoot(root *sshd.Settings) {
	byPassword := slices.ContainsFunc(root.Ways(), func(way []string) bool { return way[0] == "password" || isKbd(way[0]) })
	if root.RootLogin != "yes" || !byPassword || !s.listed || !s.rootHasPassword() {
		return
	}
	for _, a := range s.accounts {
		if a.User == "root" && a.Enrolled {
			return
		}
	}
	place, _, _ := s.wrong("PermitRootLogin", "yes")
	// Not PermitRootLogin prohibit-password, which refuses a code after the key: judgeRootKey.
	remedy := fmt.Sprintf(`printf 'Match User root\n\tAuthenticationMethods publickey,%s\n' >>%s && /usr/sbin/sshd -t && %s`, kbd, sshd.ConfigFile, s.reloadSSHD())
	s.found("sshd-root", place, remedy+"  # or, as root: totpctl enrol",
		"root may log in over ssh with its password alone: PermitRootLogin is yes and root has no second factor")
}

// judgeRootKey: where PermitRootLogin takes keys alone, sshd ends a login of root in which PAM has its say. A way
// for root that goes on to PAM after the key is none, then.
func (s *server) judgeRootKey(root *sshd.Settings) {
	if !root.UsePAM || root.RootLogin == "yes" || root.RootLogin == "no" {
		return
	}
	behindKey := false
	for _, way := range root.Ways() {
		if slices.ContainsFunc(way, func(method string) bool { return method == "password" || isKbd(method) }) {
			behindKey = behindKey || slices.Contains(way, "publickey")
		} else if slices.Contains(way, "publickey") {
			return // the key alone gets in
		}
	}
	if !behindKey {
		return
	}
	place, _, _ := s.wrong("PermitRootLogin", "yes")
	const remedy = "totpctl setup --service sshd --ssh any+code  # or another mode"
	if plan.RootHasKey(cmp.Or(s.Root, "/"), root) {
		s.found("sshd-root-key", place, remedy, "root can't log in over ssh: PermitRootLogin %s refuses what comes after the key", root.RootLogin)
		return
	}
	s.found("sshd-root-later", place, remedy, "once root is given a key, it will be of no use over ssh: PermitRootLogin %s refuses what comes after the key", root.RootLogin)
}

func (x *exam) rootHasPassword() bool {
	text, err := os.ReadFile(x.path("/etc/shadow"))
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Split(line, ":"); len(fields) > 1 && fields[0] == "root" {
			return !strings.HasPrefix(fields[1], "!") && !strings.HasPrefix(fields[1], "*")
		}
	}
	return false
}

// judgeMatch tells of settings that hold for some only. They are meant so, but easily forgotten.
func (s *server) judgeMatch() {
	if s.config == nil {
		return
	}
	for keyword, harm := range map[string]func(args []string) string{
		"KbdInteractiveAuthentication": func(args []string) string {
			return when(slices.Equal(args, []string{"no"}), "sshd can't ask for a code")
		},
		"PasswordAuthentication": func(args []string) string {
			return when(slices.Equal(args, []string{"yes"}) && !s.settings.Password && !s.together["sshd"], "sshd's own password method is on")
		},
		"AuthenticationMethods": func(args []string) string {
			ways := s.waysOf(args)
			bare := slices.DeleteFunc(slices.Clone(ways), s.asks)
			return when(len(bare) > 0, "a way in without a code is open ("+strings.Join(args, " ")+")")
		},
	} {
		_, conditional := s.config.Setting(keyword)
		for _, d := range conditional {
			if what := harm(d.Args); what != "" {
				s.found("sshd-match", d.Place.String(), asMeant, "for logins that match %q, %s", d.Match, what)
			}
		}
	}
}

// judgeClosed tells of Match blocks whose methods are switched off for everybody.
func (s *server) judgeClosed() {
	if s.config == nil || s.cantAsk { // then the cause is told
		return
	}
	methods, conditional := s.config.Setting("AuthenticationMethods")
	for _, d := range append(methods, conditional...) {
		if d.Match == "" || len(s.waysOf(d.Args)) > 0 || s.turnsOn(d.Match) {
			continue
		}
		s.found("sshd-shut-out", d.Place.String(), fmt.Sprintf("sed -i '%ds/.*/\tAuthenticationMethods publickey,%s %s/' %s && /usr/sbin/sshd -t && %s", d.Line, kbd, kbd, shell(d.File), s.reloadSSHD()),
			"logins that match %q are all refused: AuthenticationMethods %s asks for a method that is switched off", d.Match, strings.Join(d.Args, " "))
	}
}

// turnsOn tells whether a Match block switches a method on for itself.
func (s *server) turnsOn(match string) bool {
	for _, keyword := range []string{"PasswordAuthentication", "KbdInteractiveAuthentication", "PubkeyAuthentication"} {
		_, conditional := s.config.Setting(keyword)
		if slices.ContainsFunc(conditional, func(d sshd.Directive) bool { return d.Match == match && slices.Equal(d.Args, []string{"yes"}) }) {
			return true
		}
	}
	return false
}

// waysOf are the ways that a value of AuthenticationMethods leaves open with the other settings as they are for
// everybody.
func (s *server) waysOf(args []string) [][]string {
	own := *s.settings
	own.Methods = nil
	for _, way := range args {
		if way != "any" {
			own.Methods = append(own.Methods, strings.Split(way, ","))
		}
	}
	return own.Ways()
}

func when(is bool, what string) string {
	if is {
		return what
	}
	return ""
}

// judgeAge: settings count when sshd has read them.
func (s *server) judgeAge() {
	if s.config == nil {
		return
	}
	for _, unit := range []string{"ssh.service", "sshd.service"} {
		for _, path := range s.config.Files {
			if f, err := s.follow(path); err == nil && s.newer(f, unit) {
				s.found("sshd-stale", path, s.reloadSSHD(), "%s was changed after sshd read it last, at %s", path,
					s.units[unit].Since.Local().Format(time.DateTime))
				return
			}
		}
	}
}

// wrong says where a setting gets its value, and how to give it the right one. More tells of a line that
// sets it right and comes too late: the first one counts.
func (s *server) wrong(keyword, right string) (place, remedy, more string) {
	check := " && /usr/sbin/sshd -t && " + s.reloadSSHD()
	line := keyword + " " + right
	place = sshd.ConfigFile
	remedy = fmt.Sprintf("sed -i '1i %s' %s", line, sshd.ConfigFile) + check
	if s.config == nil {
		return place, remedy, ""
	}
	lines, _ := s.config.Setting(keyword)
	if len(lines) == 0 {
		return place, remedy, ""
	}
	place = lines[0].Place.String()
	remedy = fmt.Sprintf("sed -i '%ds/.*/%s/' %s", lines[0].Line, line, shell(lines[0].File)) + check
	if lines[0].All { // without it, what stands in no Match block counts; and "any" is not for a Match block
		remedy = fmt.Sprintf("sed -i '%dd' %s", lines[0].Line, shell(lines[0].File)) + check
	}
	for _, later := range lines[1:] {
		if strings.EqualFold(strings.Join(later.Args, " "), right) {
			more = fmt.Sprintf("; %s says %s, but the first line counts", later.Place, right)
			break
		}
	}
	return place, remedy, more
}

// sshdUnit is the name of sshd's unit, which is another on Debian than elsewhere.
func (x *exam) sshdUnit() string {
	if u := x.units["ssh.service"]; u != nil && u.Load == "loaded" || x.units == nil && x.exists("/usr/lib/systemd/system/ssh.service") {
		return "ssh"
	}
	return "sshd"
}
