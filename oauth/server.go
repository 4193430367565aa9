package oauth

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/ratelimit"
	"github.com/claviger-auth/claviger/scopes"
	"golang.org/x/time/rate"
)

const (
	// DefaultTokenLifetime is how long tokens live if nothing else is said.
	DefaultTokenLifetime = time.Hour
	// DefaultMaxTokens is how many live tokens a client may have if nothing
	// else is said.
	DefaultMaxTokens = 20_000
)

// GrantType is the one grant type that a [Server] knows.
const GrantType = "client_credentials"

// Options are the settings of a [Server].
type Options struct {
	// TokenLifetime is how long the tokens of clients live that have no figure
	// of their own, in whole seconds. If zero, DefaultTokenLifetime.
	TokenLifetime time.Duration

	// MaxTokens bounds the live tokens of one client, revoked ones included,
	// and with them what a client can make the store hold. Half of them can be
	// had at once, and the rest over one life time. If zero, DefaultMaxTokens;
	// it is at least 2.
	MaxTokens int

	// Limiter keeps count of tokens, in a Space of its own such as "oauth". If
	// nil, each process counts for itself.
	Limiter *ratelimit.Limiter
}

// A Server is an authorization server. It is safe for concurrent use.
type Server struct {
	manager   *keys.Manager
	verifier  *keys.Verifier
	limiter   *ratelimit.Limiter
	lifetime  time.Duration
	maxTokens int
	limit     ratelimit.Limit // on tokens that live for lifetime
}

// NewServer returns a Server whose clients and tokens m keeps. A nil opts is the zero
// Options. The error says which setting is wrong.
func NewServer(m *keys.Manager, opts *Options) (*Server, error) {
	if m == nil {
		return nil, errors.New("oauth: NewServer needs a manager")
	}
	if opts == nil {
		opts = new(Options)
	}
	s := &Server{
		manager: m, verifier: m.Verifier(), limiter: opts.Limiter,
		lifetime: opts.TokenLifetime, maxTokens: opts.MaxTokens,
	}
	if s.lifetime == 0 {
		s.lifetime = DefaultTokenLifetime
	}
	if s.maxTokens == 0 {
		s.maxTokens = DefaultMaxTokens
	}
	var err error
	if s.limit, err = s.tokenLimit(s.lifetime); err != nil || s.lifetime%time.Second != 0 {
		return nil, errors.New("oauth: TokenLifetime must be positive and in whole seconds, and MaxTokens at least 2")
	}
	if s.limiter == nil {
		if s.limiter, err = ratelimit.NewLimiter(new(ratelimit.Memory), &ratelimit.Options{Space: "oauth"}); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// tokenLimit returns the limit on the issue of tokens that live for a time, by
// which a client never has more than maxTokens: half of them as the burst, and
// half of them as what comes back in a life time.
func (s *Server) tokenLimit(lifetime time.Duration) (ratelimit.Limit, error) {
	if lifetime < time.Second || s.maxTokens < 2 {
		return ratelimit.Limit{}, ratelimit.ErrInvalidLimit
	}
	half := s.maxTokens / 2
	return ratelimit.NewLimit(rate.Limit(float64(half)/lifetime.Seconds()), half)
}

// Authenticate checks the credentials of a client and returns its record. The
// error is [ErrNoCredentials] if either is empty, [ErrInvalidClient], or wraps
// [keys.ErrUnavailable].
func (s *Server) Authenticate(ctx context.Context, id string, secret keys.Secret) (keys.Record, error) {
	var client keys.Record
	err := s.authenticateAt(ctx, id, secret, time.Now(), &client)
	return client, err
}

// authenticateAt is Authenticate at a time. It writes to a zero record of the
// caller's, which spares copies; so does exchangeAt.
func (s *Server) authenticateAt(ctx context.Context, id string, secret keys.Secret, now time.Time, client *keys.Record) (err error) {
	if id == "" || secret.Len() == 0 {
		return ErrNoCredentials
	}
	if *client, err = s.verifier.VerifyClient(ctx, id, secret.Reveal(), now); err != nil {
		return credentialError(err)
	}
	return nil
}

// A Request asks for a token (RFC 6749 §4.4.2).
type Request struct {
	GrantType    string
	ClientID     string
	ClientSecret keys.Secret
	Scope        string // names separated by spaces; empty for all that the client has
}

// A Grant is a new token (RFC 6749 §5.1).
type Grant struct {
	AccessToken keys.Secret
	ExpiresIn   time.Duration // in whole seconds
	Scope       scopes.Set
	Token       keys.Record
}

// Exchange checks a request and the credentials in it, and returns a new token
// with exactly the scopes that were asked for. The error is one of the package's
// [*Error] values, wraps [ErrTooManyTokens] in a [*LimitError], or is the
// store's.
func (s *Server) Exchange(ctx context.Context, r Request) (Grant, error) {
	var issued keys.Issued
	if err := s.exchangeAt(ctx, &r, time.Now(), &issued); err != nil {
		return Grant{}, err
	}
	return Grant{
		AccessToken: issued.Text,
		ExpiresIn:   expiresIn(&issued.Record),
		Scope:       issued.Record.Scopes,
		Token:       issued.Record,
	}, nil
}

// expiresIn returns how long a new token is good, in whole seconds.
func expiresIn(rec *keys.Record) time.Duration {
	return rec.ExpiresAt.Sub(rec.CreatedAt).Truncate(time.Second)
}

func (s *Server) exchangeAt(ctx context.Context, r *Request, now time.Time, issued *keys.Issued) (err error) {
	switch r.GrantType {
	case GrantType:
	case "":
		return ErrNoGrantType
	default:
		return ErrUnsupportedGrantType
	}
	var client keys.Record
	if err := s.authenticateAt(ctx, r.ClientID, r.ClientSecret, now, &client); err != nil {
		return err
	}
	granted := client.Scopes
	if r.Scope != "" {
		// A copy, since the text may be a part of a body with a secret in it,
		// and the token's record is kept.
		if granted, err = scopes.Parse(strings.Clone(r.Scope)); err != nil || !client.Scopes.ContainsAll(granted) {
			return ErrInvalidScope
		}
	}
	lifetime := s.lifetime
	if client.TokenLifetime > 0 {
		lifetime = client.TokenLifetime
	}
	if err := s.takeToken(ctx, client.ID, lifetime, now); err != nil {
		return err
	}
	if *issued, err = s.manager.IssueTokenAt(ctx, &client, granted, lifetime, now); err != nil {
		return credentialError(err)
	}
	return nil
}

// A LimitError is [ErrTooManyTokens] with the time after which the client can
// have the next one.
type LimitError struct {
	Decision ratelimit.Decision
}

func (e *LimitError) Error() string { return ErrTooManyTokens.Error() }

// Unwrap returns [ErrTooManyTokens].
func (e *LimitError) Unwrap() error { return ErrTooManyTokens }

// takeToken counts a token against what a client may have.
func (s *Server) takeToken(ctx context.Context, client string, lifetime time.Duration, now time.Time) error {
	limit := s.limit
	if lifetime != s.lifetime {
		var err error
		if limit, err = s.tokenLimit(lifetime); err != nil {
			return fmt.Errorf("oauth: token lifetime of %q: %w", client, err)
		}
	}
	d, err := s.limiter.TakeAt(ctx, client, limit, now, 1)
	if err != nil {
		return err
	}
	if !d.Allowed {
		return &LimitError{d}
	}
	return nil
}
