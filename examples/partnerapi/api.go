package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/middleware"
	"github.com/claviger-auth/claviger/oauth"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
)

// The scopes that routes of this API need.
const (
	identityRead   = "identity:read"
	webhooksManage = "webhooks:manage"
	keysManage     = "keys:manage"
)

// catalog is every scope that this API knows.
var catalog = scopes.MustCatalog(
	scopes.Scope{Name: identityRead, Description: "Read the identity of the credential", Status: scopes.Always},
	scopes.Scope{Name: webhooksManage, Description: "Manage webhook subscriptions"},
	scopes.Scope{Name: keysManage, Description: "Create, change and revoke API keys"},
	scopes.Scope{Name: "leads:read", Status: scopes.Reserved},
	scopes.Scope{Name: "leads:write", Status: scopes.Reserved},
	scopes.Scope{Name: "intakes:read", Status: scopes.Reserved},
	scopes.Scope{Name: "intakes:write", Status: scopes.Reserved},
	scopes.Scope{Name: "records:read", Status: scopes.Reserved},
	scopes.Scope{Name: "records:write", Status: scopes.Reserved},
	scopes.Scope{Name: "skills:read", Status: scopes.Reserved},
	scopes.Scope{Name: "skills:author", Status: scopes.Reserved},
	scopes.Scope{Name: "skills:execute", Status: scopes.Reserved},
	scopes.Scope{Name: "agents:invoke", Status: scopes.Reserved},
	scopes.Scope{Name: "tenants:provision", Status: scopes.Reserved},
)

// keyFormat writes keys as vck_live_… and vck_test_….
var keyFormat = keys.MustFormat("vck_", keys.Dotted, &keys.FormatOptions{Environments: []string{"live", "test"}})

// An api is the whole host but for its listener.
type api struct {
	issuer   string
	log      *slog.Logger
	manager  *keys.Manager
	guard    *middleware.Guard
	keys     *keyshttp.Handler
	oauth    *oauth.Handler
	webhooks webhooks
	uses     *keys.Uses // nil if the store does not keep last uses
}

func newAPI(s *stores, issuer string, log *slog.Logger) (*api, error) {
	hook := logHook(log)
	keyHook := hook
	var uses *keys.Uses
	if s.uses != nil {
		var err error
		uses, err = keys.NewUses(s.uses, &keys.UsesOptions{
			OnError: func(err error) { log.Error("last uses", "error", err) },
		})
		if err != nil {
			return nil, err
		}
		keyHook = uses.Hook(hook)
	}
	manager, err1 := keys.NewManager(s.records, &keys.Options{Format: keyFormat, Catalog: catalog, Hook: keyHook})
	limiter, err2 := ratelimit.NewLimiter(s.limits, &ratelimit.Options{
		Hook: func(ctx context.Context, b ratelimit.Bucket, err error) {
			log.ErrorContext(ctx, "limits are local", "org", b.Name, "error", err)
		},
	})
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	server, err := oauth.NewServer(manager, nil)
	if err != nil {
		return nil, err
	}
	tokens, err := oauth.NewHandler(server, issuer, &oauth.HandlerOptions{Path: "/v1/oauth", Realm: "partner", Logger: log})
	if err != nil {
		return nil, err
	}
	guard, err1 := middleware.NewGuard(manager.Verifier(), limiter, &middleware.Options{
		Realm: "partner", ResourceMetadata: tokens.ResourceMetadataURL(), Hook: hook,
	})
	handler, err2 := keyshttp.NewHandler(manager, &keyshttp.Options{Logger: log})
	return &api{issuer: issuer, log: log, manager: manager, guard: guard, keys: handler, oauth: tokens, uses: uses}, errors.Join(err1, err2)
}

// A route is one line of the table of routes: what it answers, and which scope
// that needs. Routes with the scope public need no credential.
type route struct {
	keyshttp.Route
	scope string
}

const public = "public"

// routes is everything that this API serves.
func (a *api) routes() []route {
	routes := []route{
		{keyshttp.Route{Method: "GET", Path: "/healthz", Handler: http.HandlerFunc(healthz)}, public},
		{keyshttp.Route{Method: "GET", Path: "/api/v1/partner/me", Handler: a.guard.RequireFunc(identityRead, me)}, identityRead},
		{keyshttp.Route{Method: "GET", Path: "/v1/chain", Handler: a.guard.RequireFunc(middleware.NoScope, chain)}, middleware.NoScope},
	}
	manageKeys, manageWebhooks := a.guard.Require(keysManage), a.guard.Require(webhooksManage)
	anybody := a.guard.Require(middleware.NoScope)
	for _, r := range a.oauth.ClientRoutes() {
		r.Handler = anybody(r.Handler)
		routes = append(routes, route{r, middleware.NoScope})
	}
	for _, r := range a.oauth.Routes() {
		routes = append(routes, route{r, public})
	}
	for _, r := range a.keys.Routes("/v1/keys") {
		r.Handler = manageKeys(r.Handler)
		routes = append(routes, route{r, keysManage})
	}
	for _, r := range a.webhooks.routes("/api/v1/partner/webhooks") {
		r.Handler = manageWebhooks(r.Handler)
		routes = append(routes, route{r, webhooksManage})
	}
	return routes
}

// handler returns the API: every route, JSON for unknown paths and methods, and
// a line in the log for each request.
func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	var all []keyshttp.Route
	for _, r := range a.routes() {
		if r.scope == "" {
			panic("no decision on the scope of " + r.Method + " " + r.Path)
		}
		all = append(all, r.Route)
	}
	keyshttp.Mount(mux, keyshttp.Public, all...) // each has its own protection
	mux.Handle("/", keyshttp.NotFound())
	return logRequests(a.log, mux)
}

func healthz(w http.ResponseWriter, _ *http.Request) {
	keyshttp.WriteJSON(w, http.StatusOK, map[string]string{"status": "ok"})
}

// me tells callers who they are.
func me(w http.ResponseWriter, _ *http.Request, a middleware.Access) {
	keyshttp.WriteJSON(w, http.StatusOK, struct {
		Org       string     `json:"partner_org"`
		KeyID     string     `json:"key_id"`
		Scopes    scopes.Set `json:"scopes"`
		RateLimit int        `json:"rate_limit_per_minute"`
		Remaining int        `json:"rate_limit_remaining"`
	}{a.Principal.Org, a.Principal.ID, a.Principal.Scopes, a.Principal.RateLimit, a.Quota.Remaining})
}

// chain answers any credential with its organization.
func chain(w http.ResponseWriter, _ *http.Request, a middleware.Access) {
	keyshttp.WriteJSON(w, http.StatusOK, map[string]string{"companyId": a.Principal.Org})
}

// start runs what runs beside the requests, until stop is called: after the last
// request, since stop has the last uses written once more.
func (a *api) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var jobs sync.WaitGroup
	jobs.Go(func() { a.sweep(ctx, time.Minute) })
	if a.uses != nil {
		jobs.Go(func() {
			if err := a.uses.Run(ctx); err != nil {
				a.log.Error("last uses", "error", err)
			}
		})
	}
	return func() {
		cancel()
		jobs.Wait()
	}
}

// sweep removes tokens that have been over for an hour, at every tick.
func (a *api) sweep(ctx context.Context, every time.Duration) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if _, err := a.manager.Sweep(ctx, now.Add(-time.Hour)); err != nil {
				a.log.ErrorContext(ctx, "sweep", "error", err)
			}
		}
	}
}
