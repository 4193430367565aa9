package oauth

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	pathpkg "path"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// How many failed authentications a minute one address may make by default: for
// one client, and for all clients together.
const (
	DefaultFailures        = 10
	DefaultAddressFailures = 300
)

// HandlerOptions are the settings of a [Handler].
type HandlerOptions struct {
	// Path is where the endpoints are, after the path of the issuer. If empty,
	// "/oauth": the token endpoint is then /oauth/token.
	Path string

	// Realm names the protected space in challenges. It is printable ASCII
	// without quotes and backslashes. If empty, "oauth".
	Realm string

	// Resource is the URL of the API that the tokens are for, as the metadata
	// of RFC 9728 names it. If empty, the issuer. The API must be at or below it:
	// clients refuse metadata of another resource than the one that they call.
	Resource string

	// Address returns the address that a request comes from, by which failures
	// are counted, and networks of clients are checked. If nil, it is that of
	// RemoteAddr. Hosts behind proxies give the method Addr of a
	// middleware.Proxies.
	Address func(*http.Request) netip.Addr

	// Failures is how many failed authentications a minute one address (for
	// IPv6, one /64) may make for one client, and AddressFailures how many for all
	// clients together, until its requests are answered 429 for a while. A client
	// whose secret was right from that address within the last hour goes on,
	// whatever others do there. If zero, DefaultFailures and
	// DefaultAddressFailures. Each process counts for itself. No more requests
	// than there are failures left are checked at the same time; others wait for
	// them.
	Failures, AddressFailures int

	// Metadata has members to add to the metadata of the server (RFC 8414 §2),
	// for clients that insist on members without a meaning for this grant. The
	// SDKs of the Model Context Protocol, for example, refuse metadata without an
	// "authorization_endpoint"; any URL will do. The server's own members are not
	// replaced.
	Metadata map[string]any

	// WriteError writes the body of refusals on the routes by which clients are
	// managed. If nil, httpjson.WriteJSON. Refusals of the protocol's endpoints
	// always have the form of RFC 6749 §5.2.
	WriteError httpjson.ErrorWriter

	// Hook receives one event for each request to the protocol's endpoints whose
	// client was accepted or refused. Its reasons say what the answers do not, such
	// as that a client is paused. If nil, these events are dropped.
	Hook keys.Hook

	// Logger is told, at level Error, of the errors behind answers of 503. If
	// nil, they are dropped. Anybody can make requests to the protocol's endpoints.
	// So while a store is down it is told of the first, and then of their number,
	// as [keys.LogErrors] says. It is told of each request of the management of
	// clients that failed.
	Logger *slog.Logger
}

// A Handler has the endpoints of a [Server] as net/http handlers. It is safe
// for concurrent use.
type Handler struct {
	server    *Server
	issuer    string
	base      string // the path of the endpoints, that of the issuer included
	resource  string
	challenge string
	metadata  []byte // of the server, as JSON
	throttle  *throttle
	write     httpjson.ErrorWriter
	hook      keys.Hook
	logger    *slog.Logger
	failed    func(error) // logs the failure of an endpoint of the protocol
}

// NewHandler returns the handlers of a server. The issuer is the URL by which
// clients know it (RFC 8414 §2): https, or http for a test on one machine,
// without a query, a fragment or a slash at the end. Its path is clean, and has no
// character that must be escaped. A nil opts is the zero HandlerOptions. The error
// says which setting is wrong.
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
	h := &Handler{
		server: s, issuer: issuer, base: base, resource: opts.Resource,
		write: opts.WriteError, hook: opts.Hook, logger: opts.Logger,
	}
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
	h.challenge = `Basic realm="` + realm + `"`
	if h.throttle, err = newThrottle(opts); err != nil {
		return nil, err
	}
	if h.metadata, err = h.serverMetadata(opts.Metadata); err != nil {
		return nil, fmt.Errorf("oauth: metadata: %w", err)
	}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	h.failed = keys.LogErrors(h.logger, "oauth endpoint failed")
	return h, nil
}

// checkURL returns the path of a URL that can be an issuer, as it stands in the URL.
// The path must be clean: a mux redirects requests for other paths, and panics if
// one is registered.
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

// A mux is a [http.ServeMux], or takes the same patterns.
type mux = interface {
	Handle(pattern string, handler http.Handler)
}

// Register registers the protocol's routes with mux, which is a [http.ServeMux]
// or takes the same patterns. They are open to everybody: clients prove who they
// are there. With the issuer https://example.com/a and the path /oauth:
//
//	POST /a/oauth/token
//	POST /a/oauth/revoke
//	POST /a/oauth/introspect
//	GET  /.well-known/oauth-authorization-server/a
//	GET  /.well-known/oauth-protected-resource/a
func (h *Handler) Register(mux mux) {
	httpjson.Register(mux, httpjson.WriteJSON,
		httpjson.Route{Pattern: "POST " + h.base + "/token", Handler: http.HandlerFunc(h.token)},
		httpjson.Route{Pattern: "POST " + h.base + "/revoke", Handler: http.HandlerFunc(h.revoke)},
		httpjson.Route{Pattern: "POST " + h.base + "/introspect", Handler: http.HandlerFunc(h.introspect)},
		httpjson.Route{Pattern: "GET " + wellKnown("oauth-authorization-server", h.issuer), Handler: http.HandlerFunc(h.describeServer)},
		httpjson.Route{Pattern: "GET " + wellKnown("oauth-protected-resource", h.resource), Handler: http.HandlerFunc(h.describeResource)},
	)
}

// RegisterClients registers the routes by which an organization manages its
// clients, behind protect, such as guard.Manage(). They act for the principal of
// the request, and need no scope of it but what protect asks for. RegisterClients
// panics if protect is nil.
//
//	POST   /a/oauth/clients              makes a client: 201
//	GET    /a/oauth/clients              lists clients: 200
//	GET    /a/oauth/clients/{id}         shows a client: 200
//	DELETE /a/oauth/clients/{id}         ends a client and its tokens, forever: 204
//	POST   /a/oauth/clients/{id}/rotate  gives a client a new secret: 200
//
// The body of a POST may be missing. The body that makes a client is {"name"?: text,
// "scopes"?: [names]}. Without scopes the client has those of its maker; [keys.Actor]
// says what else bounds it. The answer is the only one that shows the secret:
//
//	{"clientId", "clientSecret", "companyId", "name"?, "scopes"?, "createdAt"}
//
// The body of a rotation is {"overlap"?: seconds}: how long the old secret stays
// good. The default is a day, and 0 ends it at once. Tokens that the client got with it
// stay good until they expire. A list is {"clients":
// [{"clientId", "name"?, "createdAt"}], "next_cursor"?}. Its query may have limit and
// cursor, as [httpjson.ReadPage] says, but not include. One client is
//
//	{"clientId", "companyId", "name"?, "scopes", "createdAt", "createdBy"?,
//	 "environment"?, "expiresAt"?, "disabledAt"?}
//
// Whoever ends a client must have its scopes. The query descendants=true also ends
// everything that the client made, that this made, and so on.
func (h *Handler) RegisterClients(mux mux, protect func(http.Handler) http.Handler) {
	if protect == nil {
		panic("oauth: RegisterClients without protection")
	}
	path := h.base + "/clients"
	route := func(pattern string, do httpjson.Action) httpjson.Route {
		return httpjson.Route{Pattern: pattern, Handler: protect(httpjson.Manage(do, h.write, h.log))}
	}
	httpjson.Register(mux, h.write,
		route("POST "+path, h.createClient),
		route("GET "+path, h.listClients),
		route("GET "+path+"/{id}", h.getClient),
		route("DELETE "+path+"/{id}", h.deleteClient),
		route("POST "+path+"/{id}/rotate", h.rotateSecret),
	)
}

// wellKnown returns the path of a metadata document: the well-known name stands
// before the path of the URL (RFC 8414 §3.1, RFC 9728 §3.1).
func wellKnown(name, of string) string { return "/.well-known/" + name + pathOf(of) }

// pathOf returns the path of a URL that NewHandler has checked.
func pathOf(url string) string {
	path, _ := checkURL(url)
	return path
}

// ResourceMetadataURL returns where the metadata of RFC 9728 is, for challenges
// to name it.
func (h *Handler) ResourceMetadataURL() string {
	return strings.TrimSuffix(h.resource, pathOf(h.resource)) + wellKnown("oauth-protected-resource", h.resource)
}
