package oauth

import (
	"net/http"

	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// authMethods are the ways in which clients authenticate (RFC 7591 §2).
var authMethods = []string{"client_secret_basic", "client_secret_post"}

// ServerMetadata answers with the metadata of the server (RFC 8414 §2).
func (h *Handler) ServerMetadata(w http.ResponseWriter, _ *http.Request) {
	endpoints := h.issuer + h.base[len(issuerPath(h.issuer)):]
	keyshttp.WriteJSON(w, http.StatusOK, struct {
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
}

// ResourceMetadata answers with the metadata of the protected resource (RFC
// 9728 §2).
func (h *Handler) ResourceMetadata(w http.ResponseWriter, _ *http.Request) {
	keyshttp.WriteJSON(w, http.StatusOK, struct {
		Resource      string   `json:"resource"`
		Servers       []string `json:"authorization_servers"`
		Scopes        []string `json:"scopes_supported"`
		BearerMethods []string `json:"bearer_methods_supported"`
	}{h.resource, []string{h.issuer}, h.scopes(), []string{"header"}})
}

func (h *Handler) scopes() []string { return h.server.manager.Catalog().Grantable().Names() }

func issuerPath(issuer string) string {
	path, _ := checkURL(issuer) // was checked by NewHandler
	return path
}
