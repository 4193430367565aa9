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

	// Logger is told, at level Error, of what has failed: of the errors behind
	// answers of 503, which say nothing about them to the caller, and of what else
	// the host must know, such as a change that could not be taken back. It is not
	// told of requests whose client has gone. If nil, errors are dropped.
	Logger *slog.Logger
}

// A Handler manages the API keys of the organization of a request's
// principal, which it takes from the request's context ([keys.FromContext]).
// It is safe for concurrent use.
//
// A request whose context has no principal, or one without an organization,
// came along a way that was not protected: it is answered 401. Whether the
// principal may manage keys is not checked here.
//
// Keys of other organizations, unknown keys, credentials that are not API keys
// and text that is no ID at all are answered by the same bytes, 404.
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

// Register registers the routes of h with mux, which is a [http.ServeMux] or
// takes the same patterns, under a path such as "/v1/keys" and behind protect,
// such as guard.Manage("keys:manage"). Other methods than those of the routes are
// answered 405, before protect is asked. A router that does not know the patterns
// of ServeMux is given a ServeMux for all that is under path, which must see the
// whole path.
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

// log logs an error that is the service's, unless the client has gone: then it is
// not known whose it is.
func (h *Handler) log(r *http.Request, err error) {
	if httpjson.ClientGone(r.Context()) {
		return
	}
	p, _ := keys.FromContext(r.Context())
	h.logger.LogAttrs(r.Context(), slog.LevelError, "managing keys failed",
		slog.String("method", r.Method), slog.Any("principal", p), slog.Any("error", err))
}
