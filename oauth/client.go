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
	// TokenLifetime is how long its tokens live: from a second to a year of 365
	// days, in whole seconds. If zero, that of the server's Options.
	TokenLifetime time.Duration
}

// Register makes a client on behalf of its creator, who owns it and bounds it as
// [keys.Actor] says. The errors are those of [keys.Actor.Create].
func (s *Server) Register(ctx context.Context, by keys.Principal, spec ClientSpec) (keys.Issued, error) {
	if spec.TokenLifetime != 0 && !possibleLifetime(spec.TokenLifetime) {
		return keys.Issued{}, &keys.InvalidError{Field: keys.FieldTokenLifetime, Reason: "is not in whole seconds from a second to a year"}
	}
	return s.manager.As(by).Create(ctx, keys.Spec{
		Kind: keys.KindClient, Label: spec.Name, Scopes: spec.Scopes, TokenLifetime: spec.TokenLifetime,
	})
}

// Clients iterates over the clients of org whose IDs come after the given one,
// in ascending byte order. Deleted clients are left out. It reads page clients at a
// time, or 100 if page is zero. After an error it stops.
func (s *Server) Clients(ctx context.Context, org, after string, page int) iter.Seq2[keys.Record, error] {
	return s.manager.List(ctx, keys.Query{Org: org, Kind: keys.KindClient, After: after, Limit: page, Live: true})
}

// Client returns a client of org. The error is [keys.ErrNotFound], also for
// one that was deleted, or the store's.
func (s *Server) Client(ctx context.Context, org, id string) (keys.Record, error) {
	rec, err := s.manager.Get(ctx, org, keys.KindClient, id)
	if err == nil && rec.Revoked() {
		err = keys.ErrNotFound
	}
	if err != nil {
		return keys.Record{}, err
	}
	return rec, nil
}

// RotateSecret gives a client a new secret, on behalf of somebody who has all
// that the client has. The old secret stays good for the time of the overlap. The
// error is [keys.ErrNotFound] for a client that was deleted, and otherwise one of
// those of [keys.Actor.RotateSecret].
func (s *Server) RotateSecret(ctx context.Context, by keys.Principal, id string, overlap time.Duration) (keys.Issued, error) {
	issued, err := s.manager.As(by).RotateSecret(ctx, id, overlap)
	if err == keys.ErrRevoked {
		err = keys.ErrNotFound
	}
	return issued, err
}

// Delete revokes a client and with it all its tokens, at once and forever, on
// behalf of somebody who has its scopes. Deleting it again is no error. The errors
// are those of [keys.Actor.Revoke].
func (s *Server) Delete(ctx context.Context, by keys.Principal, id string) error {
	return s.manager.As(by).Revoke(ctx, keys.KindClient, id)
}
