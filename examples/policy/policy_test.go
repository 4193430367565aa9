// Package policy tests rules of this repository that no other test covers: what may
// import what, what is in the root folder, and what is exported.
package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const (
	module = "github.com/claviger-auth/claviger"
	root   = "../.."
)

// imports says which packages each package of the core may import, besides the
// standard library. Names without a dot in the first element are our own.
var imports = map[string][]string{
	"scopes":          {},
	"ratelimit":       {"golang.org/x/time/rate"},
	"keys":            {"scopes", "golang.org/x/crypto/argon2", "golang.org/x/crypto/bcrypt"},
	"keys/httpjson":   {"keys", "scopes"},
	"keys/keyshttp":   {"keys", "keys/httpjson", "scopes"},
	"keys/keysimport": {"keys", "scopes"},
	"keys/leaks":      {"keys", "keys/httpjson"},
	"keys/keyspage":   {"keys", "keys/httpjson", "ratelimit", "scopes"},
	"oauth":           {"keys", "keys/httpjson", "scopes", "ratelimit"},
	"middleware":      {"keys", "keys/httpjson", "scopes", "ratelimit"},
	"store":           {"keys", "ratelimit"},
	"store/storetest": {"keys", "scopes", "ratelimit", "store", "golang.org/x/time/rate"},

	"store/storetest/servers": {},
	"middleware/guardtest":    {"keys", "keys/httpjson", "scopes", "ratelimit", "middleware", "store", "store/storetest"},
}

// nested are the packages with modules of their own.
var nested = []string{
	"middleware/fiberguard", "middleware/ginguard", "middleware/grpcguard", "middleware/otelguard",
	"store/pgstore", "store/redisstore", "store/sqlitestore",
}

// withoutHTTP are the packages that must not know of HTTP, even indirectly.
var withoutHTTP = []string{"scopes", "ratelimit", "keys", "store"}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath string
	Imports    []string
	Deps       []string
}

// packages lists the packages of the core.
func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Imports,Deps", "./...")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []pkg
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := dec.Decode(&p)
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestImports(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module+"/")
		seen[name] = true
		allowed, known := imports[name]
		if !known {
			t.Errorf("package %s is not in the picture", name)
		}
		for _, path := range p.Imports {
			ours, own := strings.CutPrefix(path, module+"/")
			standard := !strings.Contains(strings.SplitN(path, "/", 2)[0], ".")
			if !slices.Contains(allowed, ours) && (own || !standard) {
				t.Errorf("%s imports %s", name, path)
			}
		}
		if slices.Contains(withoutHTTP, name) && slices.Contains(p.Deps, "net/http") {
			t.Errorf("%s depends on net/http", name)
		}
		forTests := strings.HasPrefix(name, "store/storetest") || name == "middleware/guardtest"
		if !forTests && slices.Contains(p.Deps, "testing") {
			t.Errorf("%s depends on testing", name)
		}
	}
	for name := range imports {
		if !seen[name] {
			t.Errorf("package %s is in the picture alone", name)
		}
	}
}

// examplePath is an example that a comment names.
var examplePath = regexp.MustCompile(`examples(/[a-z]+)+`)

// TestExamplesAreNamed wants each package to name a program or a service that uses it.
// What keysimport is used for is in its README.md.
func TestExamplesAreNamed(t *testing.T) {
	t.Parallel()
	for _, name := range slices.Concat(slices.Collect(maps.Keys(imports)), nested) {
		if name == "keys/keysimport" || name == "store/storetest/servers" {
			continue
		}
		files, err := filepath.Glob(root + "/" + name + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		named := 0
		for _, path := range files {
			file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			for _, example := range examplePath.FindAllString(file.Doc.Text(), -1) {
				named++
				if _, err := os.Stat(root + "/" + example); err != nil {
					t.Errorf("%s names an example that is not there: %v", name, err)
				}
			}
		}
		if named == 0 {
			t.Errorf("%s names no example", name)
		}
	}
}

func TestTopLevel(t *testing.T) {
	t.Parallel()
	allowed := strings.Fields("keys scopes oauth ratelimit store middleware examples go.mod go.sum README.md LICENSE go.work go.work.sum")
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if !slices.Contains(allowed, e.Name()) && !strings.HasPrefix(e.Name(), ".") {
			t.Errorf("%s stands at the top", e.Name())
		}
	}
}
