package oauth

import (
	"context"
	"iter"
	"time"

	"github.com/claviger-auth/claviger/keys"
)

// A ClientSpec says what a new client is like.
type ClientSpec struct {
	Name string // for people; at most keys.MaxLabel characters
	// Scopes are the names of the scopes that the client may ask for, besides
	// the always-granted ones. If nil, those that the creator holds.
	Scopes []string
	// TokenLifetime is how long its tokens live, in whole seconds. If zero,
	// that of the server's Options.
	TokenLifetime time.Duration
}

// Register makes a client that belongs to the organization of its creator. The
// error is [ErrEscalation] if the client would have more than its creator has,
// a [*scopes.GrantError] for scopes that nobody can have, wraps
// [keys.ErrInvalid], or is the store's.
func (s *Server) Register(ctx context.Context, by keys.Principal, spec ClientSpec) (keys.Issued, error) {
	catalog := s.manager.Catalog()
	names := spec.Scopes
	if names == nil {
		names = by.Scopes.Intersect(catalog.Grantable()).Names()
	}
	granted, err := catalog.Grant(names...)
	if err != nil {
		return keys.Issued{}, err
	}
	if !by.Scopes.Union(catalog.Always()).ContainsAll(granted) || by.RateLimit < 1 {
		return keys.Issued{}, ErrEscalation
	}
	if spec.TokenLifetime != 0 {
		if _, err := s.tokenLimit(spec.TokenLifetime); err != nil || spec.TokenLifetime%time.Second != 0 {
			return keys.Issued{}, &keys.InvalidError{Field: "token lifetime", Reason: "is not a number of seconds that this server can keep"}
		}
	}
	return s.manager.Create(ctx, by.Org, keys.Spec{
		Kind: keys.KindClient, Label: spec.Name, Scopes: names,
		RateLimit: min(by.RateLimit, s.manager.RateLimit()), TokenLifetime: spec.TokenLifetime,
	})
}

// Clients iterates over the clients of org whose IDs come after the given one,
// in ascending byte order. Deleted ones are left out. An error ends it.
func (s *Server) Clients(ctx context.Context, org, after string) iter.Seq2[keys.Record, error] {
	return func(yield func(keys.Record, error) bool) {
		for rec, err := range s.manager.List(ctx, org, keys.KindClient, after) {
			if err == nil && rec.Revoked() {
				continue
			}
			if !yield(rec, err) {
				return
			}
		}
	}
}

// Client returns a client of org. The error is [keys.ErrNotFound], also for
// one that was deleted, or the store's.
func (s *Server) Client(ctx context.Context, org, id string) (keys.Record, error) {
	rec, err := s.manager.Get(ctx, org, id)
	if err == nil && (rec.Kind != keys.KindClient || rec.Revoked()) {
		err = keys.ErrNotFound
	}
	if err != nil {
		return keys.Record{}, err
	}
	return rec, nil
}

// RotateSecret gives a client a new secret, for somebody who has all that the
// client has. The old secret stays good for the time of the overlap; see
// [keys.Manager.RotateSecret]. The error is [keys.ErrNotFound],
// [ErrEscalation], wraps [keys.ErrInvalid], or is the store's.
func (s *Server) RotateSecret(ctx context.Context, by keys.Principal, id string, overlap time.Duration) (keys.Issued, error) {
	rec, err := s.Client(ctx, by.Org, id)
	if err != nil {
		return keys.Issued{}, err
	}
	if !by.Scopes.Union(s.manager.Catalog().Always()).ContainsAll(rec.Scopes) || by.RateLimit < rec.RateLimit {
		return keys.Issued{}, ErrEscalation
	}
	return s.manager.RotateSecret(ctx, by.Org, id, overlap)
}

// Delete revokes a client of org and with it all its tokens, at once and for
// ever. Deleting it again is no error. The error is [keys.ErrNotFound] or the
// store's.
func (s *Server) Delete(ctx context.Context, org, id string) error {
	rec, err := s.manager.Get(ctx, org, id)
	if err == nil && rec.Kind != keys.KindClient {
		err = keys.ErrNotFound
	}
	if err != nil {
		return err
	}
	return s.manager.Revoke(ctx, org, id)
}
