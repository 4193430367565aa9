package keyshttp

import (
	"net/http"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// A Route is one line of a table of routes, from which hosts build a
// [http.ServeMux] and tests their matrices.
type Route struct {
	Method  string // "POST"; GET also stands for HEAD
	Path    string // as in the patterns of ServeMux: "/v1/keys/{id}"
	Handler http.Handler
}

// Mount registers routes with mux, each behind protect. On each path, methods
// that no route has are answered by [MethodNotAllowed], before protect is
// asked; so the routes of one path belong in one call.
//
// Which protection routes have must be decided, so Mount panics if protect is
// nil; routes that need none take [Public]. It also panics, as
// [http.ServeMux.Handle] does, if a route is there twice. A host that answers
// unknown paths in JSON registers [NotFound] for the pattern "/".
func Mount(mux *http.ServeMux, protect func(http.Handler) http.Handler, routes ...Route) {
	if protect == nil {
		panic("keyshttp: Mount without protection")
	}
	methods := make(map[string][]string)
	for _, route := range routes {
		mux.Handle(route.Method+" "+route.Path, protect(route.Handler))
		methods[route.Path] = append(methods[route.Path], route.Method)
	}
	for path, allowed := range methods {
		mux.Handle(path, MethodNotAllowed(allowed...))
	}
}

// Public protects nothing: it returns handler. It is for [Mount] of routes
// that anyone may call, or that do their own authentication.
func Public(handler http.Handler) http.Handler { return handler }

// MethodNotAllowed returns a handler that answers 405 method_not_allowed with
// the given methods in the header Allow, sorted, and HEAD if GET is one of
// them (RFC 9110 §15.5.6).
func MethodNotAllowed(methods ...string) http.Handler {
	methods = slices.Clone(methods)
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead)
	}
	slices.Sort(methods)
	allow := strings.Join(slices.Compact(methods), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Allow", allow)
		WriteError(w, &Error{http.StatusMethodNotAllowed, "method_not_allowed", "this path has other methods, see Allow"})
	})
}

// NotFound returns a handler that answers every request with 404 not_found,
// byte for byte what [WriteError] makes of [keys.ErrNotFound].
func NotFound() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { WriteError(w, keys.ErrNotFound) })
}
