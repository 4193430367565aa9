package oauth

import (
	"encoding/json"
	"maps"
	"net/http"

	"github.com/claviger-auth/claviger/keys/httpjson"
)

// authMethods are the ways in which clients authenticate (RFC 7591 §2).
var authMethods = []string{"client_secret_basic", "client_secret_post"}

// serverMetadata returns the metadata of the server (RFC 8414 §2) as JSON, with
// the members that the host adds.
func (h *Handler) serverMetadata(more map[string]any) ([]byte, error) {
	endpoints := h.issuer + h.base[len(pathOf(h.issuer)):]
	own, err := json.Marshal(struct {
		Issuer             string   `json:"issuer"`
		TokenEndpoint      string   `json:"token_endpoint"`
		TokenAuth          []string `json:"token_endpoint_auth_methods_supported"`
		RevocationEndpoint string   `json:"revocation_endpoint"`
		RevocationAuth     []string `json:"revocation_endpoint_auth_methods_supported"`
		IntrospectEndpoint string   `json:"introspection_endpoint"`
		IntrospectAuth     []string `json:"introspection_endpoint_auth_methods_supported"`
		GrantTypes         []string `json:"grant_types_supported"`
		ResponseTypes      []string `json:"response_types_supported"`
		Scopes             []string `json:"scopes_supported"`
	}{
		h.issuer, endpoints + "/token", authMethods, endpoints + "/revoke", authMethods,
		endpoints + "/introspect", authMethods,
		[]string{GrantType},
		[]string{},
		h.scopes(),
	})
	if err != nil || len(more) == 0 {
		return own, err
	}
	var members map[string]any
	if err := json.Unmarshal(own, &members); err != nil {
		return nil, err
	}
	more = maps.Clone(more)
	maps.DeleteFunc(more, func(name string, _ any) bool { return members[name] != nil })
	if len(more) == 0 {
		return own, nil
	}
	added, err := json.Marshal(more)
	if err != nil {
		return nil, err
	}
	return append(append(own[:len(own)-1], ','), added[1:]...), nil
}

// describeServer answers with the metadata of the server (RFC 8414 §3.2).
func (h *Handler) describeServer(w http.ResponseWriter, _ *http.Request) {
	httpjson.Write(w, http.StatusOK, json.RawMessage(h.metadata))
}

// describeResource answers with the metadata of the protected resource (RFC 9728
// §3.2).
func (h *Handler) describeResource(w http.ResponseWriter, _ *http.Request) {
	httpjson.Write(w, http.StatusOK, struct {
		Resource      string   `json:"resource"`
		Servers       []string `json:"authorization_servers"`
		Scopes        []string `json:"scopes_supported"`
		BearerMethods []string `json:"bearer_methods_supported"`
	}{h.resource, []string{h.issuer}, h.scopes(), []string{"header"}})
}

func (h *Handler) scopes() []string { return h.server.manager.Catalog().Grantable().Names() }
