// Connect is a service of connect whose procedures need a key. Connect's handlers are
// handlers of net/http, so a guard can stand in front of them. But clients of connect
// take a plain 429 for "unavailable", and try again at once. So the guard has an
// Options.WriteError that writes refusals as errors of the client's protocol. A stream
// ends with its credential.
package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"strings"
	"time"

	"connectrpc.com/connect"
	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const (
	list  = "/shop.v1.Orders/List"
	watch = "/shop.v1.Orders/Watch"
)

// reading is what both procedures need.
var reading = middleware.Need{All: []string{"orders:read"}}

var catalog = scopes.MustCatalog(scopes.Scope{Name: "orders:read"})

var rpc = connect.NewErrorWriter()

// writeError is the middleware.Options.WriteError of guards in front of connect. Other
// clients get JSON.
func writeError(w http.ResponseWriter, r *http.Request, refusal httpjson.Refusal) {
	if !rpc.IsSupported(r) {
		httpjson.WriteJSON(w, r, refusal)
		return
	}
	_ = rpc.Write(w, r, errorOf(refusal)) // fails if the client has gone
}

// errorOf returns a refusal as an error of connect.
func errorOf(refusal httpjson.Refusal) *connect.Error {
	err := connect.NewError(codeOf(refusal.Status), errors.New(refusal.Description))
	details := []proto.Message{&errdetails.ErrorInfo{Reason: strings.ToUpper(refusal.Code), Domain: "claviger"}}
	if wait := time.Duration(refusal.RetryAfter) * time.Second; wait > 0 {
		details = append(details, &errdetails.RetryInfo{RetryDelay: durationpb.New(wait)})
	}
	for _, d := range details {
		if detail, failed := connect.NewErrorDetail(d); failed == nil {
			err.AddDetail(detail)
		}
	}
	return err
}

// codeOf returns the code for a status of HTTP.
func codeOf(status int) connect.Code {
	switch status {
	case http.StatusBadRequest, http.StatusUnauthorized:
		return connect.CodeUnauthenticated
	case http.StatusForbidden:
		return connect.CodePermissionDenied
	case http.StatusTooManyRequests:
		return connect.CodeResourceExhausted
	case httpjson.StatusClientGone:
		return connect.CodeCanceled
	}
	return connect.CodeUnavailable
}

// service returns the service behind a guard.
func service(guard *middleware.Guard) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(list, guard.Need(reading)(connect.NewUnaryHandler(list, orders)))
	mux.Handle(watch, guard.Need(reading)(connect.NewServerStreamHandler(watch, stream(guard, news))))
	return mux
}

// news are what the stream sends.
var news = make(chan string)

// stream returns a handler that passes on what happens, and ends with its credential: it
// is checked again before each message, which costs nothing of the quota.
func stream(guard *middleware.Guard, news <-chan string) func(context.Context, *connect.Request[wrapperspb.StringValue], *connect.ServerStream[wrapperspb.StringValue]) error {
	return func(ctx context.Context, req *connect.Request[wrapperspb.StringValue], s *connect.ServerStream[wrapperspb.StringValue]) error {
		credential, err := middleware.Bearer(req.Header()["Authorization"])
		if err != nil {
			return err // not behind the guard
		}
		for {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case text := <-news:
				if access, err := guard.CheckText(ctx, credential, keys.AddressFromContext(ctx), reading); err != nil {
					return errorOf(guard.Refusal(access, err))
				}
				if err := s.Send(wrapperspb.String(text)); err != nil {
					return err
				}
			}
		}
	}
}

func orders(ctx context.Context, _ *connect.Request[wrapperspb.StringValue]) (*connect.Response[wrapperspb.StringValue], error) {
	caller, _ := keys.FromContext(ctx)
	return connect.NewResponse(wrapperspb.String("orders of " + caller.Org)), nil
}

func main() {
	db := new(store.Memory)
	manager := must(keys.NewManager(db, &keys.Options{Catalog: catalog}))
	guard := must(middleware.NewGuard(manager.Verifier(), must(ratelimit.NewLimiter(db, nil)), &middleware.Options{WriteError: writeError}))
	key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"orders:read"}}))
	fmt.Printf("curl -i http://localhost:8080%s -H 'Content-Type: application/json' -d '\"\"' -H 'Authorization: Bearer %s'\n", list, key.Text.Reveal())
	go func() {
		for now := range time.Tick(time.Second) {
			news <- "it is " + now.Format(time.TimeOnly)
		}
	}()
	log.Fatal(http.ListenAndServe("localhost:8080", service(guard)))
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
