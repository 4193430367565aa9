package keyshttp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// Options are the settings of a [Handler].
type Options struct {
	// MaxBody is how long a request's body may be, in bytes. If zero,
	// DefaultMaxBody. It must not be negative.
	MaxBody int64

	// Logger is told, at level Error, of the errors behind answers of 503,
	// which say nothing about them to the caller. If nil, they are dropped.
	Logger *slog.Logger
}

// A Handler manages the API keys of the organization of a request's
// principal, which it takes from the request's context ([keys.FromContext]).
// It is safe for concurrent use.
//
// A request whose context has no principal, or one without an organization,
// came along a way that was not protected: it is answered 401. Whether the
// principal may manage keys is not checked here. What it may hand on is:
//
//   - scopes that it holds itself, besides those that the catalog always
//     grants; an empty set, as a host's own session may have, hands on none;
//   - rate limits up to its own; a principal whose RateLimit is 0 can
//     hand on none, and so make no key.
//
// Keys of other organizations, unknown keys, credentials that are not API keys
// and text that is no ID at all are answered by the same bytes, 404.
type Handler struct {
	manager *keys.Manager
	maxBody int64
	logger  *slog.Logger
}

// NewHandler returns a Handler over a Manager. A nil opts is the zero Options. The
// error says what is missing or wrong.
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
	h := &Handler{manager: m, maxBody: opts.MaxBody, logger: opts.Logger}
	if h.logger == nil {
		h.logger = slog.New(slog.DiscardHandler)
	}
	return h, nil
}

// Routes returns the routes of h under path, such as "/v1/keys", for [Mount]:
//
//	POST   /v1/keys              Create
//	GET    /v1/keys              List
//	GET    /v1/keys/{id}         Get
//	PATCH  /v1/keys/{id}         Change
//	DELETE /v1/keys/{id}         Revoke
//	POST   /v1/keys/{id}/rotate  Rotate
//
// It panics if path does not begin with a slash, or ends in one.
func (h *Handler) Routes(path string) []Route {
	if !strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
		panic("keyshttp: the path of routes begins with a slash and does not end in one")
	}
	return []Route{
		{http.MethodPost, path, http.HandlerFunc(h.Create)},
		{http.MethodGet, path, http.HandlerFunc(h.List)},
		{http.MethodGet, path + "/{id}", http.HandlerFunc(h.Get)},
		{http.MethodPatch, path + "/{id}", http.HandlerFunc(h.Change)},
		{http.MethodDelete, path + "/{id}", http.HandlerFunc(h.Revoke)},
		{http.MethodPost, path + "/{id}/rotate", http.HandlerFunc(h.Rotate)},
	}
}

// caller returns the principal of a request. Without one that has an
// organization it answers the request and returns false.
func caller(w http.ResponseWriter, r *http.Request) (keys.Principal, bool) {
	p, ok := keys.FromContext(r.Context())
	if !ok || p.Org == "" {
		// RFC 9110 §15.5.2 wants a challenge with every 401.
		WriteError(w, &Error{http.StatusUnauthorized, "unauthorized", "credentials are required"})
		return p, false
	}
	return p, true
}

// key returns the API key of p's organization that the request's path names.
// All that is no such key is keys.ErrNotFound.
func (h *Handler) key(r *http.Request, p keys.Principal) (keys.Record, error) {
	id := r.PathValue("id")
	if !possibleID(id) {
		return keys.Record{}, keys.ErrNotFound
	}
	rec, err := h.manager.Get(r.Context(), p.Org, id)
	if err == nil && rec.Kind != keys.KindKey {
		return keys.Record{}, keys.ErrNotFound
	}
	return rec, err
}

// possibleID reports whether a credential can have the public ID id: no
// format makes or accepts other characters, so junk costs no store read.
func possibleID(id string) bool {
	for i := range len(id) {
		c := id[i]
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return id != "" && len(id) <= 255
}

// holds reports whether p holds all scopes of a set, not counting those that
// everybody holds.
func (h *Handler) holds(p keys.Principal, set scopes.Set) bool {
	return p.Scopes.Union(h.manager.Catalog().Always()).ContainsAll(set)
}

// granted returns the set for the names in a request of p, or an error.
func (h *Handler) granted(p keys.Principal, names []string) (scopes.Set, error) {
	set, err := h.manager.Catalog().Grant(names...)
	if err == nil && !h.holds(p, set) {
		return scopes.Set{}, insufficientScope("the caller does not hold all of the scopes")
	}
	return set, err
}

// errGone answers callers whose credential ended while the request was read.
var errGone = &Error{http.StatusUnauthorized, "invalid_token", "the credential has ended"}

// Recheck returns nil if the credential of p is still good, and else an error
// for [WriteError]. Handlers call it once the body is read: a caller could
// hold the body back until its credential is revoked.
func Recheck(ctx context.Context, m *keys.Manager, p keys.Principal) error {
	err := m.Recheck(ctx, p)
	if err == keys.ErrRevoked || err == keys.ErrExpired {
		return errGone
	}
	return err
}

// fail answers a request with an error, and logs it if it is the service's.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) {
	if WriteError(w, err) == http.StatusServiceUnavailable {
		p, _ := keys.FromContext(r.Context())
		h.logger.LogAttrs(r.Context(), slog.LevelError, "managing keys failed",
			slog.String("method", r.Method), slog.Any("principal", p), slog.Any("error", err))
	}
}
