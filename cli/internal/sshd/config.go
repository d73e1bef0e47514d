package sshd

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Place is where a setting stands, for an administrator to go to.
type Place struct {
	File string // as the host names it
	Line int    // from 1
}

func (p Place) String() string { return fmt.Sprintf("%s:%d", p.File, p.Line) }

// Directive is one line of a configuration, in the order in which sshd reads it.
type Directive struct {
	Place
	Keyword string   // lower case
	Args    []string // quotes taken off
	Match   string   // the conditions it stands under: "user backup"; empty: for everybody
	All     bool     // it stands below "Match all": for everybody, and before what stands in no Match block
}

func (d Directive) String() string { return d.Keyword + " " + strings.Join(d.Args, " ") }

// Config is sshd_config(5) with all that it includes.
type Config struct {
	Path       string // of the first file, as the host names it
	Directives []Directive
	Files      []string // all that were read, in order, each once
}

// ErrTooDeep says that files include each other more often than sshd follows.
var ErrTooDeep = errors.New("files include each other too often")

// The limits of sshd itself, and one on what is read at all.
const (
	depthMax = 16
	filesMax = 1000
	sizeMax  = 1 << 20
)

// ReadConfig reads a configuration of the host whose root directory this is. Included files that don't
// exist are passed over, as sshd does.
func ReadConfig(root, name string) (*Config, error) { return ReadConfigWith(root, name, nil) }

// ReadConfigWith is ReadConfig with some files as they are to become; nil: without the file.
func ReadConfigWith(root, name string, files map[string][]byte) (*Config, error) {
	r := reader{root: root, dir: path.Dir(name), files: files, config: &Config{Path: name}}
	if err := r.file(name, "", 0); err != nil {
		return nil, fmt.Errorf("read sshd's settings: %w", err)
	}
	return r.config, nil
}

// Setting returns the lines that set a keyword, those for everybody first: of them, the first counts.
// What stands below "Match all" comes before what stands in no Match block.
func (c *Config) Setting(keyword string) (everybody, conditional []Directive) {
	for _, d := range c.Directives {
		switch {
		case d.Keyword != canonical(keyword):
		case d.Match == "":
			everybody = append(everybody, d)
		default:
			conditional = append(conditional, d)
		}
	}
	slices.SortStableFunc(everybody, func(a, b Directive) int {
		switch {
		case a.All == b.All:
			return 0
		case a.All:
			return -1
		}
		return 1
	})
	return everybody, conditional
}

// aliases are old names of keywords that sshd still takes.
var aliases = map[string]string{
	"challengeresponseauthentication": "kbdinteractiveauthentication",
	"skeyauthentication":              "kbdinteractiveauthentication",
	"dsaauthentication":               "pubkeyauthentication",
}

func canonical(keyword string) string {
	keyword = strings.ToLower(keyword)
	if name, old := aliases[keyword]; old {
		return name
	}
	return keyword
}

type reader struct {
	root, dir string // dir is what relative includes start from
	files     map[string][]byte
	config    *Config
	read      int
}

func (r *reader) file(name, match string, depth int) error {
	if r.read++; depth > depthMax || r.read > filesMax {
		return fmt.Errorf("%s: %w", name, ErrTooDeep)
	}
	text, err := r.text(name)
	if err != nil {
		return err
	}
	if !slices.Contains(r.config.Files, name) {
		r.config.Files = append(r.config.Files, name)
	}
	for _, d := range Parse(name, text) {
		// A Match block ends with its file; a file that is included in one is under both.
		d.Match = both(match, d.Match)
		r.config.Directives = append(r.config.Directives, d)
		if d.Keyword != "include" {
			continue
		}
		for _, pattern := range d.Args {
			if err := r.include(pattern, d.Match, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *reader) text(name string) ([]byte, error) {
	if text, laid := r.files[name]; laid {
		return text, nil
	}
	here := filepath.Join(r.root, name)
	st, err := os.Stat(here)
	if err != nil {
		return nil, err
	}
	if st.Size() > sizeMax {
		return nil, fmt.Errorf("%s: %d bytes are too many for settings", name, st.Size())
	}
	return os.ReadFile(here)
}

func (r *reader) include(pattern, match string, depth int) error {
	if !path.IsAbs(pattern) {
		pattern = path.Join(r.dir, pattern)
	}
	for _, name := range matching(r.root, pattern, r.files) {
		err := r.file(name, match, depth)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// matching are the files that an absolute pattern means, in sshd's order. A bad pattern means none, as for
// sshd.
func matching(root, pattern string, files map[string][]byte) []string {
	var names []string
	found, _ := filepath.Glob(filepath.Join(root, pattern))
	for _, here := range found {
		name, err := filepath.Rel(root, here)
		if err == nil {
			names = append(names, "/"+name)
		}
	}
	for name, text := range files {
		names = slices.DeleteFunc(names, func(n string) bool { return n == name })
		if matches, _ := path.Match(pattern, name); matches && text != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func both(outer, inner string) string {
	if outer == "" || inner == "" {
		return outer + inner
	}
	return outer + ", " + inner
}

// Parse reads the text of one file, without following what it includes. Directives below a Match line have
// its conditions; "Match all" is for everybody.
func Parse(name string, text []byte) []Directive {
	var all []Directive
	match, forAll := "", false
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		keyword, args := words(line)
		if keyword == "" {
			continue
		}
		d := Directive{Place: Place{name, number}, Keyword: canonical(keyword), Args: args, Match: match, All: forAll}
		if d.Keyword == "match" {
			match = strings.Join(args, " ")
			if forAll = strings.EqualFold(match, "all"); forAll {
				match = ""
			}
			d.Match, d.All = "", false
		}
		all = append(all, d)
	}
	return all
}

const blanks = " \t\r\n\f\v"

// words parts a line into its keyword, which an equals sign may follow, and the arguments.
func words(line string) (keyword string, args []string) {
	line = strings.Trim(line, blanks+"\x00")
	if line == "" || line[0] == '#' {
		return "", nil
	}
	end := strings.IndexAny(line, blanks+"=")
	if end < 0 {
		return line, nil
	}
	keyword, line = line[:end], strings.TrimLeft(line[end:], blanks)
	line = strings.TrimPrefix(line, "=")
	for {
		line = strings.TrimLeft(line, blanks)
		if line == "" || line[0] == '#' {
			return strings.Trim(keyword, `"`), args
		}
		var arg string
		arg, line = argument(line)
		args = append(args, arg)
	}
}

// argument takes one argument off the line, by the rules of sshd's argv_split.
func argument(line string) (arg, rest string) {
	var b strings.Builder
	var quote byte
	for i := 0; i < len(line); i++ {
		c := line[i]
		switch {
		case c == '\\' && i+1 < len(line) && (strings.IndexByte(`'"\`, line[i+1]) >= 0 || quote == 0 && line[i+1] == ' '):
			i++
			b.WriteByte(line[i])
		case quote == 0 && strings.IndexByte(blanks, c) >= 0:
			return b.String(), line[i:]
		case quote == 0 && (c == '"' || c == '\''):
			quote = c
		case c == quote && quote != 0:
			quote = 0
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), ""
}
