package keys

import (
	"context"
	"time"

	"github.com/claviger-auth/claviger/scopes"
)

// IssueToken makes an access token of a client, whose record was read just
// now, for the given time and no longer than the client itself is good. The
// scopes are for the caller to decide; whatever they are, the token never
// permits more than the client does when it is used. The error is [ErrRevoked],
// [ErrExpired], wraps [ErrInvalid], or is the store's.
func (m *Manager) IssueToken(ctx context.Context, client Record, granted scopes.Set, lifetime time.Duration) (Issued, error) {
	now := whole(time.Now())
	switch {
	case client.Kind != KindClient:
		return Issued{}, &InvalidError{"parent", "is not a client"}
	case client.Revoked():
		return Issued{}, ErrRevoked
	case client.Expired(now):
		return Issued{}, ErrExpired
	case lifetime < time.Millisecond:
		return Issued{}, &InvalidError{"lifetime", "is less than a millisecond"}
	}
	end := whole(now.Add(lifetime))
	if !client.ExpiresAt.IsZero() && client.ExpiresAt.Before(end) {
		end = client.ExpiresAt
	}
	return m.issue(ctx, Record{
		Kind: KindToken, Org: client.Org, Parent: client.ID, Scopes: granted, RateLimit: client.RateLimit,
		CreatedAt: now, ExpiresAt: end, Version: 1,
	}, "")
}
