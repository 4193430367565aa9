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
//
// The lasting credential of a principal is the one that outlives requests: the
// key, or for a token its client.
type Principal struct {
	Org    string // the organization that owns the credential
	ID     string // the credential's public ID
	Kind   Kind   // of the credential; empty for a host's own session
	Client string // the ID of a token's client; else empty

	Scopes    scopes.Set // what the credential permits at this moment
	RateLimit int        // requests per minute, the plan taken into account
	ExpiresAt time.Time  // when the credential itself expires; zero if never

	// The rest is what the record of the lasting credential says.

	Label       string   // text for people
	Environment string   // "live" or "test", if the host has environments
	Networks    Networks // from which it may be used; the empty set allows all
	Metadata    string   // the host's own text
	CreatedBy   string   // who made it; see [Record.CreatedBy]
	Replaces    string   // the ID of the key that it is the successor of
	ReplacedBy  string   // the ID of its successor, if it was rotated
}

// LastingID returns the ID of the lasting credential: of the client for a token,
// and else ID.
func (p *Principal) LastingID() string {
	if p.Client != "" {
		return p.Client
	}
	return p.ID
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

// PrincipalKey is the key of the principal, a *Principal, among the values of a
// context. Middleware with a context type of its own can answer it in its method
// Value, which spares an allocation. Others use [NewContext] and [FromContext].
var PrincipalKey = &contextKey{"principal"}

type contextKey struct{ name string }

func (k *contextKey) String() string { return "keys: " + k.name }

// NewContext returns a context that carries p.
func NewContext(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, PrincipalKey, &p)
}

// FromContext returns the principal that ctx carries, and whether there is
// one.
func FromContext(ctx context.Context) (Principal, bool) {
	p, ok := ctx.Value(PrincipalKey).(*Principal)
	if !ok {
		return Principal{}, false
	}
	return *p, true
}
