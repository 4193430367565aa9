// Nginx answers the auth_request of an nginx in front of services that know nothing
// of credentials. The configuration of nginx is in nginx.conf. The program believes
// whoever connects to its socket about the addresses of clients. So the socket is in a
// folder that only this program and nginx, here of the group www-data, may enter:
//
//	install -d -m 2750 -g www-data /run/guard
//	cp examples/nginx/nginx.conf /etc/nginx/conf.d/guard.conf && nginx -s reload
//	go run ./examples/nginx -socket /run/guard/auth.sock
//
// auth_request knows three answers: 2xx, 401 and 403. It turns all others into a 500.
// So this program answers 403 in place of them, and has the real status in the field
// X-Guard-Status, with which nginx then answers.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

func main() {
	socket := flag.String("socket", "auth.sock", "`path` of the Unix socket to listen on")
	flag.Parse()
	db := new(store.Memory)
	opts := &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "orders:read"})}
	manager := must(keys.NewManager(db, opts))
	limiter := must(ratelimit.NewLimiter(db, nil))
	handler := must(newHandler(manager.Verifier(), limiter))
	key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"orders:read"}}))
	_ = os.Remove(*socket) // of an earlier run
	listener := must(net.Listen("unix", *socket))
	if err := os.Chmod(*socket, 0o666); err != nil { // the folder decides who may connect
		log.Fatal(err)
	}

	fmt.Printf("curl -i http://localhost:8000/orders/ -H 'Authorization: Bearer %s'\n", key.Text.Reveal())
	log.Fatal(http.Serve(listener, handler))
}

// newHandler returns the handler that nginx asks. It has a route for each scope
// that nginx.conf needs.
func newHandler(v middleware.Verifier, l *ratelimit.Limiter) (http.Handler, error) {
	proxies, err := middleware.NewProxies(nil, true)
	if err != nil {
		return nil, err
	}
	guard, err := middleware.NewGuard(v, l, &middleware.Options{Proxies: proxies, WriteError: refuse})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/orders:read", guard.Require("orders:read")(http.HandlerFunc(allow)))
	return mux, nil
}

// allow tells nginx who the caller is. The name of an organization may have
// characters that no field can have, so it is escaped.
func allow(w http.ResponseWriter, r *http.Request) {
	caller, _ := keys.FromContext(r.Context())
	w.Header().Set("X-Guard-Organization", url.PathEscape(caller.Org))
	w.Header().Set("X-Guard-Credential", caller.ID)
	w.WriteHeader(http.StatusNoContent)
}

// refuse is an [httpjson.ErrorWriter]. Nginx ignores the body of the answer, so
// everything is in fields.
func refuse(w http.ResponseWriter, _ *http.Request, refusal httpjson.Refusal) {
	w.Header().Set("X-Guard-Status", strconv.Itoa(refusal.Status))
	w.Header().Set("X-Guard-Error", refusal.Code)
	w.Header().Set("X-Guard-Description", refusal.Description)
	if refusal.Status != http.StatusUnauthorized {
		refusal.Status = http.StatusForbidden
	}
	w.WriteHeader(refusal.Status)
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
