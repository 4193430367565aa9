package httpjson

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
)

//go:embed openapi.json
var openAPI string

// OpenAPI returns the part of an OpenAPI 3.1 document that describes what the
// handlers of this module share: refusals in the form of [WriteJSON], the fields
// about the quota, the query of [ReadPage], and the security scheme "bearer". It has
// no paths. A host's own document can refer to its components.
func OpenAPI() []byte { return []byte(openAPI) }

// JoinOpenAPI joins OpenAPI documents, such as a host's own and those of packages
// keyshttp and oauth, into one. The result has the paths, webhooks, components and
// tags of all of them. Every other member is that of the first document that has it;
// so the first one says what the title is and where the servers are.
//
// The error says which document is no JSON object, or which name two of them use for
// different things.
func JoinOpenAPI(documents ...[]byte) ([]byte, error) {
	joined := make(map[string]json.RawMessage)
	for i, text := range documents {
		members, err := objectIn(text)
		if err != nil {
			return nil, fmt.Errorf("httpjson: OpenAPI document %d: %w", i+1, err)
		}
		for name, value := range members {
			if joined[name] == nil {
				joined[name] = value
				continue
			}
			switch name {
			case "components":
				joined[name], err = join(joined[name], value, 2)
			case "paths", "webhooks":
				joined[name], err = join(joined[name], value, 1)
			case "tags":
				joined[name], err = joinTags(joined[name], value)
			}
			if err != nil {
				return nil, fmt.Errorf("httpjson: OpenAPI document %d: %s: %w", i+1, name, err)
			}
		}
	}
	return json.Marshal(joined)
}

var errDiffers = errors.New("an earlier document has another one of this name")

// join joins two objects. Members with the same name are objects too, and are joined
// in the same way, down to the depth. There, values with the same name must be equal.
func join(a, b json.RawMessage, depth int) (json.RawMessage, error) {
	if depth == 0 {
		if !same(a, b) {
			return nil, errDiffers
		}
		return a, nil
	}
	all, err := objectIn(a)
	if err != nil {
		return nil, err
	}
	more, err := objectIn(b)
	if err != nil {
		return nil, err
	}
	for name, value := range more {
		if all[name] != nil {
			if value, err = join(all[name], value, depth-1); err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
		}
		all[name] = value
	}
	return json.Marshal(all)
}

// objectIn returns the members of a JSON object. Null is none.
func objectIn(text []byte) (members map[string]json.RawMessage, err error) {
	if err = json.Unmarshal(text, &members); err == nil && members == nil {
		err = errors.New("null in place of an object")
	}
	return members, err
}

// same reports whether two JSON values are equal, however they are written.
func same(a, b json.RawMessage) bool {
	var x, y any
	return json.Unmarshal(a, &x) == nil && json.Unmarshal(b, &y) == nil && reflect.DeepEqual(x, y)
}

// joinTags joins two lists of tags, in their order.
func joinTags(a, b json.RawMessage) (json.RawMessage, error) {
	var all, more []json.RawMessage
	if err := errors.Join(json.Unmarshal(a, &all), json.Unmarshal(b, &more)); err != nil {
		return nil, err
	}
	for _, tag := range more {
		if !slices.ContainsFunc(all, func(t json.RawMessage) bool { return same(t, tag) }) {
			all = append(all, tag)
		}
	}
	return json.Marshal(all)
}
