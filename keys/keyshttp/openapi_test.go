package keyshttp_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/google/go-cmp/cmp"
)

// described returns the operations of an OpenAPI document, as patterns of a mux.
// Whatever the document refers to must be in it.
func described(t *testing.T, text []byte) (operations []string) {
	t.Helper()
	var document struct {
		Paths      map[string]map[string]json.RawMessage
		Components map[string]map[string]json.RawMessage
	}
	if err := json.Unmarshal(text, &document); err != nil {
		t.Fatal(err)
	}
	for path, methods := range document.Paths {
		for method := range methods {
			if method != "parameters" {
				operations = append(operations, strings.ToUpper(method)+" "+path)
			}
		}
	}
	refs := regexp.MustCompile(`"\$ref":"([^"]*)"`).FindAllSubmatch(text, -1)
	if len(refs) == 0 {
		t.Error("the document refers to nothing")
	}
	for _, ref := range refs {
		kind, name, ok := strings.Cut(strings.TrimPrefix(string(ref[1]), "#/components/"), "/")
		if !ok || document.Components[kind][name] == nil {
			t.Errorf("%s is not there", ref[1])
		}
	}
	slices.Sort(operations)
	return operations
}

// TestOpenAPI compares the document with the routes.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	handler, err := keyshttp.NewHandler(newManager(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/v1/keys", "/k", "/a/v1/keys", `/"quoted"`} {
		routes := make(table)
		handler.Register(routes, path, public)
		if diff := cmp.Diff(routes.patterns(), described(t, keyshttp.OpenAPI(path))); diff != "" {
			t.Errorf("%s: %s", path, diff)
		}
	}
	for _, path := range []string{"", "keys", "/keys/"} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%q did not panic", path)
				}
			}()
			keyshttp.OpenAPI(path)
		}()
	}
}
