package guardtest

import (
	"context"
	"net/http"
	"testing"

	"github.com/claviger-auth/claviger/middleware"
)

// A Route is what a server under test serves: a handler behind a guard.
type Route struct {
	Name   string // lower-case letters; over HTTP the route is "GET /" + Name
	Guard  *middleware.Guard
	Needs  []middleware.Need // one for each guard around the handler, the outermost first
	Stream bool              // the handler sends several texts, one after the other

	// Handle is the handler. The test of an adapter calls it with the context in
	// which handlers of the framework find the principal, and with a function
	// that sends text to the client, at once if Stream is set. Handle may panic,
	// and the server must then go on.
	Handle func(ctx context.Context, send func(text string) error) error
}

// Middleware returns the guards of the route for net/http, the outermost first.
func (r *Route) Middleware() []func(http.Handler) http.Handler {
	all := make([]func(http.Handler) http.Handler, len(r.Needs))
	for i, n := range r.Needs {
		if len(n.All)+len(n.Any) == 0 && n.Cost == 0 && !n.Manage {
			all[i] = r.Guard.Authenticated()
		} else {
			all[i] = r.Guard.Need(n)
		}
	}
	return all
}

// Handler returns the handler of the route for net/http, without a guard. The test of
// a framework with another type of handlers has to write one that calls Handle.
func (r *Route) Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		flush := http.NewResponseController(w)
		err := r.Handle(req.Context(), func(text string) error {
			if _, err := w.Write([]byte(text)); err != nil || !r.Stream {
				return err
			}
			return flush.Flush()
		})
		if err != nil {
			panic(http.ErrAbortHandler) // the answer has begun
		}
	})
}

// Start starts a server with routes, and returns a client of it. The server ends with
// the test, by t.Cleanup.
type Start func(t testing.TB, routes []Route) Client

// A Client makes one request and returns its answer. It is called from several
// goroutines. If there is an error, the answer is not complete.
type Client func(ctx context.Context, r Request) (Answer, error)

// A Request is one call of a route.
type Request struct {
	Route         string
	Authorization []string // the lines of the field

	// Received, if not nil, is called with each piece of the body when it has
	// arrived. Over gRPC, that is a message.
	Received func(text string)
}

// An Answer is what a client sees.
type Answer struct {
	Status    int         // of HTTP; for gRPC the one that the code stands for
	Code      string      // "error" in a refusal, else ""
	Challenge []string    // the lines of WWW-Authenticate
	Header    http.Header // all fields; for gRPC metadata, trailers too
	Body      string      // of an answer that is no refusal: all texts of the handler
}
