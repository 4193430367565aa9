package keys

import (
	"context"
	"log/slog"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

// A Principal is who a request comes from: the result of a successful check, the same
// for API keys and for access tokens. Hosts with sessions of their own make principals
// too, and pass them on with [NewContext].
//
// The lasting credential of a principal is the key, or for a token its client.
type Principal struct {
	Org    string // the organization that owns the credential
	ID     string // the credential's public ID
	Kind   Kind   // of the credential; empty for a host's own session
	Client string // the ID of a token's client; else empty

	Scopes    scopes.Set // what the credential permits at this moment
	RateLimit int        // requests per minute, by the record and the plan
	ExpiresAt time.Time  // when the credential expires, or a token's client before it; zero if never

	// These fields are those of the lasting credential's record.

	Label       string   // text for people
	Environment string   // "live" or "test", if the host has environments
	Networks    Networks // where requests may come from; the empty set allows all
	Metadata    string   // the host's own text
	CreatedBy   string   // who made the credential, see [Record.CreatedBy]
	Replaces    string   // the ID of the key that this one replaces
	ReplacedBy  string   // the ID of the successor, if the key was rotated
}

// LastingID returns the ID of the lasting credential: Client for a token, and ID for
// everything else.
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

// PrincipalKey is the key under which a context has the principal, a *Principal.
// Use [NewContext] and [FromContext]. The key is for middleware whose own type of
// context returns the principal from its method Value, to save an allocation. A nil
// *Principal stands for none.
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
	p, _ := ctx.Value(PrincipalKey).(*Principal)
	if p == nil {
		return Principal{}, false
	}
	return *p, true
}
