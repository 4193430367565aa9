package oauth

import (
	_ "embed"
	"encoding/json"
	"strings"

	"github.com/claviger-auth/claviger/keys/httpjson"
)

// openAPI describes the routes of a server whose issuer has no path, and refers to
// components of package httpjson.
//
//go:embed openapi.json
var openAPI string

// OpenAPI returns an OpenAPI 3.1 document for the routes that [Handler.Register] and
// [Handler.RegisterClients] register, the latter behind a guard of package middleware
// and with refusals as [httpjson.WriteJSON] writes them. [httpjson.JoinOpenAPI] joins
// it with others.
func (h *Handler) OpenAPI() []byte {
	server, resource := wellKnown("oauth-authorization-server", h.issuer), wellKnown("oauth-protected-resource", h.resource)
	document := strings.NewReplacer(
		`"/oauth/`, quoted(h.base+"/"),
		`"/.well-known/oauth-authorization-server`, quoted(server),
		`"/.well-known/oauth-protected-resource`, quoted(resource),
	).Replace(openAPI)
	joined, _ := httpjson.JoinOpenAPI([]byte(document), httpjson.OpenAPI()) // neither has an error
	return joined
}

// quoted returns text as the beginning of a JSON string.
func quoted(text string) string {
	quoted, _ := json.Marshal(text) // text has no error
	return strings.TrimSuffix(string(quoted), `"`)
}
