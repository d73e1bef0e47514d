package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// counted is a number of things.
func counted(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// times says how often a code lets in.
func times(n int) string {
	if n == 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// some are all of a few, or the first ones and how many more.
func some(all []string) string {
	const few = 3
	if len(all) <= few {
		return strings.Join(all, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(all[:few], ", "), len(all)-few)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// dash stands where there is nothing.
func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// date is a time as people read it on this host.
func date(t time.Time) string {
	if t.IsZero() {
		return "never"
	}
	return t.Local().Format("2006-01-02 15:04:05 MST")
}

// day is a date without the time, or nothing.
func day(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format(time.DateOnly)
}

// inWords says roughly how long d is.
func inWords(d time.Duration) string {
	for _, unit := range []struct {
		size time.Duration
		name string
		from time.Duration
	}{
		{24 * time.Hour, "day", 48 * time.Hour},
		{time.Hour, "hour", 2 * time.Hour},
		{time.Minute, "minute", 90 * time.Second},
		{time.Second, "second", 0},
	} {
		if d < unit.from {
			continue
		}
		return counted(int((d+unit.size/2)/unit.size), unit.name)
	}
	return "0 seconds"
}

// duration reads a time as time.ParseDuration does, and whole days.
func duration(text string) (time.Duration, error) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.Atoi(days)
		if err != nil || n < 0 || n > 365 {
			return 0, fmt.Errorf("not a number of days")
		}
		return time.Duration(n) * 24 * time.Hour, nil
	}
	return time.ParseDuration(text)
}

// since reads a time that has passed, or a day on this host's calendar.
func since(text string, now time.Time) (time.Time, error) {
	if d, err := duration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	for _, layout := range []string{time.DateOnly, "2006-01-02 15:04", time.DateTime, time.RFC3339} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("not a time")
}

// quote makes s one word for a shell.
func quote(s string) string {
	s = printable(s)
	plain := strings.IndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !strings.ContainsRune("._-@/", r)
	}) < 0
	if plain && s != "" && !strings.HasPrefix(s, "-") {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// printable keeps what comes from elsewhere from steering the terminal.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) && r != unicode.ReplacementChar {
			return r
		}
		return '?'
	}, s)
}
