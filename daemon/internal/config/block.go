package config

import (
	"strings"

	"github.com/BurntSushi/toml"
)

// block is one table of an array of tables, as in [[rule]]. The library knows places by key, and the
// keys of such tables are all the same: so each is read by itself.
type block struct {
	text string        // with its header
	at   toml.Position // of the header
}

// blocks returns the tables [[name]] of a valid document.
func blocks(content, name string) []block {
	var found []block
	starts := headers(content)
	line, counted := 1, 0
	for i, start := range starts {
		end := len(content)
		if i+1 < len(starts) {
			end = starts[i+1]
		}
		var top map[string]any
		toml.Decode(until(content[start:end], "\n")+"\n", &top)
		if _, ok := top[name].([]map[string]any); ok {
			line += strings.Count(content[counted:start], "\n")
			counted = start
			found = append(found, block{content[start:end], toml.Position{Line: line, Col: 1, Start: start}})
		}
	}
	return found
}

// headers returns where the lines begin that open a table in a valid document.
func headers(content string) []int {
	var starts []int
	line, depth, fresh := 0, 0, true // fresh: nothing but blanks since the line began
	for i := 0; i < len(content); {
		step := 1
		switch c := content[i]; c {
		case '\n':
			line, fresh = i+1, true
		case ' ', '\t', '\r':
		case '#':
			step = len(until(content[i:], "\n"))
		case '"', '\'':
			step, fresh = len(quoted(content[i:], string(c))), false
		case '[', '{':
			if fresh && depth == 0 {
				starts = append(starts, line)
			}
			depth, fresh = depth+1, false
		case ']', '}':
			depth, fresh = depth-1, false
		default:
			fresh = fresh && strings.HasPrefix("\ufeff", content[:i+1])
		}
		i += step
	}
	return starts
}

// until returns the beginning of s up to and without end.
func until(s, end string) string {
	before, _, _ := strings.Cut(s, end)
	return before
}

// quoted returns the string that s begins with, whose quote is one of this kind or three.
func quoted(s, quote string) string {
	if long := strings.Repeat(quote, 3); strings.HasPrefix(s, long) {
		quote = long
	}
	i := len(quote)
	for i < len(s) && !strings.HasPrefix(s[i:], quote) {
		if s[i] == '\\' && quote[0] == '"' {
			i++
		}
		i++
	}
	i += len(quote)
	for len(quote) == 3 && i < len(s) && s[i] == quote[0] { // one or two more belong to the text
		i++
	}
	return s[:min(i, len(s))]
}
