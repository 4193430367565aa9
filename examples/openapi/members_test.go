package openapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A tally counts the objects that have a member, and those that have not.
type tally struct{ with, without int }

// count counts the members of a value by the schema for it. The name of a schema is
// that of its component, or where it is used.
func (s spec) count(tallies map[string]*tally, name string, schema map[string]any, value any) {
	if ref, ok := schema["$ref"].(string); ok {
		name = ref[strings.LastIndex(ref, "/")+1:]
		schema = s.resolve(schema)
	}
	switch value := value.(type) {
	case map[string]any:
		properties, _ := schema["properties"].(map[string]any)
		for member, its := range properties {
			key := name + "." + member
			if tallies[key] == nil {
				tallies[key] = new(tally)
			}
			if v, ok := value[member]; ok {
				tallies[key].with++
				s.count(tallies, key, its.(map[string]any), v)
			} else {
				tallies[key].without++
			}
		}
	case []any:
		items, _ := schema["items"].(map[string]any)
		for _, v := range value {
			s.count(tallies, name, items, v)
		}
	}
}

// required returns the members that schemas require, by the names of count.
func (s spec) required(all map[string]bool, name string, schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		if names, ok := schema["required"].([]any); ok {
			for _, member := range names {
				all[fmt.Sprint(name, ".", member)] = true
			}
		}
		properties, _ := schema["properties"].(map[string]any)
		for member, its := range properties {
			s.required(all, name+"."+member, its)
		}
		s.required(all, name, schema["items"])
	}
}

// elsewhere are members that other hosts leave out.
var elsewhere = []string{
	"Key.environment", "Key.created_by", "NewKey.environment", "NewKey.created_by",
	"OAuthClient.environment", "OAuthClient.createdBy", "OAuthClient.scopes",
}

// loose returns the members of answers that are always there and that the document does
// not require, and those that are never there.
func loose(s spec, exchanges []*exchange) (list []string) {
	tallies, required := make(map[string]*tally), make(map[string]bool)
	for _, x := range exchanges {
		operation, name := s.find(x)
		if operation == nil {
			continue
		}
		responses, _ := operation["responses"].(map[string]any)
		response, _ := responses[strconv.Itoa(x.Status)].(map[string]any)
		if ref, ok := response["$ref"].(string); ok {
			name = ref[strings.LastIndex(ref, "/")+1:]
		}
		media, _ := spec(s.resolve(response)).at("content/application~1json")["schema"].(map[string]any)
		var value any
		if json.Unmarshal(x.ResponseBody, &value) == nil && media != nil {
			s.required(required, name, media)
			s.count(tallies, name, media, value)
		}
	}
	for name, schema := range s.at("components/schemas") {
		s.required(required, name, schema)
	}
	for _, key := range slices.Sorted(maps.Keys(tallies)) {
		switch n := tallies[key]; {
		case n.with == 0:
			list = append(list, key+" is never there")
		case n.without == 0 && !required[key] && !slices.Contains(elsewhere, key):
			list = append(list, key+" is always there, and is not required")
		}
	}
	return list
}

// TestMembers checks that each member of answers was seen, and that those are required
// which are always there.
func TestMembers(t *testing.T) {
	t.Parallel()
	r := recording(t)
	for _, what := range loose(parse(t, r.document), r.exchanges) {
		t.Error(what)
	}
}
