package keys

import (
	"context"
	"log/slog"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

// A Principal is who a request comes from: the result of a successful check,
// the same for API keys and for access tokens. Hosts with sessions of their
// own make principals too, and hand them on with [NewContext].
type Principal struct {
	Org         string     // the organization that owns the credential
	ID          string     // the credential's public ID
	Kind        Kind       // of the credential; empty for a host's own session
	Client      string     // the ID of a token's client; else empty
	Environment string     // "live" or "test", if the format has environments
	Scopes      scopes.Set // what the credential permits at this moment
	RateLimit   int        // requests per minute
	ExpiresAt   time.Time  // zero if never
}

// LogValue returns the organization, the ID and the client. A Principal holds
// no secret; this keeps log lines short.
func (p Principal) LogValue() slog.Value {
	attrs := []slog.Attr{slog.String("org", p.Org), slog.String("id", p.ID)}
	if p.Client != "" {
		attrs = append(attrs, slog.String("client", p.Client))
	}
	return slog.GroupValue(attrs...)
}

// A Context is a context that carries a principal. Code that makes one object
// for each request can embed it there and spare the allocation of
// [NewContext]; others use that function.
type Context struct {
	context.Context
	Principal Principal
}

type contextKey struct{}

// Value returns the principal to [FromContext], and else asks the embedded
// context.
func (c *Context) Value(key any) any {
	if key == (contextKey{}) {
		return &c.Principal
	}
	return c.Context.Value(key)
}

// NewContext returns a context that carries p.
func NewContext(ctx context.Context, p Principal) context.Context {
	return &Context{Context: ctx, Principal: p}
}

// FromContext returns the principal that ctx carries, and whether there is
// one.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(contextKey{}).(*Principal)
	if !ok {
		return Principal{}, false
	}
	return *p, true
}
