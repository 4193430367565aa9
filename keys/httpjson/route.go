package httpjson

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/claviger-auth/claviger/keys"
)

// A Route is a handler and the pattern of the requests that it answers.
type Route struct {
	Pattern string // a method and a path, as in the patterns of [http.ServeMux]: "GET /v1/keys/{id}"
	Handler http.Handler
}

// Register registers routes with mux, which is a [http.ServeMux] or takes the same
// patterns. On each path, a method without a route is answered 405 method_not_allowed,
// with the methods of the path in the field Allow (RFC 9110 §15.5.6). So register all
// routes of a path in one call. A nil write is [WriteJSON]. Register panics if a
// pattern has no method, or as mux.Handle does.
func Register(mux interface {
	Handle(pattern string, handler http.Handler)
}, write ErrorWriter, routes ...Route,
) {
	methods := make(map[string][]string)
	for _, route := range routes {
		method, path, ok := strings.Cut(route.Pattern, " ")
		if !ok {
			panic("httpjson: a route without a method")
		}
		mux.Handle(route.Pattern, route.Handler)
		methods[path] = append(methods[path], method)
	}
	for _, path := range slices.Sorted(maps.Keys(methods)) {
		mux.Handle(path, methodNotAllowed(write, methods[path]))
	}
}

func methodNotAllowed(write ErrorWriter, methods []string) http.Handler {
	if slices.Contains(methods, http.MethodGet) {
		methods = append(methods, http.MethodHead) // the pattern GET matches HEAD too
	}
	slices.Sort(methods)
	allow := strings.Join(slices.Compact(methods), ", ")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", allow)
		Refuse(w, r, write, Refusal{
			Status: http.StatusMethodNotAllowed, Code: "method_not_allowed",
			Description: "this path has other methods, see Allow",
		})
	})
}

// NotFound returns a handler that answers every request with 404 not_found, with the
// same bytes as for a credential that does not exist. A nil write is [WriteJSON].
func NotFound(write ErrorWriter) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		Refuse(w, r, write, RefusalOf(keys.ErrNotFound))
	})
}
