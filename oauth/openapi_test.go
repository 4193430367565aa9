package oauth_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/oauth"
	"github.com/google/go-cmp/cmp"
)

// TestOpenAPI compares the document with the routes. Whatever it refers to must be in
// it.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ issuer, path, resource string }{
		{"https://example.com", "", ""},
		{"https://example.com/tenant/one", "/v1/oauth", ""},
		{"https://example.com/tenant", "", "https://example.com"},
	} {
		env := newEnv(t, nil)
		handler, err := oauth.NewHandler(env.server, tt.issuer, &oauth.HandlerOptions{Path: tt.path, Resource: tt.resource})
		if err != nil {
			t.Fatal(err)
		}
		var registered recorder
		handler.Register(&registered)
		handler.RegisterClients(&registered, public)
		slices.Sort(registered)

		text := handler.OpenAPI()
		var document struct {
			Paths      map[string]map[string]json.RawMessage
			Components map[string]map[string]json.RawMessage
		}
		if err := json.Unmarshal(text, &document); err != nil {
			t.Fatal(err)
		}
		var operations []string
		for path, methods := range document.Paths {
			for method := range methods {
				if method != "parameters" {
					operations = append(operations, strings.ToUpper(method)+" "+path)
				}
			}
		}
		slices.Sort(operations)
		if diff := cmp.Diff([]string(registered), operations); diff != "" {
			t.Errorf("%s: %s", tt.issuer, diff)
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
	}
}
