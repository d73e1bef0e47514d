package stack

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Kind is how a line's control is written.
type Kind int

// The kinds of control. Bracketed is [value=action ...].
const (
	Bracketed Kind = iota
	Required
	Requisite
	Sufficient
	Optional
	Include
	Substack
)

var kindNames = map[string]Kind{
	"required": Required, "requisite": Requisite, "sufficient": Sufficient, "optional": Optional,
	"include": Include, "substack": Substack,
}

// Action is what a module's answer does to the stack: one of the named, or, above 0, a jump over as many
// lines.
type Action int

// The actions, as in pam.conf(5).
const (
	Ignore Action = -iota
	OK
	Done
	Bad
	Die
	Reset
)

var actionNames = []string{"ignore", "ok", "done", "bad", "die", "reset"}

func (a Action) String() string {
	if a > 0 {
		return strconv.Itoa(int(a))
	}
	return actionNames[-a]
}

// values are the answers of modules that a control may name.
var values = []string{
	"success", "open_err", "symbol_err", "service_err", "system_err", "buf_err", "perm_denied", "auth_err",
	"cred_insufficient", "authinfo_unavail", "user_unknown", "maxtries", "new_authtok_reqd", "acct_expired",
	"session_err", "cred_unavail", "cred_expired", "cred_err", "no_module_data", "conv_err", "authtok_err",
	"authtok_recover_err", "authtok_lock_busy", "authtok_disable_aging", "try_again", "ignore", "abort",
	"authtok_expired", "module_unknown", "bad_item", "conv_again", "incomplete", "default",
}

// Control is the second word of a line. The zero value treats every answer as bad.
type Control struct {
	Kind    Kind
	actions map[string]Action // Bracketed: by value
}

// keywords are the bracketed equivalents, from pam.conf(5).
var keywords = map[Kind]map[string]Action{
	Required:   {"success": OK, "new_authtok_reqd": OK, "ignore": Ignore, "default": Bad},
	Requisite:  {"success": OK, "new_authtok_reqd": OK, "ignore": Ignore, "default": Die},
	Sufficient: {"success": Done, "new_authtok_reqd": Done, "default": Ignore},
	Optional:   {"success": OK, "new_authtok_reqd": OK, "default": Ignore},
}

// Action is what the answer value ("success", "auth_err", ...) does. Include and Substack have none.
func (c Control) Action(value string) Action {
	actions := c.actions
	if c.Kind != Bracketed {
		actions = keywords[c.Kind]
	}
	if a, named := actions[value]; named {
		return a
	}
	if a, named := actions["default"]; named {
		return a
	}
	return Bad
}

// Jump is over how many lines an answer may jump at the most.
func (c Control) Jump() int {
	most := 0
	for _, a := range c.actions {
		most = max(most, int(a))
	}
	return most
}

// Names tells whether the control, or the keyword's equivalent, has an action for this very answer.
func (c Control) Names(value string) bool {
	if c.Kind != Bracketed {
		_, named := keywords[c.Kind][value]
		return named
	}
	_, named := c.actions[value]
	return named
}

// With is the control, in brackets, with one action put in place of another wherever it is named.
func (c Control) With(a, instead Action) Control {
	from := c.actions
	if c.Kind != Bracketed {
		from = keywords[c.Kind]
	}
	changed := Control{actions: maps.Clone(from)}
	for value, was := range changed.actions {
		if was == instead {
			changed.actions[value] = a
		}
	}
	return changed
}

func (c Control) String() string {
	for name, kind := range kindNames {
		if kind == c.Kind {
			return name
		}
	}
	var pairs []string
	for _, value := range values {
		if a, named := c.actions[value]; named {
			pairs = append(pairs, value+"="+a.String())
		}
	}
	return "[" + strings.Join(pairs, " ") + "]"
}

// parseControl reads a control whose brackets are off. libpam, too, tells a bracketed one by its not being
// a keyword.
func parseControl(text string) (Control, error) {
	if kind, known := kindNames[strings.ToLower(text)]; known {
		return Control{Kind: kind}, nil
	}
	c := Control{actions: map[string]Action{}}
	rest := strings.TrimLeft(text, controlBlanks)
	for rest != "" {
		value, after, found := strings.Cut(rest, "=")
		value = strings.TrimRight(value, controlBlanks)
		if !found || !slices.Contains(values, value) {
			return Control{}, fmt.Errorf("%q is no control: required, requisite, sufficient, optional, include, substack or [value=action ...]", text)
		}
		after = strings.TrimLeft(after, controlBlanks)
		end := strings.IndexAny(after, controlBlanks)
		if end < 0 {
			end = len(after)
		}
		a, err := parseAction(after[:end])
		if err != nil {
			return Control{}, err
		}
		if _, twice := c.actions[value]; !twice || value != "default" {
			c.actions[value] = a
		}
		rest = strings.TrimLeft(after[end:], controlBlanks)
	}
	return c, nil
}

const controlBlanks = " \t\n\v\f\r"

func parseAction(word string) (Action, error) {
	if i := slices.Index(actionNames, word); i >= 0 {
		return Action(-i), nil
	}
	n, err := strconv.ParseUint(word, 10, 16)
	if err != nil || n == 0 {
		return Bad, fmt.Errorf("%q is no action: ignore, ok, done, bad, die, reset or how many lines to skip", word)
	}
	return Action(n), nil
}
