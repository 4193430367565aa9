package oauth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	pathpkg "path"
	"strings"

	"github.com/claviger-auth/claviger/keys/keyshttp"
)

// DefaultFailures is how many failed authentications a minute one address may
// make for one client.
const DefaultFailures = 10

// HandlerOptions are the settings of a [Handler].
type HandlerOptions struct {
	// Path is where the endpoints are, after the path of the issuer. If empty,
	// "/oauth": the token endpoint is then /oauth/token.
	Path string

	// Realm names the protected space in challenges. It is printable ASCII
	// without quotes and backslashes. If empty, "oauth".
	Realm string

	// Resource is the URL of the API that the tokens are for, as the metadata
	// of RFC 9728 names it. If empty, the issuer.
	Resource string

	// Address returns the name of the address that a request comes from, by
	// which failures are counted. If nil, it is the host of RemoteAddr, or its
	// /64 for IPv6. Hosts behind proxies give the method Address of a
	// middleware.Throttle.
	Address func(*http.Request) string

	// Failures is how many failed authentications a minute one address may make
	// for one client, until all its requests for that client are answered 429
	// for a while. If zero, DefaultFailures. Each process counts for itself. No
	// more requests than there are failures left are checked at the same time;
	// others wait for them.
	Failures int

	// Logger is told, at level Error, of the errors behind answers of 503. If
	// nil, they are dropped.
	Logger *slog.Logger
}

// A Handler has the endpoints of a [Server] as net/http handlers. It is safe
// for concurrent use.
type Handler struct {
	server    *Server
	issuer    string
	base      string // the path of the endpoints, that of the issuer included
	resource  string
	challenge []string
	throttle  throttle
	logger    *slog.Logger
}

// NewHandler returns the handlers of a server. The issuer is the URL by which
// clients know it (RFC 8414 §2): https, or http for a test on one machine,
// without a query, a fragment or a slash at the end, and with a path that is
// clean and needs no more escapes. A nil opts is the zero
// HandlerOptions. The error says which setting is wrong.
func NewHandler(s *Server, issuer string, opts *HandlerOptions) (*Handler, error) {
	if s == nil {
		return nil, errors.New("oauth: NewHandler needs a server")
	}
	if opts == nil {
		opts = new(HandlerOptions)
	}
	path := opts.Path
	if path == "" {
		path = "/oauth"
	}
	if _, err := checkURL(issuer); err != nil {
		return nil, fmt.Errorf("oauth: issuer: %w", err)
	}
	base, err := checkURL(issuer + path)
	if err != nil || path[0] != '/' {
		return nil, fmt.Errorf("oauth: path %q does not begin with a slash, ends in one, or has more than a clean path", path)
	}
	h := &Handler{server: s, issuer: issuer, base: base, resource: opts.Resource, logger: opts.Logger}
	if h.resource == "" {
		h.resource = issuer
	}
	if _, err := checkURL(h.resource); err != nil {
		return nil, fmt.Errorf("oauth: resource: %w", err)
	}
	realm := opts.Realm
	if realm == "" {
		realm = "oauth"
	}
	for i := range len(realm) {
		if c := realm[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			return nil, errors.New("oauth: the realm is not printable ASCII without quotes and backslashes")
		}
	}
	h.challenge = []string{`Basic realm="` + realm + `"`}
	if h.throttle, err = newThrottle(opts.Failures, opts.Address); err != nil {
		return nil, err
	}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	return h, nil
}

// checkURL returns the path of a URL that can be an issuer. That path is as it
// stands in the URL, and the mux can register it: it panics for paths that are
// not clean, since it redirects requests for those.
func checkURL(text string) (path string, err error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return "", errors.New("not an absolute https URL")
	case u.RawQuery != "" || u.ForceQuery || strings.Contains(text, "#") || u.User != nil:
		return "", errors.New("a URL with a query, a fragment or a user")
	case strings.ContainsFunc(text, func(c rune) bool { return c <= ' ' || c > '~' || strings.ContainsRune(`{}"\`, c) }):
		return "", errors.New("a URL with a character that must be escaped")
	}
	path = u.EscapedPath()
	if path != "" && (path == "/" || pathpkg.Clean(path) != path) || !strings.HasSuffix(text, path) {
		return "", errors.New("a URL with a slash at its end, or a path that is not clean")
	}
	return path, nil
}

// Routes returns the public routes, for [keyshttp.Mount] with
// [keyshttp.Public]. With the issuer https://example.com/a and the path /oauth:
//
//	POST /a/oauth/token
//	POST /a/oauth/revoke
//	POST /a/oauth/introspect
//	GET  /.well-known/oauth-authorization-server/a
//	GET  /.well-known/oauth-protected-resource/a
func (h *Handler) Routes() []keyshttp.Route {
	route := func(method, path string, f http.HandlerFunc) keyshttp.Route {
		return keyshttp.Route{Method: method, Path: path, Handler: f}
	}
	return []keyshttp.Route{
		route(http.MethodPost, h.base+"/token", h.Token),
		route(http.MethodPost, h.base+"/revoke", h.Revoke),
		route(http.MethodPost, h.base+"/introspect", h.Introspect),
		route(http.MethodGet, wellKnown("oauth-authorization-server", h.issuer), h.ServerMetadata),
		route(http.MethodGet, wellKnown("oauth-protected-resource", h.resource), h.ResourceMetadata),
	}
}

// ClientRoutes returns the routes by which an organization manages its clients.
// They act for the principal of the request, so they belong behind the
// middleware of this module or the host's own session; any principal will do.
//
//	POST   /a/oauth/clients
//	GET    /a/oauth/clients
//	GET    /a/oauth/clients/{id}
//	DELETE /a/oauth/clients/{id}
//	POST   /a/oauth/clients/{id}/rotate
func (h *Handler) ClientRoutes() []keyshttp.Route {
	path := h.base + "/clients"
	route := func(method, path string, f http.HandlerFunc) keyshttp.Route {
		return keyshttp.Route{Method: method, Path: path, Handler: f}
	}
	return []keyshttp.Route{
		route(http.MethodPost, path, h.CreateClient),
		route(http.MethodGet, path, h.ListClients),
		route(http.MethodGet, path+"/{id}", h.GetClient),
		route(http.MethodDelete, path+"/{id}", h.DeleteClient),
		route(http.MethodPost, path+"/{id}/rotate", h.RotateSecret),
	}
}

// wellKnown returns the path of a metadata document: the well-known name stands
// before the path of the URL (RFC 8414 §3.1, RFC 9728 §3.1).
func wellKnown(name, of string) string {
	path, _ := checkURL(of) // was checked by NewHandler
	return "/.well-known/" + name + path
}

// ResourceMetadataURL returns where the metadata of RFC 9728 is, for challenges
// to name it.
func (h *Handler) ResourceMetadataURL() string {
	path, _ := checkURL(h.resource)
	return strings.TrimSuffix(h.resource, path) + wellKnown("oauth-protected-resource", h.resource)
}
