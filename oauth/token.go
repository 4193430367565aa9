package oauth

import (
	"context"
	"errors"
	"time"

	"github.com/claviger-auth/claviger/keys"
	"github.com/claviger-auth/claviger/scopes"
)

// Revoke ends a token of an authenticated client (RFC 7009 §2). It does nothing,
// and returns nil, if the text is no live credential: there is nothing left to end.
// The error is [ErrNoToken] if the text is empty, [ErrNotIssuedToClient] for a token
// of another client and [ErrNotAToken] for an API key, both of which stay good, or a
// failure of the store, after which the token may still be good.
func (s *Server) Revoke(ctx context.Context, client keys.Record, token keys.Secret) error {
	p, live, err := s.look(ctx, token)
	if err != nil || !live {
		return err
	}
	if p.Kind != keys.KindToken {
		return ErrNotAToken
	}
	if p.Client != client.ID || p.Org != client.Org {
		return ErrNotIssuedToClient
	}
	return s.manager.Revoke(ctx, p.Org, keys.KindToken, p.ID)
}

// An Introspection says what a credential is good for (RFC 7662 §2.2). If the
// credential is not live, or the client may not be told about it, Active is false
// and all other fields are zero.
type Introspection struct {
	Active    bool
	Scope     scopes.Set
	ClientID  string
	TokenID   string    // the credential's public ID
	Org       string    // the organization that owns it
	ExpiresAt time.Time // of the credential, or of a token's client before it; zero if never
	IssuedAt  time.Time
}

// Introspect tells an authenticated client about a live credential, if
// [Options.MayInspect] allows it. The error is [ErrNoToken] if the text is empty, or
// a failure of the store.
func (s *Server) Introspect(ctx context.Context, client keys.Record, token keys.Secret) (Introspection, error) {
	p, live, err := s.look(ctx, token)
	if err != nil || !live || !s.mayInspect(ctx, client, p) {
		return Introspection{}, err
	}
	rec, err := s.manager.Get(ctx, p.Org, p.Kind, p.ID)
	if errors.Is(err, keys.ErrNotFound) || err == nil && rec.Revoked() {
		return Introspection{}, nil // ended since it was looked at
	}
	if err != nil {
		return Introspection{}, err
	}
	return Introspection{
		Active: true, Scope: p.Scopes, ClientID: p.Client, TokenID: p.ID, Org: p.Org,
		ExpiresAt: p.ExpiresAt, IssuedAt: rec.CreatedAt,
	}, nil
}

// look returns who a credential stands for, and whether it is live. It does not
// count as a use of the credential.
func (s *Server) look(ctx context.Context, token keys.Secret) (p keys.Principal, live bool, err error) {
	if token.Len() == 0 {
		return p, false, ErrNoToken
	}
	p, err = s.verifier.Inspect(ctx, token.Reveal(), time.Now())
	if err != nil && credentialError(err) != ErrInvalidClient {
		return p, false, err
	}
	return p, err == nil, nil
}
