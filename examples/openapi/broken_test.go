package openapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
)

// kindOf returns what exchanges have in common that are likely to be right or wrong
// together: the operation, the status, and what members and fields there are.
func kindOf(s spec, x *exchange) string {
	_, name := s.find(x)
	var answer map[string]any
	_ = json.Unmarshal(x.ResponseBody, &answer)
	_, query, _ := strings.Cut(x.URL, "?")
	return fmt.Sprint(name, x.Status, query, slices.Sorted(maps.Keys(answer)), slices.Sorted(maps.Keys(x.ResponseHeader)), answer["error"], len(x.Body) == 0)
}

// TestBrokenDocuments breaks the document in many ways. Each time some exchanges are
// not as it says, or it is not as precise as it could be.
func TestBrokenDocuments(t *testing.T) {
	t.Parallel()
	r := recording(t)
	whole := parse(t, r.document)
	var some []*exchange
	seen := make(map[string]bool)
	for _, x := range r.exchanges {
		if k := kindOf(whole, x); !seen[k] {
			seen[k] = true
			some = append(some, x)
		}
	}
	t.Logf("%d kinds of exchanges", len(some))
	set := func(pointer, name string, value any) func(spec) {
		return func(s spec) {
			o := s.at(pointer)
			if o == nil {
				panic("the document has no " + pointer)
			}
			if value == nil {
				delete(o, name)
			} else {
				o[name] = value
			}
		}
	}
	const schemas, responses = "components/schemas/", "components/responses/"
	for _, tt := range []struct {
		name  string
		smash func(spec)
	}{
		{"nothing", func(spec) {}},
		{"a type", set(schemas+"Key/properties/rate_limit_per_minute", "type", "string")},
		{"a list of types without null, as in OpenAPI 3.1", set(schemas+"Key/properties/expires_at", "type", []string{"string"})},
		{"a constant, as in OpenAPI 3.1", set(schemas+"Token/properties/token_type", "const", "Bearer")},
		{"members that need each other, as in OpenAPI 3.1", set(responses+"InvalidValue/content/application~1json/schema/dependentRequired", "reserved", []string{"nothing"})},
		{"a pattern", set(schemas+"Timestamp", "pattern", "^[0-9]+$")},
		{"a format", set(schemas+"Timestamp", "format", "email")},
		{"an enumeration", set(responses+"Unauthorized/content/application~1json/schema/properties/error", "enum", []string{"unauthorized"})},
		{"a minimum", set(schemas+"Token/properties/expires_in", "minimum", 1_000_000)},
		{"no member that an answer has", set(schemas+"Key/properties", "label", nil)},
		{"no member that an answer has within a list", set(schemas+"OAuthClientList/properties/clients/items/properties", "clientId", nil)},
		{"no member that a request has", set(schemas+"KeySpec/properties", "expires_in", nil)},
		{"a member that no answer has", set(schemas+"Me", "required", []string{"nonsense"})},
		{"a member that is always there and not required", set(schemas+"Me", "required", []string{"key_id"})},
		{"a member that is never there", set(schemas+"Me/properties", "nonsense", map[string]any{"type": "string"})},
		{"no status", set("paths/~1v1~1chain/get/responses", "429", nil)},
		{"no operation", set("paths/~1v1~1keys", "get", nil)},
		{"no path", set("paths", "/v1/oauth/token", nil)},
		{"no media type", set("paths/~1v1~1oauth~1token/post/requestBody/content", "application/x-www-form-urlencoded", nil)},
		{"a parameter's bound", set("components/parameters/Limit/schema", "maximum", 1)},
		{"no parameter", set("paths/~1v1~1keys~1{id}/delete", "parameters", nil)},
		{"a header's pattern", set("components/headers/RateLimit/schema", "pattern", "^x$")},
		{"a header's bound", set("components/headers/RetryAfter/schema", "maximum", 0)},
		{"a header that no answer has", set(responses+"Unauthorized/headers", "Nonsense", map[string]any{"required": true, "schema": map[string]any{"type": "string"}})},
		{"no header that an answer has", set(responses+"Unauthorized/headers", "WWW-Authenticate", nil)},
		{"another form of credentials", set("components/securitySchemes/bearer", "scheme", "basic")},
	} {
		t.Run(tt.name, func(t *testing.T) {
			broken := parse(t, r.document)
			tt.smash(broken)
			text, err := json.Marshal(broken)
			if err != nil {
				t.Fatal(err)
			}
			v := newValidator(t, text)
			var found []string
			for _, x := range some {
				if found = faults(t, v, broken, x); len(found) > 0 {
					break
				}
			}
			if found = append(found, loose(broken, r.exchanges)...); (len(found) == 0) != (tt.name == "nothing") {
				t.Errorf("found %q", found)
			}
			t.Logf("%.300q", found)
		})
	}
}
