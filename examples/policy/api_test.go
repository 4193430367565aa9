package policy

import (
	"bytes"
	"flag"
	"go/ast"
	"go/parser"
	"go/printer"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestExportedAPI compares what each package exports with the golden file that
// was last agreed on, a line for each symbol, field and method:
//
//	go test ./examples/policy -update
func TestExportedAPI(t *testing.T) {
	t.Parallel()
	for _, name := range slices.AppendSeq(slices.Clone(nested), maps.Keys(imports)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := strings.Join(exported(t, filepath.Join(root, name)), "\n") + "\n"
			golden := filepath.Join("testdata", strings.ReplaceAll(name, "/", "_")+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o666); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Errorf("the exported API has changed; if it should, run with -update\n%s", diff)
			}
		})
	}
}

// exported returns a line for everything that the package in a folder exports, in
// ascending order.
func exported(t *testing.T, folder string) []string {
	t.Helper()
	sources, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(sources) == 0 {
		t.Fatalf("no sources in %s, %v", folder, err)
	}
	a := api{files: token.NewFileSet()}
	for _, name := range sources {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		f, err := parser.ParseFile(a.files, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range f.Decls {
			a.decl(d)
		}
	}
	slices.Sort(a.lines)
	return slices.Compact(a.lines) // files for one system may say the same as those for another
}

// An api collects lines.
type api struct {
	files *token.FileSet
	lines []string
}

func (a *api) add(parts ...string) { a.lines = append(a.lines, strings.Join(parts, " ")) }

// text returns a type or a signature on one line, without comments and tags.
func (a *api) text(node any) string {
	var b bytes.Buffer
	_ = printer.Fprint(&b, a.files, node)
	return strings.Join(strings.Fields(b.String()), " ")
}

func (a *api) decl(d ast.Decl) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		a.function(d)
	case *ast.GenDecl:
		for _, s := range d.Specs {
			switch s := s.(type) {
			case *ast.ValueSpec:
				a.values(d.Tok, s)
			case *ast.TypeSpec:
				a.typ(s)
			}
		}
	}
}

func (a *api) function(d *ast.FuncDecl) {
	signature := strings.TrimPrefix(a.text(d.Type), "func")
	if !d.Name.IsExported() {
		return
	}
	if d.Recv == nil {
		a.add("func", d.Name.Name+signature)
		return
	}
	receiver := a.text(d.Recv.List[0].Type)
	if ast.IsExported(strings.TrimLeft(receiver, "*")) {
		a.add("method", "("+receiver+")", d.Name.Name+signature)
	}
}

func (a *api) values(what token.Token, s *ast.ValueSpec) {
	for i, name := range s.Names {
		if !name.IsExported() {
			continue
		}
		parts := []string{what.String(), name.Name}
		if s.Type != nil {
			parts = append(parts, a.text(s.Type))
		}
		if what == token.CONST && i < len(s.Values) {
			parts = append(parts, "=", a.text(s.Values[i]))
		}
		a.add(parts...)
	}
}

func (a *api) typ(s *ast.TypeSpec) {
	if !s.Name.IsExported() {
		return
	}
	name := s.Name.Name
	if s.TypeParams != nil {
		name += "[" + strings.Trim(a.text(s.TypeParams), "()") + "]"
	}
	switch t := s.Type.(type) {
	case *ast.StructType:
		a.add("type", name, "struct")
		a.members(name, "field", t.Fields)
	case *ast.InterfaceType:
		a.add("type", name, "interface")
		a.members(name, "method", t.Methods)
	default:
		if s.Assign.IsValid() {
			name += " ="
		}
		a.add("type", name, a.text(s.Type))
	}
}

// members adds the exported fields of a struct, or methods of an interface.
func (a *api) members(of, what string, list *ast.FieldList) {
	for _, f := range list.List {
		typ := a.text(f.Type)
		if len(f.Names) == 0 { // embedded
			if embedded := typ[strings.LastIndexAny(typ, ".*")+1:]; ast.IsExported(embedded) {
				a.add("type", of, "embeds", typ)
			}
			continue
		}
		for _, name := range f.Names {
			if name.IsExported() {
				a.add("type", of, what, name.Name, typ)
			}
		}
	}
}
