package main

import "golang.org/x/term"

// colours gives words a colour, or leaves them as they are. A colour never says what the word doesn't.
type colours bool

func (on colours) bad(word string) string    { return on.in("1;31", word) }
func (on colours) warn(word string) string   { return on.in("33", word) }
func (on colours) good(word string) string   { return on.in("32", word) }
func (on colours) strong(word string) string { return on.in("1", word) }

func (on colours) in(colour, word string) string {
	if !on || word == "" {
		return word
	}
	return "\x1b[" + colour + "m" + word + "\x1b[m"
}

// left is how many recovery codes are left.
func (on colours) left(n int) string {
	switch text := codesLeft(n); {
	case n == 0:
		return on.bad(text)
	case n < fewCodes:
		return on.warn(text)
	default:
		return text
	}
}

// colours is for what goes to standard output: colours, where that is a terminal of somebody who wants any.
func (c *command) colours() colours {
	return colours(c.wantsColours() && term.IsTerminal(int(c.out.Fd())))
}

func (c *command) wantsColours() bool { return c.env("NO_COLOR") == "" && c.env("TERM") != "dumb" }
