// Reverseproxy puts a guard in front of a service that knows nothing of
// credentials. The service reads from two fields who calls it, so clients must not be
// able to reach it in another way.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"github.com/claviger-auth/claviger/store"
)

// The fields from which the service learns who calls it.
const (
	// orgField has the organization with percent escapes, since its name may have
	// characters that no field can have.
	orgField = "X-Organization"
	// credentialField has the public ID of the credential.
	credentialField = "X-Credential-Id"
)

func main() {
	service := flag.String("service", "http://127.0.0.1:9000", "`URL` of the service")
	flag.Parse()
	db := new(store.Memory)
	opts := &keys.Options{Catalog: scopes.MustCatalog(scopes.Scope{Name: "orders:read"})}
	manager := must(keys.NewManager(db, opts))
	limiter := must(ratelimit.NewLimiter(db, nil))
	handler := must(newHandler(manager.Verifier(), limiter, must(url.Parse(*service))))
	key := must(manager.Create(context.Background(), "acme", keys.Spec{Scopes: []string{"orders:read"}}))

	fmt.Printf("curl -i http://localhost:8080/ -H 'Authorization: Bearer %s'\n", key.Text.Reveal())
	log.Fatal(http.ListenAndServe("localhost:8080", handler))
}

// newHandler returns a guard with the service behind it.
func newHandler(v middleware.Verifier, l *ratelimit.Limiter, service *url.URL) (http.Handler, error) {
	guard, err := middleware.NewGuard(v, l, &middleware.Options{RemoveCredential: true})
	if err != nil {
		return nil, err
	}
	return guard.Require("orders:read")(&httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { rewrite(r, service) },
		ModifyResponse: removeQuota,
	}), nil
}

// rewrite makes the request that the service gets.
func rewrite(r *httputil.ProxyRequest, service *url.URL) {
	r.SetURL(service)
	r.SetXForwarded() // in place of what the client sent in X-Forwarded-For
	for name := range r.Out.Header {
		if strings.Contains(name, "_") { // X_Organization is X-Organization to some servers
			delete(r.Out.Header, name)
		}
	}
	caller, _ := keys.FromContext(r.In.Context())
	r.Out.Header.Set(orgField, url.PathEscape(caller.Org))
	r.Out.Header.Set(credentialField, caller.ID)
}

// removeQuota removes what the service says about limits of its own, which would
// stand beside the fields of the guard.
func removeQuota(resp *http.Response) error {
	resp.Header.Del("RateLimit")
	resp.Header.Del("RateLimit-Policy")
	return nil
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}
