package plan

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// operators of authselect-profiles(5).
var operators = regexp.MustCompile(`\{(?:(continue|stop|include|exclude) if ([^{}|:]+)|if ([^{}|:]+):([^{}|]*)(?:\|([^{}|]*))?)\}`)

// render makes a file out of a template of authselect-profiles(5), as authselect itself would with these
// features.
func render(template string, features []string) (string, error) {
	var b strings.Builder
	for line := range strings.Lines(template) {
		text, keep, stop, err := renderLine(strings.TrimSuffix(line, "\n"), features)
		if err != nil {
			return "", err
		}
		if stop {
			break
		}
		if keep {
			b.WriteString(strings.TrimRight(text, " \t") + "\n")
		}
	}
	return b.String(), nil
}

func renderLine(line string, features []string) (text string, keep, stop bool, err error) {
	for {
		m := operators.FindStringSubmatchIndex(line)
		if m == nil {
			return line, true, false, nil
		}
		group := func(i int) string {
			if m[2*i] < 0 {
				return ""
			}
			return line[m[2*i]:m[2*i+1]]
		}
		holds, err := evaluate(group(2)+group(3), features)
		if err != nil {
			return "", false, false, err
		}
		value := ""
		switch op := group(1); {
		case op == "continue", op == "stop":
			return "", false, holds == (op == "stop"), nil
		case op == "include" && !holds, op == "exclude" && holds:
			return "", false, false, nil
		case op == "" && holds:
			value = group(4)
		case op == "":
			value = group(5)
		}
		line = line[:m[0]] + value + line[m[1]:]
	}
}

var tokens = regexp.MustCompile(`"[^"]*"|[a-z]+|\S`)

// evaluate works out an expression of features, "and", "or" and "not". As in authselect, "and" and "or"
// bind alike, from left to right; our profile needs no parentheses.
func evaluate(expression string, features []string) (bool, error) {
	result, not, operator := false, false, "or"
	for _, token := range tokens.FindAllString(expression, -1) {
		switch {
		case token == "not":
			not = !not
		case token == "and", token == "or":
			operator = token
		case token[0] == '"':
			has := slices.Contains(features, strings.Trim(token, `"`)) != not
			not = false
			if operator == "and" {
				result = result && has
			} else {
				result = result || has
			}
		default:
			return false, fmt.Errorf("%q in the condition %q isn't understood", token, expression)
		}
	}
	return result, nil
}

// offered are the features that a template knows.
func offered(template string) []string {
	var all []string
	for _, m := range operators.FindAllStringSubmatch(template, -1) {
		for _, token := range tokens.FindAllString(m[2]+m[3], -1) {
			if token[0] == '"' {
				all = append(all, strings.Trim(token, `"`))
			}
		}
	}
	return all
}
