package keyshttp

import (
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/claviger-auth/claviger/keys/httpjson"
)

// openAPI describes the routes under /v1/keys, and refers to components of package
// httpjson.
//
//go:embed openapi.json
var openAPI string

// OpenAPI returns an OpenAPI 3.1 document for the routes that [Handler.Register]
// registers under a path, behind a guard of package middleware and with refusals as
// [httpjson.WriteJSON] writes them. [httpjson.JoinOpenAPI] joins it with others. It
// panics if no path can be as the given one.
func OpenAPI(path string) []byte {
	checkPath(path)
	quoted, _ := json.Marshal(path) // text has no error
	document := strings.ReplaceAll(openAPI, `"/v1/keys`, strings.TrimSuffix(string(quoted), `"`))
	joined, _ := httpjson.JoinOpenAPI([]byte(document), httpjson.OpenAPI()) // nor have these two
	return joined
}
