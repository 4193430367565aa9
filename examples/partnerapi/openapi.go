package main

import (
	_ "embed"
	"encoding/json"
	"net/http"

	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// ownOpenAPI describes the routes that are this API's own.
//
//go:embed openapi.json
var ownOpenAPI []byte

// describe returns the document of all routes, for clients and their generators.
func (a *api) describe() ([]byte, error) {
	servers, err := json.Marshal(map[string]any{"servers": []map[string]string{{"url": a.base}}})
	if err != nil {
		return nil, err
	}
	return httpjson.JoinOpenAPI(ownOpenAPI, servers, keyshttp.OpenAPI("/v1/keys"), a.oauth.OpenAPI())
}

// openAPI answers with the document.
func (a *api) openAPI(w http.ResponseWriter, _ *http.Request) {
	httpjson.Write(w, http.StatusOK, json.RawMessage(a.document))
}
