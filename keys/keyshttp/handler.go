package keyshttp

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
)

// Options are the settings of a [Handler].
type Options struct {
	// MaxBody is how long a request's body may be, in bytes. If zero,
	// httpjson.DefaultMaxBody. It must not be negative.
	MaxBody int64

	// WriteError writes the body of refusals. If nil, httpjson.WriteJSON.
	WriteError httpjson.ErrorWriter

	// Logger logs failures at level Error: the errors behind answers of 503, which
	// the answers do not show, and changes that could not be taken back. It does not
	// log requests whose client has gone. If nil, nothing is logged.
	Logger *slog.Logger
}

// A Handler manages API keys. It acts for the organization of the principal in the
// request's context ([keys.FromContext]). It is safe for concurrent use.
//
// A request without a principal, or whose principal has no organization, is answered
// 401: it came through a route without protection. A Handler does not check whether the
// principal may manage keys.
//
// Keys of other organizations, unknown keys, credentials that are not API keys and text
// that is not an ID are answered 404 with the same bytes.
type Handler struct {
	manager *keys.Manager
	maxBody int64
	write   httpjson.ErrorWriter
	logger  *slog.Logger
}

// NewHandler returns a Handler over a Manager. A nil opts is the zero Options.
// The error says what is missing or wrong.
func NewHandler(m *keys.Manager, opts *Options) (*Handler, error) {
	if m == nil {
		return nil, errors.New("keyshttp: NewHandler needs a manager")
	}
	if opts == nil {
		opts = new(Options)
	}
	if opts.MaxBody < 0 {
		return nil, errors.New("keyshttp: MaxBody is negative")
	}
	h := &Handler{manager: m, maxBody: opts.MaxBody, write: opts.WriteError, logger: opts.Logger}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	return h, nil
}

// Register registers the routes of h with mux, which is a [http.ServeMux] or takes the
// same patterns. The routes are under a path such as "/v1/keys", and behind protect,
// such as guard.Manage("keys:manage"). Methods without a route are answered 405, before
// protect is called. If your router does not know the patterns of ServeMux, register
// the routes with a ServeMux, and let the router pass it all requests under path, with
// their whole path.
//
// Register panics if protect is nil, if path does not begin with a slash or ends
// in one, or as [http.ServeMux.Handle] does.
func (h *Handler) Register(mux interface {
	Handle(pattern string, handler http.Handler)
}, path string, protect func(http.Handler) http.Handler,
) {
	if protect == nil {
		panic("keyshttp: Register without protection")
	}
	checkPath(path)
	route := func(pattern string, do httpjson.Action) httpjson.Route {
		return httpjson.Route{Pattern: pattern, Handler: protect(httpjson.Manage(do, h.write, h.log))}
	}
	httpjson.Register(mux, h.write,
		route("POST "+path, h.create),
		route("GET "+path, h.list),
		route("GET "+path+"/{id}", h.get),
		route("PATCH "+path+"/{id}", h.change),
		route("DELETE "+path+"/{id}", h.revoke),
		route("POST "+path+"/{id}/rotate", h.rotate),
	)
}

// checkPath panics if the routes cannot be under a path.
func checkPath(path string) {
	if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
		panic("keyshttp: the path of Register begins with a slash and does not end in one")
	}
}

// log logs a failure of the service. It logs nothing if the client has gone, since then
// the client may have caused the error.
func (h *Handler) log(r *http.Request, err error) {
	if httpjson.ClientGone(r.Context()) {
		return
	}
	p, _ := keys.FromContext(r.Context())
	h.logger.LogAttrs(r.Context(), slog.LevelError, "managing keys failed",
		slog.String("method", r.Method), slog.Any("principal", p), slog.Any("error", err))
}
