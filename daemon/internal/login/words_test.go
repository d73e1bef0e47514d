package login

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"unicode"
)

// phrase is a text of at least two words.
var phrase = regexp.MustCompile(`[[:alpha:]]+[,:;.]? [[:alpha:]]+`)

// parsed is a file of this package, without tests.
func parsed(t *testing.T, name string) (*token.FileSet, *ast.File) {
	t.Helper()
	set := token.NewFileSet()
	file, err := parser.ParseFile(set, name, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	return set, file
}

// text is a string literal, or several with + between them, and whether it is that.
func text(e ast.Expr) (string, bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		s, err := strconv.Unquote(e.Value)
		return s, err == nil && e.Kind == token.STRING
	case *ast.BinaryExpr:
		x, ok := text(e.X)
		y, also := text(e.Y)
		return x + y, ok && also && e.Op == token.ADD
	case *ast.ParenExpr:
		return text(e.X)
	}
	return "", false
}

// Every sentence in words.go is one and short, begins in lower case, has no full stop at its end, and names no
// reference but at its end.
func TestSentences(t *testing.T) {
	set, file := parsed(t, "words.go")
	n := 0
	ast.Inspect(file, func(node ast.Node) bool {
		e, ok := node.(ast.Expr)
		if !ok {
			return true
		}
		s, ok := text(e)
		if !ok {
			return true
		}
		if !phrase.MatchString(s) {
			return false
		}
		n++
		at := set.Position(e.Pos())
		first := []rune(strings.TrimLeft(s, " "))[0]
		switch question := strings.HasSuffix(s, ": "); {
		case len(s) > 200:
			t.Errorf("%v: %d bytes: %q", at, len(s), s)
		case strings.HasSuffix(strings.TrimSpace(s), "."):
			t.Errorf("%v: a full stop: %q", at, s)
		case strings.Contains(s, ". "):
			t.Errorf("%v: two sentences: %q", at, s)
		case unicode.IsUpper(first) && !question:
			t.Errorf("%v: it begins with a capital: %q", at, s)
		case strings.Contains(s, "reference") && !strings.HasSuffix(s, " (reference %s)"):
			t.Errorf("%v: the reference is elsewhere than at the end: %q", at, s)
		}
		return false
	})
	if n < 10 {
		t.Errorf("only %d sentences were found", n)
	}
}

// A function of words.go that is given a reference says it, whatever the case.
func TestSentencesHaveTheReference(t *testing.T) {
	set, file := parsed(t, "words.go")
	n := 0
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || !hasParameter(f, "reference") {
			continue
		}
		n++
		ast.Inspect(f.Body, func(node ast.Node) bool {
			r, ok := node.(*ast.ReturnStmt)
			if !ok {
				return true
			}
			said := false
			ast.Inspect(r, func(node ast.Node) bool {
				id, ok := node.(*ast.Ident)
				said = said || ok && id.Name == "reference"
				return true
			})
			if !said {
				t.Errorf("%v: %s returns without the reference", set.Position(r.Pos()), f.Name.Name)
			}
			return true
		})
	}
	if n < 5 {
		t.Errorf("only %d functions were found", n)
	}
}

func hasParameter(f *ast.FuncDecl, name string) bool {
	for _, field := range f.Type.Params.List {
		for _, id := range field.Names {
			if id.Name == name {
				return true
			}
		}
	}
	return false
}

// shownFields are those of a decision that a person sees.
var shownFields = map[string]bool{"say": true, "show": true, "ask": true}

// What a person sees comes from words.go: no other file gives one of those fields anything else than what a
// function or a name of that file is, or another field.
func TestSentencesAreInOnePlace(t *testing.T) {
	words := map[string]bool{}
	_, file := parsed(t, "words.go")
	for name := range file.Scope.Objects {
		words[name] = true
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, f := range files {
		if name := f.Name(); !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") || name == "words.go" {
			continue
		}
		set, file := parsed(t, f.Name())
		check := func(field string, value ast.Expr) {
			if shownFields[field] {
				n++
				if !fromWords(words, value) {
					t.Errorf("%v: %s is not from words.go", set.Position(value.Pos()), field)
				}
			}
		}
		ast.Inspect(file, func(node ast.Node) bool {
			switch node := node.(type) {
			case *ast.KeyValueExpr:
				if key, ok := node.Key.(*ast.Ident); ok {
					check(key.Name, node.Value)
				}
			case *ast.AssignStmt:
				for i, to := range node.Lhs {
					if field, ok := to.(*ast.SelectorExpr); ok && len(node.Lhs) == len(node.Rhs) {
						check(field.Sel.Name, node.Rhs[i])
					}
				}
			}
			return true
		})
	}
	if n < 10 {
		t.Errorf("only %d places were found where something is said", n)
	}
}

// fromWords says whether an expression is made of what words.go declares, and of fields.
func fromWords(words map[string]bool, e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.CallExpr:
		f, ok := e.Fun.(*ast.Ident)
		return ok && words[f.Name]
	case *ast.Ident:
		return words[e.Name]
	case *ast.SelectorExpr:
		return true
	case *ast.BinaryExpr:
		return fromWords(words, e.X) && fromWords(words, e.Y)
	case *ast.BasicLit:
		s, ok := text(e)
		return ok && !strings.ContainsFunc(s, unicode.IsLetter)
	}
	return false
}
