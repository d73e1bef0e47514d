package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"
)

// table is one of an array of tables, as [[rule]] opens one.
type table struct {
	block
	md   toml.MetaData
	keys map[string]toml.Primitive
}

// place returns where in the file the value of a key stands.
func (t table) place(p toml.Primitive) toml.Position {
	at := placeIn(t.md, p)
	at.Start += t.at.Start
	at.Line += t.at.Line - 1
	return at
}

// tables returns the tables [[name]] of a valid document, of which p is the value of name. What is wrong
// with them is reported.
func (r *reader) tables(content, name string, most int, p toml.Primitive) []table {
	var all []map[string]any
	err := r.md.PrimitiveDecode(p, &all)
	found := blocks(content, name)
	switch {
	case err != nil, len(found) == 0, len(all) != len(found):
		r.report(p, name, fmt.Sprintf("must be written [[%s]] on a line of its own, with its keys on the lines below", name))
		return nil
	case len(found) > most:
		r.report(p, name, fmt.Sprintf("must be there %d times at most", most))
		return nil
	}
	var tables []table
	for i, b := range found {
		var top map[string][]map[string]toml.Primitive
		md, err := toml.Decode(b.text, &top)
		if err != nil || len(top[name]) != 1 || len(top[name][0]) != len(all[i]) {
			r.reportAt(b.at, name, "must have all its keys right below, and no sections of its own")
			continue
		}
		tables = append(tables, table{b, md, top[name][0]})
	}
	return tables
}

// take gives each key of the table to read, which returns what its value must be. Other keys than those
// known are reported, and those needed that are missing.
func (r *reader) take(t table, known, needed []string, read func(key string, value any) string) {
	for key, p := range t.keys {
		name := t.name + "." + shownKey(key)
		if !slices.Contains(known, key) {
			r.reportAt(t.place(p), name, fmt.Sprintf("is unknown; the keys of [[%s]] are %s", t.name, list(known)))
			continue
		}
		var value any
		if err := t.md.PrimitiveDecode(p, &value); err != nil {
			r.reportAt(t.place(p), name, "can't be read: "+err.Error())
		} else if must := read(key, value); must != "" {
			r.reportAt(t.place(p), name, must)
		}
	}
	for _, key := range needed {
		if _, ok := t.keys[key]; !ok {
			r.reportAt(t.at, t.name, "must have the key "+key)
		}
	}
}

// block is the text of a table. The library knows places by key, and the keys of such tables are all the
// same: so each is read by itself.
type block struct {
	name string
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
			found = append(found, block{name, content[start:end], toml.Position{Line: line, Col: 1, Start: start}})
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
