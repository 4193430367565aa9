package httpjson_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/google/go-cmp/cmp"
)

func TestJoinOpenAPI(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name      string
		documents []string
		want      string // the document, or a part of the error
	}{
		{"none", nil, `{}`},
		{"one", []string{`{"openapi":"3.1.0","paths":{"/a":{}}}`}, `{"openapi":"3.1.0","paths":{"/a":{}}}`},
		{
			"two",
			[]string{
				`{"openapi":"3.1.0","info":{"title":"one"},"paths":{"/a":{"get":{}}},"components":{"schemas":{"A":{"type":"string"},"C":{"type":"null","x":1}}},"tags":[{"name":"b"},{"name":"a"}]}`,
				`{"openapi":"3.1.1","info":{"title":"two"},"servers":[],"paths":{"/b":{"get":{}}},"components":{"schemas":{"B":{},"C":{"x":1.0,"type":"null"}},"headers":{"H":{}}},"tags":[{"name":"c"},{"name":"a"}],"webhooks":{"w":{}}}`,
				`{"webhooks":{"v":{}}}`,
			},
			`{"openapi":"3.1.0","info":{"title":"one"},"servers":[],"paths":{"/a":{"get":{}},"/b":{"get":{}}},
			"components":{"schemas":{"A":{"type":"string"},"B":{},"C":{"type":"null","x":1}},"headers":{"H":{}}},
			"tags":[{"name":"b"},{"name":"a"},{"name":"c"}],"webhooks":{"w":{},"v":{}}}`,
		},
		{"a path twice", []string{`{"paths":{"/a":{"get":{}}}}`, `{"paths":{"/a":{"post":{}}}}`}, "document 2: paths: /a: an earlier"},
		{"a component twice", []string{`{}`, `{"components":{"schemas":{"A":{"type":"string"}}}}`, `{"components":{"schemas":{"A":{}}}}`}, "document 3: components: schemas: A: an earlier"},
		{"no JSON", []string{`{}`, `x`}, "document 2: "},
		{"no object", []string{`[]`}, "document 1: "},
		{"null", []string{`{}`, `null`}, "document 2: "},
		{"null in place of paths", []string{`{"paths":null}`, `{"paths":{}}`}, "document 2: paths: "},
		{"null in place of a list of schemas", []string{`{"components":{"schemas":null}}`, `{"components":{"schemas":{"A":{}}}}`}, "document 2: components: schemas: "},
		{"a list of paths", []string{`{"paths":{}}`, `{"paths":[]}`}, "document 2: paths: "},
		{"an object of tags", []string{`{"tags":[]}`, `{"tags":{}}`}, "document 2: tags: "},
	} {
		var documents [][]byte
		for _, text := range tt.documents {
			documents = append(documents, []byte(text))
		}
		got, err := httpjson.JoinOpenAPI(documents...)
		if !strings.HasPrefix(tt.want, "{") {
			if err == nil || !strings.Contains(err.Error(), tt.want) || got != nil {
				t.Errorf("%s: %s, %v; want an error with %q", tt.name, got, err, tt.want)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var x, y any
		if err := json.Unmarshal(got, &x); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(tt.want), &y); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(y, x); diff != "" {
			t.Errorf("%s: %s", tt.name, diff)
		}
	}
}

// A caller may change what it gets.
func TestOpenAPIIsACopy(t *testing.T) {
	t.Parallel()
	httpjson.OpenAPI()[0] = 'x'
	if got := httpjson.OpenAPI(); got[0] != '{' || !json.Valid(got) {
		t.Errorf("%.20s", got)
	}
}
