package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/BurntSushi/toml"

	"github.com/totpd/totpd/daemon/internal/policy"
)

const (
	nameMax  = 256 // bytes of a user's, a group's or a service's name
	namesMax = 1000
	rulesMax = 1000
	graceMax = 60 // minutes
	day      = 24 * time.Hour
)

// ruleSection is the name of the tables that are rules.
const ruleSection = "rule"

// undecided takes the place of the rules of a file that is broken: whoever decides by it refuses everybody.
// Without the rule that is wrong, those after it would decide for others than they were meant for.
func undecided() policy.Rules { return policy.Rules{{}} }

// ruleKey is one key of a rule.
type ruleKey struct {
	key string
	// read stores a value of the file, and returns what it must be where it is something else.
	read func(r *policy.Rule, value any) string
	// shown is the value as TOML spells it, or "" where the rule goes without.
	shown func(policy.Rule) string
	// idle says that the key does nothing in an exempt rule.
	idle bool
}

// ruleKeys lists every key of a rule, in the order in which they are explained.
var ruleKeys = []ruleKey{
	names("users", text(1, nameMax, ":/"), func(r *policy.Rule) *[]string { return &r.Users }),
	names("groups", text(1, nameMax, ":"), func(r *policy.Rule) *[]string { return &r.Groups }),
	names("services", service, func(r *policy.Rule) *[]string { return &r.Services }),
	places("from", func(r *policy.Rule) *[]policy.Place { return &r.From }, false),
	{"require", readRequire, func(r policy.Rule) string { return strconv.Quote(r.Require.String()) }, false},
	{"enrol_by", readEnrolBy, func(r policy.Rule) string {
		if r.EnrolBy.IsZero() {
			return ""
		}
		return strconv.Quote(r.EnrolBy.Add(-day / 2).Format(time.DateOnly))
	}, true},
	{"enrol_at_login", readEnrolAtLogin, func(r policy.Rule) string {
		if r.NoEnrolAtLogin {
			return "false"
		}
		return ""
	}, true},
	places("enrol_from", func(r *policy.Rule) *[]policy.Place { return &r.EnrolFrom }, true),
	length("remember", remembersMost, day, func(r *policy.Rule) *time.Duration { return &r.Remember }),
	length("grace", graceMax, time.Minute, func(r *policy.Rule) *time.Duration { return &r.Grace }),
}

// names is a list of names that pass check.
func names(key string, check func(any) string, of func(*policy.Rule) *[]string) ruleKey {
	return ruleKey{key, func(r *policy.Rule, value any) string {
		list, must := listOf(value)
		for _, name := range list {
			if wrong := check(name); wrong != "" {
				return fmt.Sprintf("is a list of names, and each %s; %q isn't right", wrong, name)
			}
		}
		*of(r) = list
		return must
	}, func(r policy.Rule) string { return shownList(*of(&r)) }, false}
}

// service is a name that PAM can give: pam_start(3) makes it lower case.
func service(v any) string {
	if must := text(1, nameMax, "/")(v); must != "" {
		return must
	}
	if s, _ := v.(string); s != strings.ToLower(s) {
		return "must be in lower case, as PAM has it"
	}
	return ""
}

func places(key string, of func(*policy.Rule) *[]policy.Place, idle bool) ruleKey {
	return ruleKey{key, func(r *policy.Rule, value any) string {
		list, must := listOf(value)
		for _, text := range list {
			p, err := policy.ParsePlace(text)
			if err != nil {
				return fmt.Sprintf("is a list of networks: %q %v", text, err)
			}
			*of(r) = append(*of(r), p)
		}
		return must
	}, func(r policy.Rule) string {
		var list []string
		for _, p := range *of(&r) {
			list = append(list, p.String())
		}
		return shownList(list)
	}, idle}
}

func listOf(value any) (list []string, must string) {
	values, ok := value.([]any)
	must = fmt.Sprintf(`must be a list of 1 to %d texts in quotes, like ["...", "..."]; leave it out for no such condition`, namesMax)
	if !ok || len(values) == 0 || len(values) > namesMax {
		return nil, must
	}
	for _, v := range values {
		text, ok := v.(string)
		if !ok {
			return nil, must
		}
		list = append(list, text)
	}
	return list, ""
}

func shownList(list []string) string {
	if len(list) == 0 {
		return ""
	}
	var quoted []string
	for _, text := range list {
		quoted = append(quoted, shown(&text))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func readRequire(r *policy.Rule, value any) string {
	text, _ := value.(string)
	if r.Require = policy.KindOf(text); r.Require == 0 {
		return `must be "exempt" or "optional" or "required"`
	}
	return ""
}

// dateOf reads a date, as TOML has it or in quotes.
func dateOf(value any) (date time.Time, must string) {
	switch v := value.(type) {
	case string:
		date, _ = time.Parse(time.DateOnly, v)
	case time.Time:
		if v.Location().String() == "date-local" { // the library's, for a date without a time
			date = v
		}
	}
	if y := date.Year(); y < 2000 || y > 2099 {
		return date, "must be a date from 2000 to 2099, like 2026-12-31"
	}
	return date, ""
}

// readEnrolBy stores when the day is over, where this host is.
func readEnrolBy(r *policy.Rule, value any) string {
	date, must := dateOf(value)
	if must == "" {
		r.EnrolBy = endOf(date, time.Local)
	}
	return must
}

// endOf returns when the day after date begins. Where clocks go forward at midnight, it begins at one.
func endOf(date time.Time, at *time.Location) time.Time {
	y, m, d := date.Date()
	end := time.Date(y, m, d+1, 0, 0, 0, 0, at)
	if end.Hour() == 23 {
		end = end.Add(time.Hour)
	}
	return end
}

func readEnrolAtLogin(r *policy.Rule, value any) string {
	may, ok := value.(bool)
	if !ok {
		return "must be true or false, without quotes"
	}
	r.NoEnrolAtLogin = !may
	return ""
}

// length is a number of units from 0 to most.
func length(key string, most int, unit time.Duration, of func(*policy.Rule) *time.Duration) ruleKey {
	return ruleKey{key, func(r *policy.Rule, value any) string {
		n, ok := value.(int64)
		if !ok {
			return "must be a whole number, without quotes"
		}
		*of(r) = time.Duration(n) * unit
		if n < 0 || n > int64(most) {
			return between(0, most)(-1)
		}
		return ""
	}, func(r policy.Rule) string {
		if *of(&r) == 0 {
			return ""
		}
		return strconv.FormatInt(int64(*of(&r)/unit), 10)
	}, true}
}

// rules reads all rules, after the other settings.
func (r *reader) rules(content string, p toml.Primitive) {
	for _, t := range r.tables(content, ruleSection, rulesMax, p) {
		rule := policy.Rule{Line: t.at.Line}
		before := len(r.problems)
		r.take(t, keysOfRule(), []string{"require"}, func(key string, value any) string {
			i := slices.IndexFunc(ruleKeys, func(k ruleKey) bool { return k.key == key })
			return ruleKeys[i].read(&rule, value)
		})
		if len(r.problems) == before {
			r.agree(rule, t)
			r.reach(rule, t)
			r.config.Rules = append(r.config.Rules, rule)
		}
	}
}

// agree reports the keys of a rule that don't go together.
func (r *reader) agree(rule policy.Rule, t table) {
	must := func(key, text string) {
		if p, ok := t.keys[key]; ok {
			r.reportAt(t.place(p), ruleSection+"."+key, text)
		}
	}
	for _, k := range ruleKeys {
		if k.idle && rule.Require == policy.Exempt {
			must(k.key, "does nothing where nobody is asked for a code: leave it out, or change require")
		}
	}
	if rule.Require == policy.Optional {
		must("enrol_by", `goes with require = "required" only`)
	}
	if rule.NoEnrolAtLogin {
		must("enrol_from", "does nothing with enrol_at_login = false: leave one of them out")
	}
	if longest := r.config.Remember.Longest; rule.Remember > time.Duration(longest)*day {
		must("remember", fmt.Sprintf("must be at most remember.longest, which is %d: shorten it, or raise longest under [remember]", longest))
	}
}

// reach reports a rule that nobody can come to.
func (r *reader) reach(rule policy.Rule, t table) {
	i := slices.IndexFunc(r.config.Rules, func(earlier policy.Rule) bool { return earlier.Covers(rule) })
	if i >= 0 {
		r.reportAt(t.at, ruleSection, fmt.Sprintf("is never reached: the one on line %d matches first; move this one before it, or take it out", r.config.Rules[i].Line))
	}
}

func keysOfRule() []string {
	var keys []string
	for _, k := range ruleKeys {
		keys = append(keys, k.key)
	}
	return keys
}

// explainRules is Explain for the rules.
func (c Config) explainRules(b *strings.Builder) {
	if len(c.Rules) == 0 {
		b.WriteString("\n# no [[rule]]: whoever has enrolled is asked for a code\n")
	}
	for i, r := range c.Rules {
		fmt.Fprintf(b, "\n%-42s # rule %d, line %d\n", "[[rule]]", i+1, r.Line)
		for _, k := range ruleKeys {
			if value := k.shown(r); value != "" {
				fmt.Fprintf(b, "%s = %s\n", k.key, value)
			}
		}
	}
}
