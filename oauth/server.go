package oauth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
)

const (
	// DefaultTokenLifetime is how long tokens live by default.
	DefaultTokenLifetime = time.Hour
	// DefaultMaxTokens is how many live tokens a client may have by default.
	DefaultMaxTokens = 20_000
	// DefaultMaxOrgTokens is how many live tokens the clients of an organization
	// may have together by default.
	DefaultMaxOrgTokens = 100_000
)

// GrantType is the one grant type that a [Server] knows.
const GrantType = "client_credentials"

// Options are the settings of a [Server].
type Options struct {
	// TokenLifetime is how long tokens live if their client has no lifetime of its
	// own: from a second to a year of 365 days, in whole seconds. If zero,
	// DefaultTokenLifetime.
	TokenLifetime time.Duration

	// MaxTokens bounds the tokens of one client that have not expired, revoked
	// ones included. So it bounds what a client can make the store hold. Half of
	// them can be had at once, and the rest over one lifetime. If zero,
	// DefaultMaxTokens. The least is 2.
	MaxTokens int

	// MaxOrgTokens bounds the tokens of all clients of an organization together,
	// in the same way. A token whose client has a lifetime of its own counts as one for
	// each TokenLifetime that it lives, begun ones included, but never as more than half
	// of the bound. So with lifetimes above TokenLifetime there can be more tokens, by
	// about a half, and with those above half of MaxOrgTokens times TokenLifetime, one
	// for each TokenLifetime that they live. If zero, DefaultMaxOrgTokens. The least is 2.
	MaxOrgTokens int

	// Limiter keeps count of tokens, in the space "oauth" for clients and
	// "oauth-org" for organizations. If nil, each process counts for itself.
	Limiter *ratelimit.Limiter

	// MayInspect decides whether an authenticated client may be told about a
	// live credential, an API key or an access token (RFC 7662 §4). If nil, it is
	// told about access tokens of its own organization.
	MayInspect func(ctx context.Context, client keys.Record, about keys.Principal) bool
}

// A Server is an authorization server. It is safe for concurrent use.
type Server struct {
	manager    *keys.Manager
	verifier   *keys.Verifier
	lifetime   time.Duration
	clients    budget
	orgs       budget
	mayInspect func(ctx context.Context, client keys.Record, about keys.Principal) bool
}

// A budget bounds how many tokens each client, or each organization, can have at a
// time.
type budget struct {
	limiter  *ratelimit.Limiter
	most     int             // tokens
	lifetime time.Duration   // the server's default
	limit    ratelimit.Limit // for tokens with that lifetime
}

// NewServer returns a Server whose clients and tokens m keeps. A nil opts is the
// zero Options. The error says which setting is wrong.
func NewServer(m *keys.Manager, opts *Options) (*Server, error) {
	if m == nil {
		return nil, errors.New("oauth: NewServer needs a manager")
	}
	if opts == nil {
		opts = new(Options)
	}
	s := &Server{
		manager: m, verifier: m.Verifier(), lifetime: cmp.Or(opts.TokenLifetime, DefaultTokenLifetime), mayInspect: opts.MayInspect,
	}
	if !possibleLifetime(s.lifetime) {
		return nil, errors.New("oauth: TokenLifetime is not in whole seconds from a second to a year")
	}
	if s.mayInspect == nil {
		s.mayInspect = func(_ context.Context, client keys.Record, about keys.Principal) bool {
			return about.Kind == keys.KindToken && about.Org == client.Org
		}
	}
	limiter := opts.Limiter
	if limiter == nil {
		var err error
		if limiter, err = ratelimit.NewLimiter(new(ratelimit.Memory), nil); err != nil {
			return nil, err
		}
	}
	var err error
	if s.clients, err = newBudget(limiter, "oauth", cmp.Or(opts.MaxTokens, DefaultMaxTokens), s.lifetime); err != nil {
		return nil, err
	}
	s.orgs, err = newBudget(limiter, "oauth-org", cmp.Or(opts.MaxOrgTokens, DefaultMaxOrgTokens), s.lifetime)
	return s, err
}

func newBudget(l *ratelimit.Limiter, space string, most int, lifetime time.Duration) (b budget, err error) {
	b = budget{most: most, lifetime: lifetime}
	if b.limiter, err = l.In(space); err != nil {
		return b, err
	}
	if b.limit, err = b.limitOf(lifetime); err != nil {
		return b, errors.New("oauth: a bound on tokens is less than 2")
	}
	return b, nil
}

// possibleLifetime reports whether a lifetime of tokens is in whole seconds from a
// second to a year of 365 days.
func possibleLifetime(d time.Duration) bool {
	return d >= time.Second && d <= 365*24*time.Hour && d%time.Second == 0
}

// maxWindow is the longest window of a [ratelimit.Limit].
const maxWindow = 366 * 24 * time.Hour

// limitOf returns the limit on how many tokens with the given lifetime are issued.
// Under it there are never more than b.most of them at a time: half can be issued
// at once, as the burst, and the other half in the course of a lifetime.
//
// A client may have another lifetime than possibleLifetime permits, if it was made by
// its host or imported. If it is below a second, it counts as a second. If it is longer
// than a window can be, fewer can be issued at once.
func (b *budget) limitOf(lifetime time.Duration) (ratelimit.Limit, error) {
	if lifetime == b.lifetime && b.limit != (ratelimit.Limit{}) {
		return b.limit, nil
	}
	half := b.most / 2
	if half < 1 {
		return ratelimit.Limit{}, ratelimit.ErrInvalidLimit
	}
	lifetime = max(lifetime, time.Second)
	each := (lifetime-1)/time.Duration(half) + 1
	return ratelimit.Per(half, lifetime, int(min(time.Duration(half), maxWindow/each)))
}

// take counts a new token of a client.
func (b *budget) take(ctx context.Context, client string, lifetime time.Duration, now time.Time) error {
	limit, err := b.limitOf(lifetime)
	if err != nil {
		return fmt.Errorf("oauth: token lifetime of %q: %w", client, err)
	}
	return b.spend(ctx, client, limit, 1, now)
}

// takeShared counts a new token of one of the clients of an organization. All their
// tokens are counted under the limit of the server's lifetime, since limits that share
// a bucket must have the same window (see [ratelimit.Limit.Horizon]). A token that lives
// longer costs as much as the tokens that could follow each other in that time.
func (b *budget) takeShared(ctx context.Context, org string, lifetime time.Duration, now time.Time) error {
	n := int(min((lifetime-1)/b.lifetime+1, time.Duration(b.limit.Burst())))
	return b.spend(ctx, org, b.limit, n, now)
}

// spend takes n tokens from a bucket.
func (b *budget) spend(ctx context.Context, name string, limit ratelimit.Limit, n int, now time.Time) error {
	d, err := b.limiter.TakeAt(ctx, name, limit, now, n)
	if err != nil {
		return err
	}
	if !d.Allowed {
		return &LimitError{d}
	}
	return nil
}

// Authenticate checks the credentials of a client and returns its record. The
// address is where the request comes from. The zero Addr stands for an unknown
// address; a client that is bound to networks is then refused. The error is
// [ErrNoCredentials] if the ID or the secret is empty, [ErrInvalidClient] if the
// credentials are refused, or wraps [keys.ErrUnavailable].
func (s *Server) Authenticate(ctx context.Context, id string, secret keys.Secret, addr netip.Addr) (keys.Record, error) {
	var client keys.Record
	err := s.authenticateAt(ctx, id, secret, addr, time.Now(), &client)
	return client, credentialError(err)
}

// authenticateAt is Authenticate at the time now. It fills client, which the caller
// passes zero, since a record is large to copy; exchangeAt does likewise. In place of
// ErrInvalidClient it returns the error of the Verifier, or errOutside if the secret is
// good and the address is outside of the client's networks. Only events may tell them
// apart.
func (s *Server) authenticateAt(ctx context.Context, id string, secret keys.Secret, addr netip.Addr, now time.Time, client *keys.Record) (err error) {
	if id == "" || secret.Len() == 0 {
		return ErrNoCredentials
	}
	if *client, err = s.verifier.VerifyClient(ctx, id, secret.Reveal(), now); err != nil {
		return err
	}
	if !client.Networks.Allows(addr) {
		*client = keys.Record{}
		return errOutside
	}
	return nil
}

// errOutside reports a client outside of its networks. It is answered as
// ErrInvalidClient, but does not count as a failed authentication.
var errOutside = errors.New("oauth: client is outside of its networks")

// A Request asks for a token (RFC 6749 §4.4.2).
type Request struct {
	GrantType    string
	ClientID     string
	ClientSecret keys.Secret
	Scope        string // names separated by spaces; empty for all that the client has
	// Address is where the request comes from: see [Server.Authenticate].
	Address netip.Addr
}

// A Grant is a new token (RFC 6749 §5.1).
type Grant struct {
	AccessToken keys.Secret
	ExpiresIn   time.Duration // in whole seconds
	// Scope is what was asked for. The token also has the scopes that are always
	// granted. They are left out here, since some clients, such as oauthlib, raise
	// an error if the answer differs from what they asked for.
	Scope scopes.Set
	Token keys.Record
}

// LogValue returns the LogValue of the token's record, which holds no secret.
func (g Grant) LogValue() slog.Value { return g.Token.LogValue() }

// Exchange checks a request and the credentials in it, and returns a new token. The
// token has the scopes that were asked for, and those that are always granted. The
// error is one of the package's [*Error] values, a [*LimitError], which wraps
// [ErrTooManyTokens], or the store's.
func (s *Server) Exchange(ctx context.Context, r Request) (Grant, error) {
	var g exchange
	if err := s.exchangeAt(ctx, &r, time.Now(), &g); err != nil {
		return Grant{}, credentialError(err)
	}
	return Grant{
		AccessToken: g.issued.Text,
		ExpiresIn:   expiresIn(&g.issued.Record),
		Scope:       g.asked,
		Token:       g.issued.Record,
	}, nil
}

// An exchange is what exchangeAt finds out and makes.
type exchange struct {
	client keys.Record
	asked  scopes.Set
	issued keys.Issued
}

// expiresIn returns how long a new token is good, in whole seconds.
func expiresIn(rec *keys.Record) time.Duration {
	return rec.ExpiresAt.Sub(rec.CreatedAt).Truncate(time.Second)
}

func (s *Server) exchangeAt(ctx context.Context, r *Request, now time.Time, x *exchange) (err error) {
	switch r.GrantType {
	case GrantType:
	case "":
		return ErrNoGrantType
	default:
		return ErrUnsupportedGrantType
	}
	if err := s.authenticateAt(ctx, r.ClientID, r.ClientSecret, r.Address, now, &x.client); err != nil {
		return err
	}
	x.asked = x.client.Scopes
	if r.Scope != "" {
		// A copy, since the text may be a part of a body with a secret in it,
		// and the token's record is kept.
		if x.asked, err = scopes.Parse(strings.Clone(r.Scope)); err != nil || !x.client.Scopes.ContainsAll(x.asked) {
			return ErrInvalidScope
		}
	}
	lifetime := cmp.Or(x.client.TokenLifetime, s.lifetime)
	if err := s.clients.take(ctx, x.client.ID, lifetime, now); err != nil {
		return err
	}
	// The client's own budget comes first, so that requests that it refuses take
	// nothing from that of the organization.
	if err := s.orgs.takeShared(ctx, x.client.Org, lifetime, now); err != nil {
		return err
	}
	x.issued, err = s.manager.IssueTokenAt(ctx, &x.client, x.asked, lifetime, now)
	return err
}

// A LimitError is [ErrTooManyTokens] with the time after which the client can
// have the next one.
type LimitError struct {
	Decision ratelimit.Decision
}

func (e *LimitError) Error() string { return ErrTooManyTokens.Error() }

// Unwrap returns [ErrTooManyTokens].
func (e *LimitError) Unwrap() error { return ErrTooManyTokens }
