package keyshttp

import (
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/claviger-auth/claviger/keys/httpjson"
)

// openAPI describes the routes under /v1/keys. It refers to components of package
// httpjson.
//
//go:embed openapi.json
var openAPI string

// OpenAPI returns an OpenAPI 3.1 document for the routes that [Handler.Register]
// registers under a path, behind a guard of package middleware and with refusals as
// [httpjson.WriteJSON] writes them. [httpjson.JoinOpenAPI] joins it with other
// documents. OpenAPI panics if path does not begin with a slash or ends in one.
func OpenAPI(path string) []byte {
	checkPath(path)
	quoted, _ := json.Marshal(path) // no error, since a string always has a JSON text
	document := strings.ReplaceAll(openAPI, `"/v1/keys`, strings.TrimSuffix(string(quoted), `"`))
	joined, _ := httpjson.JoinOpenAPI([]byte(document), httpjson.OpenAPI()) // no error, as a test shows
	return joined
}
