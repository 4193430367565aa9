package main

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/keys/httpjson"
	"github.com/claviger-auth/claviger/keys/keyshttp"
	"github.com/claviger-auth/claviger/keys/leaks"
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

// An api is the host without its listener.
type api struct {
	issuer   string
	base     string // the issuer without its path
	document []byte // of all routes: OpenAPI
	stores   *stores
	log      *slog.Logger
	manager  *keys.Manager
	guard    *middleware.Guard
	keys     *keyshttp.Handler
	oauth    *oauth.Handler
	webhooks webhooks
	pages    *pages
	uses     *keys.Uses     // nil if the store does not keep last uses
	refusals *keys.Refusals // nil without a trail
	leaks    *leaks.Handler // nil if GitHub's reports are not accepted
}

func newAPI(s *stores, issuer string, proxies *middleware.Proxies, log *slog.Logger) (a *api, err error) {
	a = &api{issuer: issuer, stores: s, log: log}
	hook := logHook(log)
	if s.uses != nil {
		a.uses, err = keys.NewUses(s.uses, &keys.UsesOptions{
			OnError: func(err error) { log.Error("last uses", "error", err) },
		})
		if err != nil {
			return nil, err
		}
	}
	if s.trail {
		a.refusals, err = keys.NewRefusals(s.records, &keys.RefusalsOptions{
			OnError: func(err error) { log.Error("refusals", "error", err) },
		})
		if err != nil {
			return nil, err
		}
		hook = a.refusals.Hook(hook)
	}
	a.manager, err = keys.NewManager(s.records, &keys.Options{
		Format: keyFormat, Catalog: catalog, Uses: a.uses, Trail: s.trail, Refusals: a.refusals, Hook: hook,
	})
	if err != nil {
		return nil, err
	}
	local := keys.LogErrors(log, "limits are local")
	limiter, err := ratelimit.NewLimiter(s.limits, &ratelimit.Options{
		Hook: func(_ context.Context, _ ratelimit.Bucket, err error) { local(err) },
	})
	if err != nil {
		return nil, err
	}
	if err := a.addOAuth(limiter, proxies, hook); err != nil {
		return nil, err
	}
	a.guard, err = middleware.NewGuard(a.manager.Verifier(), limiter, &middleware.Options{
		Realm: "partner", ResourceMetadata: a.oauth.ResourceMetadataURL(), Proxies: proxies, Hook: hook,
	})
	if err != nil {
		return nil, err
	}
	if a.pages, err = newPages(a.manager, limiter, proxies, issuer, hook, log); err != nil {
		return nil, err
	}
	if a.keys, err = keyshttp.NewHandler(a.manager, &keyshttp.Options{Logger: log}); err != nil {
		return nil, err
	}
	a.webhooks.manager = a.manager
	a.document, err = a.describe()
	return a, err
}

// addOAuth makes the handlers of the protocol.
func (a *api) addOAuth(limiter *ratelimit.Limiter, proxies *middleware.Proxies, hook keys.Hook) error {
	server, err := oauth.NewServer(a.manager, &oauth.Options{Limiter: limiter})
	if err != nil {
		return err
	}
	base, err := url.Parse(a.issuer)
	if err != nil {
		return err
	}
	a.base = base.Scheme + "://" + base.Host
	a.oauth, err = oauth.NewHandler(server, a.issuer, &oauth.HandlerOptions{
		Path: "/v1/oauth", Realm: "partner", Address: proxies.Addr, Hook: hook, Logger: a.log,
		// The routes of this API are not below the path of the issuer.
		Resource: a.base,
		// The MCP SDKs refuse metadata without this member. There is no such endpoint,
		// and clients do not call it, since there are no response types.
		Metadata: map[string]any{"authorization_endpoint": a.issuer + "/v1/oauth/authorize"},
	})
	return err
}

// register registers everything that this API serves, each route behind what it
// needs.
func (a *api) register(mux interface {
	Handle(pattern string, handler http.Handler)
},
) {
	httpjson.Register(mux, nil,
		httpjson.Route{Pattern: "GET /healthz", Handler: http.HandlerFunc(healthz)},
		httpjson.Route{Pattern: "GET /openapi.json", Handler: http.HandlerFunc(a.openAPI)},
		httpjson.Route{Pattern: "GET /api/v1/partner/me", Handler: a.guard.Require(identityRead)(http.HandlerFunc(a.me))},
		httpjson.Route{Pattern: "GET /v1/chain", Handler: a.guard.Authenticated()(http.HandlerFunc(chain))},
	)
	a.webhooks.register(mux, "/api/v1/partner/webhooks", a.guard.Require(webhooksManage))
	a.keys.Register(mux, "/v1/keys", a.guard.Manage(keysManage))
	a.oauth.RegisterClients(mux, a.guard.Manage()) // as the documentation has it: for any caller
	a.oauth.Register(mux)
	a.pages.register(mux)
	if a.leaks != nil {
		httpjson.Register(mux, nil, httpjson.Route{Pattern: "POST /leaks", Handler: a.leaks})
	}
	mux.Handle("/", httpjson.NotFound(nil))
}

// handler returns the API, with a line in the log for each request.
func (a *api) handler() http.Handler {
	mux := http.NewServeMux()
	a.register(mux)
	return logRequests(a.log, mux)
}

func healthz(w http.ResponseWriter, _ *http.Request) {
	httpjson.Write(w, http.StatusOK, map[string]string{"status": "ok"})
}

// me tells callers who they are. For a key that has a successor or a predecessor, it
// also tells when that was last used, so that the owner sees whether all callers have
// changed over.
func (a *api) me(w http.ResponseWriter, r *http.Request) {
	access, _ := middleware.FromContext(r.Context())
	p := access.Principal
	answer := struct {
		Org        string     `json:"partner_org"`
		KeyID      string     `json:"key_id"`
		Scopes     scopes.Set `json:"scopes"`
		RateLimit  int        `json:"rate_limit_per_minute"`
		Remaining  int        `json:"rate_limit_remaining"`
		ExpiresAt  string     `json:"expires_at,omitempty"`
		Replaces   string     `json:"replaces,omitempty"`
		ReplacedBy string     `json:"replaced_by,omitempty"` // the key to use from now on

		ReplacesLastUsed   string `json:"replaces_last_used_at,omitempty"`
		ReplacedByLastUsed string `json:"replaced_by_last_used_at,omitempty"`
	}{
		Org: p.Org, KeyID: p.ID, Scopes: p.Scopes, RateLimit: p.RateLimit, Remaining: access.Quota.Remaining,
		ExpiresAt: httpjson.Timestamp(p.ExpiresAt), Replaces: p.Replaces, ReplacedBy: p.ReplacedBy,
	}
	if p.Replaces != "" || p.ReplacedBy != "" {
		uses, err := a.manager.LastUses(r.Context(), p.Replaces, p.ReplacedBy)
		if err != nil {
			httpjson.Refuse(w, r, nil, httpjson.RefusalOf(err))
			return
		}
		answer.ReplacesLastUsed, answer.ReplacedByLastUsed = httpjson.Timestamp(uses[p.Replaces]), httpjson.Timestamp(uses[p.ReplacedBy])
	}
	httpjson.Write(w, http.StatusOK, answer)
}

// chain answers any credential with its organization.
func chain(w http.ResponseWriter, r *http.Request) {
	caller, _ := keys.FromContext(r.Context())
	httpjson.Write(w, http.StatusOK, map[string]string{"companyId": caller.Org})
}

// start starts the jobs that run beside the requests. Stop ends them, and writes the
// last uses once more, so call it after the last request.
func (a *api) start(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var jobs sync.WaitGroup
	jobs.Go(func() { a.sweep(ctx, time.Minute) })
	if a.stores.cache != nil {
		jobs.Go(func() {
			if err := a.stores.cache.Run(ctx); err != nil {
				a.log.Error("cache", "error", err)
			}
		})
	}
	if a.uses != nil {
		jobs.Go(func() {
			if err := a.uses.Run(ctx); err != nil {
				a.log.Error("last uses", "error", err)
			}
		})
	}
	if a.refusals != nil {
		jobs.Go(func() {
			if err := a.refusals.Run(ctx); err != nil {
				a.log.Error("refusals", "error", err)
			}
		})
	}
	return func() {
		cancel()
		jobs.Wait()
	}
}

// sweep removes tokens that have been over for an hour, and full buckets, at
// every tick.
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
			if a.stores.sweepBuckets == nil {
				continue
			}
			if _, err := a.stores.sweepBuckets(ctx, 10_000); err != nil {
				a.log.ErrorContext(ctx, "sweep of limits", "error", err)
			}
		}
	}
}
