package plan

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/totpd/totpd/cli/internal/sshd"
)

// alike are users whom sshd's Match blocks can't tell apart.
type alike struct {
	person
	groups []string
	names  []string // all of them
	exists bool     // false: only a Match block names the user
}

// logins are those to ask sshd about: one user for all that are alike, and the connections that Match blocks
// look at.
type logins struct {
	people []*alike
	from   []sshd.Connection // the first one is from this host
}

// comparedMax is how many logins sshd is asked about, each before and after.
const comparedMax = 200

// compareLogins asks sshd how the users of this host get in by the Match blocks that there are, before and after.
// A user for whom no way in would be left is a refusal; ways in without a code are noted. general is what holds
// for everybody.
func (p *Plan) compareLogins(ctx context.Context, h *Host, config *sshd.Config, general *sshd.Settings) *Refusal {
	all := collectLogins(h, config, general)
	told := map[string][]string{}
	var order []string
	asked := 0
	for _, who := range all.people {
		usual := ""
		for i, c := range all.from {
			if asked++; asked > comparedMax {
				p.note("ssh: there are more Match blocks and users than are compared here: sshd -T -C user=NAME,host=NAME,addr=ADDRESS,laddr=ADDRESS,lport=22 tells of each")
				break
			}
			c.User = who.name
			text, r := p.compareLogin(ctx, h, config, general, who, c)
			if r != nil {
				return r
			}
			if i == 0 {
				usual = text
			} else if text == usual {
				continue
			} else if text != "" {
				text += whence(all.from[0], c)
			}
			if text != "" && told[text] == nil {
				order = append(order, text)
			}
			if text != "" {
				told[text] = append(told[text], who.names...)
			}
		}
	}
	for _, text := range order {
		slices.Sort(told[text])
		p.note("ssh: %s: %s", few(slices.Compact(told[text])), text)
	}
	if len(order) > 0 {
		p.note("ssh: everybody else, as sshd itself says: %s", p.SSH.Mode.Says())
	}
	p.noteGroups(config, all)
	return nil
}

// compareLogin says what is special about one login afterwards; empty: nothing.
func (p *Plan) compareLogin(ctx context.Context, h *Host, config *sshd.Config, general *sshd.Settings, who *alike, c sshd.Connection) (string, *Refusal) {
	after, err := h.effective(ctx, p.files(), &c)
	if err != nil {
		return "", sshdSays(err)
	}
	ways := waysFor(who, after)
	if who.uid == 0 {
		if done, r := p.compareRoot(ctx, h, after, c); done || r != nil {
			return "", r
		}
	} else if waysOf(ways) == waysOf(waysFor(who, general)) {
		return "", nil
	}
	place, by := decides(config, who, &c)
	var bare []string
	for _, way := range ways {
		if !p.SSH.asks(way) {
			bare = append(bare, strings.Join(way, ","))
		}
	}
	if len(ways) > 0 && len(bare) == 0 {
		return "", nil
	}
	before, err := h.effective(ctx, map[string][]byte{DropIn: nil}, &c)
	if err != nil {
		return "", sshdSays(err)
	}
	was := strings.ReplaceAll(waysOf(waysFor(who, before)), " ", " or ")
	switch {
	case len(bare) > 0:
		return fmt.Sprintf("let in without a code, by %s (%s); before by %s", strings.Join(bare, " or "), by, cmp.Or(was, "nothing")), nil
	case was != "" && who.exists:
		return "", &Refusal{place, fmt.Sprintf("%s could not log in any longer: before by %s, and then in no way, for a method that this line asks for is switched off%s",
			few(who.names), was, whence(*sshd.From(c.User), c)),
			"let the block ask for keyboard-interactive in place of password, and leave KbdInteractiveAuthentication on; or take the block out"}
	}
	return fmt.Sprintf("can't log in at all (%s); before by %s", by, cmp.Or(was, "nothing")), nil
}

// compareRoot looks at whether root may log in at all: what was closed stays closed, and what was open open.
func (p *Plan) compareRoot(ctx context.Context, h *Host, after *sshd.Settings, c sshd.Connection) (done bool, r *Refusal) {
	before, err := h.effective(ctx, map[string][]byte{DropIn: nil}, &c)
	if err != nil {
		return false, sshdSays(err)
	}
	root := &alike{}
	switch was, is := waysFor(root, before), waysFor(root, after); {
	case before.RootLogin == "no" && after.RootLogin != "no":
		return false, &Refusal{DropIn, "root could log in where PermitRootLogin is no now" + whence(*sshd.From(c.User), c),
			"leave PermitRootLogin out of Match blocks"}
	case len(was) == 0:
		return true, nil
	case len(is) == 0 && before.RootLogin != "yes" && p.SSH.Mode != KeyOrPasswordCode:
		return false, &Refusal{DropIn, fmt.Sprintf("root could not log in any longer%s; before by %s", whence(*sshd.From(c.User), c), strings.ReplaceAll(waysOf(was), " ", " or ")),
			"say in the block that means root: PermitRootLogin yes, and AuthenticationMethods publickey,keyboard-interactive"}
	case len(is) > 0 && before.RootLogin != "yes":
		return waysOf(is) == "publickey,keyboard-interactive" || before.RootLogin == "forced-commands-only", nil
	}
	return false, nil
}

// asks tells whether a code is asked for on a way.
func (s *SSH) asks(way []string) bool {
	return slices.ContainsFunc(way, func(method string) bool {
		return method == "keyboard-interactive" || strings.HasPrefix(method, "keyboard-interactive:") || s.OnePrompt && method == "password"
	})
}

// waysFor are the ways that sshd leaves open for a user. Of root's, those through PAM are closed unless
// PermitRootLogin is yes.
func waysFor(who *alike, s *sshd.Settings) [][]string {
	ways := s.Ways()
	if who.uid != 0 || s.RootLogin == "yes" {
		return ways
	}
	return slices.DeleteFunc(slices.Clone(ways), func(way []string) bool {
		return s.RootLogin == "no" || slices.ContainsFunc(way, func(method string) bool {
			return method == "password" || strings.HasPrefix(method, "keyboard-interactive")
		})
	})
}

// decides names the line of a Match block that makes a login special.
func decides(config *sshd.Config, who *alike, c *sshd.Connection) (place, text string) {
	for _, keyword := range []string{"AuthenticationMethods", "KbdInteractiveAuthentication", "PubkeyAuthentication", "PasswordAuthentication", "PermitRootLogin"} {
		_, conditional := config.Setting(keyword)
		for _, d := range conditional {
			if d.File != DropIn && sshd.Matches(d.Match, c, who.groups) {
				return d.Place.String(), fmt.Sprintf("Match %s, %s: %s", d.Match, d.Place, d.String())
			}
		}
	}
	return "sshd", "a Match block"
}

// whence says in what a connection differs from the usual one.
func whence(usual, c sshd.Connection) string {
	text := ""
	for _, part := range []struct{ what, usual, now string }{
		{"from", usual.Addr, c.Addr}, {"from", usual.Host, c.Host}, {"at", usual.LocalAddr, c.LocalAddr}, {"at port", usual.LocalPort, c.LocalPort},
	} {
		if part.usual != part.now {
			text += fmt.Sprintf(", %s %s", part.what, part.now)
		}
	}
	return text
}

// few are the first of many names.
func few(names []string) string {
	if len(names) > 10 {
		return fmt.Sprintf("%s and %d others", strings.Join(names[:10], ", "), len(names)-10)
	}
	return strings.Join(names, ", ")
}

// collectLogins looks at what the Match blocks ask for.
func collectLogins(h *Host, config *sshd.Config, s *sshd.Settings) *logins {
	var users, groups []string // patterns
	all := &logins{from: []sshd.Connection{*sshd.From("")}}
	for _, match := range matches(config) {
		c := all.from[0]
		for _, one := range sshd.Criteria(match) {
			if len(one.Patterns) == 0 {
				continue
			}
			field := map[string]*string{"host": &c.Host, "address": &c.Addr, "localaddress": &c.LocalAddr, "localport": &c.LocalPort}[one.Keyword]
			switch {
			case one.Keyword == "user":
				users = append(users, one.Patterns...)
			case one.Keyword == "group":
				groups = append(groups, one.Patterns...)
			case field != nil:
				*field = sshd.Sample(one.Keyword, one.Patterns[0])
				for _, other := range one.Patterns[1:] {
					another := all.from[0]
					*map[string]*string{"host": &another.Host, "address": &another.Addr, "localaddress": &another.LocalAddr, "localport": &another.LocalPort}[one.Keyword] = sshd.Sample(one.Keyword, other)
					all.add(another)
				}
			}
		}
		all.add(c)
	}
	all.sort(h, s, users, groups)
	return all
}

func (l *logins) add(c sshd.Connection) {
	if !slices.Contains(l.from, c) {
		l.from = append(l.from, c)
	}
}

// matches are the conditions of all Match blocks but ours, each once.
func matches(config *sshd.Config) []string {
	var all []string
	for _, d := range config.Directives {
		if d.Match != "" && d.File != DropIn && !slices.Contains(all, d.Match) {
			all = append(all, d.Match)
		}
	}
	return all
}

// sort puts users together who are alike for these patterns.
func (l *logins) sort(h *Host, s *sshd.Settings, users, groups []string) {
	everybody := people(h, s)
	for _, pattern := range users {
		name := strings.TrimPrefix(pattern, "!")
		if !strings.ContainsAny(name, "*?") && !slices.ContainsFunc(everybody, func(p person) bool { return p.name == name }) {
			everybody = append(everybody, person{name: name, uid: 1})
		}
	}
	member := memberships(h)
	sorted := map[string]*alike{}
	for _, one := range everybody {
		kind := fmt.Sprint(one.uid == 0, one.uid == 1)
		for _, pattern := range users {
			kind += fmt.Sprint(sshd.PatternMatches(strings.TrimPrefix(pattern, "!"), one.name))
		}
		for _, pattern := range groups {
			kind += fmt.Sprint(slices.ContainsFunc(member[one.name], func(group string) bool {
				return sshd.PatternMatches(strings.TrimPrefix(pattern, "!"), group)
			}))
		}
		if sorted[kind] == nil {
			sorted[kind] = &alike{person: one, groups: member[one.name], exists: one.uid != 1}
			l.people = append(l.people, sorted[kind])
		}
		sorted[kind].names = append(sorted[kind].names, one.name)
	}
}

// memberships are the groups of each user, from the host's own files.
func memberships(h *Host) map[string][]string {
	all := map[string][]string{}
	names := map[string]string{} // by gid
	for _, f := range fieldsOf(h, "/etc/group", 4) {
		names[f[2]] = f[0]
		for user := range strings.SplitSeq(f[3], ",") {
			all[user] = append(all[user], f[0])
		}
	}
	for _, f := range fieldsOf(h, "/etc/passwd", 7) {
		if group, known := names[f[3]]; known {
			all[f[0]] = append(all[f[0]], group)
		}
	}
	return all
}

func fieldsOf(h *Host, host string, n int) [][]string {
	text, err := os.ReadFile(filepath.Join(h.Root, host))
	if err != nil {
		return nil
	}
	var all [][]string
	for line := range strings.Lines(string(text)) {
		if f := strings.Split(strings.TrimSpace(line), ":"); len(f) == n {
			all = append(all, f)
		}
	}
	return all
}

// noteGroups names the blocks that look at a group that none of the compared users is in, and give other ways in:
// sshd can't be asked about users that aren't there yet.
func (p *Plan) noteGroups(config *sshd.Config, all *logins) {
	for _, keyword := range []string{"AuthenticationMethods", "KbdInteractiveAuthentication"} {
		_, conditional := config.Setting(keyword)
		for _, d := range conditional {
			compared := !strings.Contains(strings.ToLower(d.Match), "group") || slices.ContainsFunc(all.people, func(who *alike) bool {
				return slices.ContainsFunc(all.from, func(c sshd.Connection) bool {
					c.User = who.name
					return sshd.Matches(d.Match, &c, who.groups)
				})
			})
			if d.File != DropIn && !compared {
				p.note("ssh: nobody here is in the group of \"Match %s\" (%s), so it wasn't tried what this means: %s", d.Match, d.Place, d.String())
			}
		}
	}
}
