package verify

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// The packages that judge take the time as a parameter and touch neither files nor network nor log.
func TestPurePackagesImportNothingImpure(t *testing.T) {
	for _, dir := range []string{".", "../throttle", "../policy", "../account", "../recovery", "../source"} {
		files, err := filepath.Glob(filepath.Join(dir, "*.go"))
		if err != nil || len(files) == 0 {
			t.Fatalf("%s: %d files, %v", dir, len(files), err)
		}
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") {
				continue
			}
			f, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			for _, imp := range f.Imports {
				path, _ := strconv.Unquote(imp.Path.Value)
				switch strings.SplitN(path, "/", 2)[0] {
				case "os", "net", "log", "io", "syscall", "context":
					if path != "net/netip" { // addresses as values
						t.Errorf("%s imports %s", name, path)
					}
				}
			}
			for _, now := range []string{"Now", "Since", "Until", "Sleep", "After"} {
				if usesTime(f, now) {
					t.Errorf("%s calls time.%s", name, now)
				}
			}
		}
	}
}

func usesTime(f *ast.File, name string) (found bool) {
	ast.Inspect(f, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok && sel.Sel.Name == name {
			if pkg, ok := sel.X.(*ast.Ident); ok && pkg.Name == "time" {
				found = true
			}
		}
		return true
	})
	return found
}
